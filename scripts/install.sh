#!/usr/bin/env bash
# Installs Corelane as a systemd service. Run it again after an update: what is in place is
# replaced, the configuration is never overwritten.
set -euo pipefail

usage() {
    cat <<'END'
Usage: scripts/install.sh [OPTION]...

Builds Corelane, installs binary, unit files, a configuration to begin with and a system user, and
enables the service. Only what differs is changed. A service that runs is upgraded to another binary
without a lost connection; if that does not serve, the old one serves on, and this fails.

  --prefix DIR   where bin/corelane goes (/usr/local)
  --root DIR     put everything below this directory: no user, no systemctl (for packages, tests)
  --binary FILE  install this binary instead of building one
  --no-start     do not enable or start the service
  --dry-run      print what would be done
  --uninstall    stop and remove the service and the binary; configuration and user stay
  -h, --help     this text

Exit status: 0 done, 1 something failed, 2 wrong usage.
END
}

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

wrong() {
    printf 'install.sh: %s (--help explains)\n' "$*" >&2
    exit 2
}

prefix=/usr/local root="" binary="" start=yes dry=no uninstall=no
while (($#)); do
    case $1 in
    --prefix | --root | --binary)
        (($# > 1)) || wrong "$1 needs a value"
        case $1 in
        --prefix) prefix=${2%/} ;;
        --root) root=${2%/} ;;
        --binary) binary=$2 ;;
        esac
        shift
        ;;
    --no-start) start=no ;;
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong "no option $1" ;;
    esac
    shift
done
[[ $prefix = /* ]] || wrong "--prefix must be an absolute path"

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
units=$root/etc/systemd/system
config=/etc/corelane/config.toml
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

# Does something that changes the machine, or says what.
run() {
    if [[ $dry = yes ]]; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

# Puts a file in place if it is not there already: place MODE FROM TO
place() {
    if cmp -s -- "$2" "$3" && [[ $(stat -c %a -- "$3") = "$1" ]]; then
        printf 'unchanged: %s\n' "$3"
        return
    fi
    printf 'install: %s\n' "$3"
    run mkdir -p -- "$(dirname -- "$3")"
    # Renamed into place: the old binary may be running.
    run install -m "$1" -- "$2" "$3.new"
    run mv -f -- "$3.new" "$3"
}

# Whether this system's services are ours to change.
manages() {
    [[ -z $root ]] && command -v systemctl >/dev/null 2>&1 && [[ -d /run/systemd/system ]]
}

# The service's main process; 0: it does not run.
main_process() {
    systemctl show --property=MainPID --value corelane.service
}

# Whether the process is one of the binary in place.
is_current() {
    [[ /proc/$1/exe -ef $prefix/bin/corelane ]]
}

# Lets the binary in place take over from the running one, and waits until it has.
upgrade() {
    local old new
    old=$(main_process)
    if is_current "$old"; then
        printf 'unchanged: the service runs this binary already\n'
        return
    fi
    run systemctl kill -s USR2 --kill-who=main corelane.service
    [[ $dry = no ]] || return 0
    # The old one gives it 60 s.
    for ((i = 0; i < 140; i++)); do
        sleep 0.5
        new=$(main_process)
        if [[ $new != "$old" && $new != 0 ]] && is_current "$new"; then
            printf 'upgraded: process %s serves in place of %s\n' "$new" "$old"
            return
        fi
        # It says so at once, also when it had failed before.
        if [[ $(systemctl show --property=StatusText --value corelane.service) = *'upgrade failed'* ]]
        then
            break
        fi
    done
    fail "the new binary has not taken over, and the old one serves on; see: journalctl -u corelane"
}

# Whether systemd here knows Type=notify-reload, which came with version 253.
reloads_by_notice() {
    local version
    version=$(systemctl --version 2>/dev/null | awk 'NR == 1 { print int($2) }')
    [[ -z $version || $version -ge 253 ]]
}

if [[ -z $root && $dry = no && $(id -u) -ne 0 ]]; then
    fail "needs root; run it with sudo, or see --dry-run and --root"
fi

if [[ $uninstall = yes ]]; then
    if manages; then
        run systemctl disable --now corelane.socket corelane.service || true
    fi
    for file in "$units/corelane.service" "$units/corelane.socket" "$root$prefix/bin/corelane"; do
        if [[ -e $file ]]; then
            printf 'remove: %s\n' "$file"
            run rm -f -- "$file"
        fi
    done
    if manages; then run systemctl daemon-reload; fi
    printf 'left in place: %s and the user corelane\n' "$root$config"
    exit 0
fi

if [[ -z $binary ]]; then
    command -v cargo >/dev/null 2>&1 ||
        fail "cargo is not here; install it (https://rustup.rs), or give a binary with --binary"
    run cargo build --release --locked --manifest-path "$here/Cargo.toml"
    binary=${CARGO_TARGET_DIR:-$here/target}/release/corelane
fi
[[ $dry = yes || -x $binary ]] || fail "$binary is no program; build it, or give another --binary"
if [[ $dry = no && -z $root ]]; then
    "$binary" --version >/dev/null || fail "$binary does not run here; build it on this machine"
fi

if [[ -z $root ]] && ! getent passwd corelane >/dev/null; then
    shell=$(command -v nologin || echo /usr/sbin/nologin)
    printf 'create: system user corelane\n'
    run useradd --system --user-group --no-create-home --home-dir /nonexistent \
        --shell "$shell" corelane
fi

place 755 "$binary" "$root$prefix/bin/corelane"
for unit in corelane.service corelane.socket; do
    sed -e "s|/usr/bin/corelane|$prefix/bin/corelane|g" "$here/scripts/$unit" \
        >"$scratch/$unit"
    if ! reloads_by_notice; then
        # shellcheck disable=SC2016 # systemd puts the process in
        reload='ExecReload=/bin/kill -HUP $MAINPID'
        sed -i -e 's|^Type=notify-reload$|Type=notify|' -e "/^ExecReload=/a $reload" "$scratch/$unit"
    fi
    place 644 "$scratch/$unit" "$units/$unit"
done
if [[ -e $root$config ]]; then
    printf 'kept: %s\n' "$root$config"
else
    place 644 "$here/config.toml" "$root$config"
fi

if manages; then
    run systemctl daemon-reload
    if [[ $start = yes ]]; then
        run systemctl enable corelane.service
        if systemctl is-active --quiet corelane.service; then
            upgrade
        else
            run systemctl start corelane.service
        fi
    fi
elif [[ -z $root ]]; then
    printf 'no systemd runs here: start it with %s run -c %s\n' "$prefix/bin/corelane" "$config"
fi
