#!/usr/bin/env bash
# Compares the latency of Corelane with that of its peers at a fixed rate, beyond doubt.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bench/latency.sh [OPTION]...

Sends requests for 12 bytes at a fixed rate to nginx, nginx with its defaults, HAProxy, Corelane,
and to the origin itself, in turn. Clients and origin are one thread (load/pace.c), which never
sleeps and never waits for another on its CPU; in compare.sh, oha and the origin wait for each
other's time slices there. Required: p99 of the median slice of 50 ms, divided by that of the better
peer in the same round, is at most 1 in the median of the rounds. Slices leave out the pauses of a
machine that lends its CPUs to others; p99 of whole passes is printed beside it.

  --rounds N        rounds (11)
  --seconds S       length of a pass (3)
  --rate N          requests a second (half of what nginx does in a short closed loop)
  --connections N   connections of clients (64)
  --quick           3 rounds of 1 second, nothing written
END
    common_usage latency
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
rounds=11 seconds=3 rate="" connections=64
proxies=(nginx nginx-stock haproxy corelane)

# Options that are a number.
numbers=(rounds seconds rate connections)

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"

read_options() {
    local taken
    while (($#)); do
        if [[ $1 == --quick ]]; then
            rounds=3 seconds=1 write=no taken=1
        else
            read_option "$@"
        fi
        shift "$taken"
    done
}

main() {
    read_options "$@"
    need_tools nginx haproxy wrk taskset flock curl python3 awk cc
    find_corelane
    take_turns
    prepare_run
    cc -O2 -o "$run/pace" "$load_dir/pace.c" -lm
    start origin
    local proxy
    local -a targets=()
    for proxy in "${proxies[@]}"; do
        start "$proxy"
        verify "$proxy"
        targets+=("$proxy=$(port_of "$proxy")")
    done
    if [[ -z $rate ]]; then
        rate=$(($(load get 12 64 "$(port_of nginx)" 3 | median_rate) / 2))
    fi
    # From here on the origin is part of the load.
    stop origin
    "$run/pace" "$(port_of origin)" "$rate" "$connections" "$seconds" "$rounds" \
        "${targets[@]}" "no-proxy=$(port_of origin)" >>"$raw" || die "the load failed"
    judge latency "$rounds rounds of $seconds s" \
        "$rate requests/s over $connections connections"
}

main "$@"
