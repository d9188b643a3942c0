#!/usr/bin/env bash
# Counts which shard serves whom, with each way of steering.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bench/steering.sh [OPTION]...

Opens 8, 64 and 1000 connections through a veth pair between two network namespaces, with
`steering` hash, cpu and balance, and counts by the log of Corelane: how many are served on the CPU
that their packets come to, and how many the most loaded shard has, as a multiple of the mean. RPS
spreads the packets over all CPUs, as the queues of a network card would. Counts, not times: the
machine may be busy. Takes root, iproute2 and two CPUs.

  --rounds N        rounds with 8 and with 64 connections (40); a tenth as many with 1000
  --quick           10 rounds, nothing written
END
    common_usage steering
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
rounds=40

# Options that are a number.
numbers=(rounds)

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"

read_options() {
    local taken
    while (($#)); do
        if [[ $1 == --quick ]]; then
            rounds=10 write=no taken=1
        else
            read_option "$@"
        fi
        shift "$taken"
    done
}

proxy_net=clsp$$ clients_net=clsc$$ proxy_pid="" shards=""

# shellcheck disable=SC2317
stop_proxy() {
    if [[ -n $proxy_pid ]]; then
        kill -TERM "$proxy_pid" 2>/dev/null || true
        wait "$proxy_pid" 2>/dev/null || true
        proxy_pid=""
    fi
}

# Called by the trap.
# shellcheck disable=SC2317
stop_all() {
    stop_proxy
    ip netns delete "$proxy_net" 2>/dev/null || true
    ip netns delete "$clients_net" 2>/dev/null || true
}

# Two namespaces, a veth pair between them, and RPS over all CPUs at the proxy's end.
make_network() {
    ip netns add "$proxy_net"
    ip netns add "$clients_net"
    ip link add wire netns "$proxy_net" type veth peer name wire netns "$clients_net"
    ip -n "$proxy_net" address add 198.18.0.1/24 dev wire
    ip -n "$clients_net" address add 198.18.0.2/24 dev wire
    ip -n "$proxy_net" link set wire up
    ip -n "$clients_net" link set wire up
    local mask
    ((shards <= 32)) || die "RPS masks are written for 32 CPUs at most, not $shards"
    mask=$(printf '%x' $(((1 << shards) - 1)))
    ip netns exec "$proxy_net" \
        sh -c "echo $mask >/sys/class/net/wire/queues/rx-0/rps_cpus"
}

# STEERING
start_proxy() {
    cat >"$run/corelane.toml" <<END
shards = $shards
log.level = "debug"
[[listener]]
address = "198.18.0.1:8080"
steering = "$1"
[[route]]
path = "/"
respond = { status = 200, body = "here" }
END
    : >"$run/log"
    ip netns exec "$proxy_net" \
        "$corelane_bin" run -c "$run/corelane.toml" >"$run/report" 2>"$run/log" 9>&- &
    proxy_pid=$!
    for _ in {1..200}; do
        if grep -q '^ready' "$run/log"; then return; fi
        kill -0 "$proxy_pid" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 5 "$run/log" >&2
    die "the proxy does not start"
}

main() {
    read_options "$@"
    need_tools ip taskset flock python3 cc
    ((EUID == 0)) || die "network namespaces take root"
    shards=$(nproc)
    ((shards > 1)) || die "with one CPU there is nothing to steer"
    find_corelane
    take_turns
    prepare_run
    trap 'stop_all; rm -rf "$run"' EXIT
    # One CPU for the load is for scripts that measure times.
    taskset -cp "0-$((shards - 1))" $$ >/dev/null
    make_network
    local steering
    for steering in hash cpu balance; do
        start_proxy "$steering"
        ip netns exec "$clients_net" \
            python3 "$load_dir/steering.py" "$steering" "$run/log" "$rounds" "$shards" \
            >>"$raw"
        stop_proxy
    done
    judge steering "rounds=$rounds (a tenth with 1000 connections)" \
        "one veth pair, RPS over $shards CPUs"
}

main "$@"
