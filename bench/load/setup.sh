# shellcheck shell=bash disable=SC2034,SC2154
# What the scripts of this directory's parent do before they measure. Sourced by them; uses their
# settings: bench_dir, load_dir, numbers (its options that are a number). Brings what starts proxies
# and what loads them along.

out="" write=yes proxy_cpu=0 load_cpu=1 port_base=18480

# shellcheck source=load/peers.sh
source "$load_dir/peers.sh"
# shellcheck source=load/measure.sh
source "$load_dir/measure.sh"

# KIND: the end of `usage`, with the options that all scripts have.
common_usage() {
    cat <<END
  --no-write        write no files
  --out DIR         where to write (bench/results/<date>-<machine>${1:+-$1})
  --proxy-cpu N     CPU of what is measured (0)
  --load-cpu N      CPU of the origin and all clients (1)
  --port-base N     first of eight ports on 127.0.0.1 (18480)
  -h, --help        this text

CORELANE names the binary to measure; otherwise it is target/release/corelane (under
CARGO_TARGET_DIR if that is set), built when it is missing.

Exit status: 0 all that is required was met, 3 something was not, 2 wrong usage, 1 the run failed.
END
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

usage_error() {
    echo "${0##*/}: $* (--help explains)" >&2
    exit 2
}

# Reads an option that all scripts have, or one of `numbers`, a list of the script's own; `taken` is
# how many arguments that was.
read_option() {
    local name=${1#--}
    taken=2
    case $1 in
        --no-write) write=no taken=1 ;;
        -h | --help)
            usage
            exit
            ;;
        --out)
            (($# > 1)) || usage_error "$1 needs a value"
            out=$2
            ;;
        --proxy-cpu | --load-cpu | --port-base) set_number "$@" ;;
        *)
            [[ $1 == --* && " ${numbers[*]} " == *" $name "* ]] || usage_error "unknown option $1"
            set_number "$@"
            ;;
    esac
}

set_number() {
    [[ ${2-} =~ ^[0-9]+$ ]] || usage_error "$1 needs a number"
    local name=${1#--}
    printf -v "${name//-/_}" '%d' "$2"
}

# KIND SETTING...: says whether what is required was met, writes it down if it should be, and exits.
judge() {
    local -a options=("$1" --run "$run")
    if [[ $write == yes ]]; then options+=(--out "${out:-$bench_dir/results}"); fi
    if [[ -n $out ]]; then options+=(--exact); fi
    local status=0
    python3 "$load_dir/verdict.py" "${options[@]}" --settings "${@:2}" || status=$?
    exit "$status"
}

# One measurement at a time on a machine: two would measure each other.
take_turns() {
    exec 9>"${TMPDIR:-/tmp}/corelane-compare.lock"
    if ! flock -n 9; then
        echo "another measurement is running; waiting for it" >&2
        flock 9
    fi
}

need_tools() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "$tool is not installed"
    done
}

find_corelane() {
    local root=${bench_dir%/*}
    local built=${CARGO_TARGET_DIR:-$root/target}/release/corelane
    corelane_bin=${CORELANE:-$built}
    if [[ ! -x $corelane_bin && -z ${CORELANE-} ]]; then
        echo "building $corelane_bin" >&2
        cargo build --release --quiet --manifest-path "$root/Cargo.toml"
    fi
    [[ -x $corelane_bin ]] || die "no binary at $corelane_bin"
}

# What the rows of kind file ask for. Workers of nginx are another user.
make_files() {
    local bytes
    mkdir -m 755 "$run/files"
    while read -r bytes; do
        head -c "$bytes" /dev/zero | tr '\0' x >"$run/files/$bytes"
        chmod 644 "$run/files/$bytes"
    done < <(grep -v '^#' "$load_dir/rows.tsv" | awk -F'\t' '$2 == "file" { print $3 }')
}

# A scratch directory with the origin built in it, and what the machine is like before the load.
prepare_run() {
    run=$(mktemp -d "${TMPDIR:-/tmp}/corelane-bench.XXXXXX")
    raw=$run/raw.tsv
    trap 'stop_all; rm -rf "$run"' EXIT
    trap 'exit 130' INT TERM
    # nginx's worker is another user and has its temporary files here.
    chmod 711 "$run"
    : >"$raw"
    # Enough for the idle connections; the soft limit of a login shell is 1024.
    ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    make_files
    cc -O2 -o "$run/origin" "$load_dir/origin.c"
    python3 "$load_dir/conditions.py" "$proxy_cpu" "$load_cpu" "${corelane_bin-}" \
        >"$run/conditions.json"
    taskset -cp "$load_cpu" $$ >/dev/null
}
