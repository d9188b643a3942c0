#!/usr/bin/env bash
# Runs beside a systemd that is there for it alone: installs Corelane as a service, and does with it
# what administrators do. Prints what it sees; exit status 1 at the first thing that is wrong.
set -euo pipefail
cd /run/given

fail() {
    printf 'WRONG: %s\n' "$*"
    systemctl status --no-pager corelane.service || true
    journalctl --no-pager -o short-precise -b -n 40 || true
    exit 1
}

property() { systemctl show --property="$1" --value corelane.service; }

# Waits until a command succeeds.
await() {
    for ((i = 0; i < 150; i++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "in vain: $*"
}

get() { curl --silent --show-error --max-time 20 --output /dev/null --write-out '%{http_code}\n' "$@"; }

# Clients that connect anew for each request, until `settle`.
ask() {
    rm -f /run/over /run/codes.*
    for number in 1 2 3; do
        while [[ ! -e /run/over ]]; do
            get http://127.0.0.1:8080/ 2>&1 || true
        done >"/run/codes.$number" &
    done
    sleep 0.3
}

has_asked() { (($(cat /run/codes.* | wc -l) >= 30)); }

settle() {
    await has_asked
    touch /run/over
    wait
    local all bad
    all=$(cat /run/codes.* | wc -l)
    bad=$(grep -hvx 200 /run/codes.* | sort | uniq -c || true)
    [[ -z $bad ]] || fail "$1: of $all requests failed: $bad"
    printf '%s: %s requests, none failed\n' "$1" "$all"
}

systemctl --version | head -n 1
./corelane demo --port 9000 >/dev/null 2>&1 &
origins=$!
disown
scripts/install.sh --binary ./corelane || fail "install.sh"
cat >/etc/corelane/config.toml <<'END'
[[listener]]
address = "127.0.0.1:8080"
[[upstream]]
name = "app"
servers = ["127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003"]
[[route]]
path = "/"
upstream = "app"
END
await get --fail http://127.0.0.1:3003/
systemctl restart corelane.service
main=$(property MainPID)
grep -q '^Seccomp:.2' "/proc/$main/status" || fail "no system call filter is in force"
[[ $(awk '$1 == "Uid:" { print $2 }' "/proc/$main/status") != 0 ]] || fail "it runs as root"
journalctl --no-pager -b -o cat -u corelane.service | grep 'io_uring tier' | tail -n 1

ask
systemctl reload corelane.service || fail "a reload"
settle "a reload"
cp /etc/corelane/config.toml /run/good.toml
echo '[nonsense]' >>/etc/corelane/config.toml
if systemctl reload corelane.service 2>/dev/null; then fail "a wrong file is reloaded"; fi
[[ $(get http://127.0.0.1:8080/) = 200 && $(property MainPID) = "$main" ]] || fail "it went on"
cp /run/good.toml /etc/corelane/config.toml
systemctl reload corelane.service || fail "a reload of what was mended"
echo "a wrong file: systemctl reload fails, and what ran goes on"

# One byte more makes it another binary.
cp corelane other
echo >>other
ask
scripts/install.sh --binary ./other | grep '^upgraded' || fail "install.sh does not upgrade"
settle "an upgrade by install.sh"
[[ $(property NRestarts) = 0 ]] || fail "that was a restart"
now=$(property MainPID)
[[ $now != "$main" ]] || fail "no upgrade"

# A request that the process before an upgrade has, and one of the new one.
get http://127.0.0.1:8080/slow/3000 >/run/slow.1 2>&1 &
sleep 0.5
systemctl kill -s USR2 --kill-who=main corelane.service
has_changed() { [[ $(property MainPID) != "$now" ]]; }
await has_changed
get http://127.0.0.1:8080/slow/2000 >/run/slow.2 2>&1 &
sleep 0.5
systemctl stop corelane.service
wait
[[ $(cat /run/slow.1) = 200 && $(cat /run/slow.2) = 200 ]] ||
    fail "a stop after an upgrade loses requests: $(cat /run/slow.1 /run/slow.2)"
[[ $(property Result) = success ]] || fail "it did not stop well"
echo "a stop soon after an upgrade: both processes finish what they have"

systemctl enable --quiet --now corelane.socket
systemctl start corelane.service
ask
for ((n = 0; n < 8; n++)); do systemctl restart corelane.service || fail "a restart"; done
settle "8 restarts with socket activation"
if journalctl --no-pager -b -o cat _PID=1 | grep 'reception only permitted'; then
    fail "systemd was told things by whom it does not listen to"
fi
scripts/install.sh --uninstall >/dev/null
[[ ! -e /usr/local/bin/corelane ]] || fail "it is still installed"
kill "$origins"
echo "all as it should be"
