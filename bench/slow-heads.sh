#!/usr/bin/env bash
# Measures what clients that never finish their heads cost the others.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bench/slow-heads.sh [OPTION]...

Loads Corelane at a fixed rate (oha, open loop) without and with 1000 clients beside it that send a
byte of a head now and then. Passes of both kinds take turns in one run. In those without, the slow
clients send to a socket that nobody reads, for they share a CPU with the load. Required: the median p99
with them is at most 1.5 times that without, no normal request fails, and no slow client is sent
away otherwise than by a 408 at the head timeout.

  --passes N        passes of each kind (7)
  --seconds S       length of a pass (5)
  --rate N          requests a second (half of what a short closed loop does)
  --slow N          slow clients (1000)
  --every S         seconds between two bytes of one slow client (1)
  --quick           3 passes of 2 seconds, nothing written
END
    common_usage slow-heads
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
passes=7 seconds=5 rate="" slow=1000 every=1 connections=32 bytes=12

# Options that are a number.
numbers=(passes seconds rate slow every)

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"

read_options() {
    local taken
    while (($#)); do
        if [[ $1 == --quick ]]; then
            passes=3 seconds=2 write=no taken=1
        else
            read_option "$@"
        fi
        shift "$taken"
    done
}

slow_pid=""
# PORT; 0 for none of the proxy's.
start_slow_heads() {
    : >"$run/slow"
    python3 "$load_dir/slow_heads.py" "$1" "$slow" "$every" \
        >"$run/slow" 2>&1 9>&- &
    slow_pid=$!
    for _ in {1..200}; do
        if grep -qx ready "$run/slow"; then return; fi
        kill -0 "$slow_pid" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 5 "$run/slow" >&2
    die "the slow clients do not get their connections"
}

stop_slow_heads() {
    kill -TERM "$slow_pid"
    wait "$slow_pid" || true
    slow_pid=""
    printf 'what=slow\twhere=%s\t%s\n' "$1" "$(result_line <"$run/slow")" >>"$raw"
    # The proxy closes them now; that is no part of the next pass.
    sleep 0.5
}

one_pass() {
    local row=$1 number=$2
    if [[ -t 2 ]]; then printf '\r\033[K%s slow heads, pass %s' "$row" "$number" >&2; fi
    if [[ $row == with ]]; then start_slow_heads "$(port_of corelane)"; else start_slow_heads 0; fi
    timed "$row" "$number" corelane \
        open_loop "$(port_of corelane)" "$bytes" "$connections" "$rate" "$seconds"
    stop_slow_heads "$row"
}

main() {
    read_options "$@"
    need_tools wrk oha taskset flock curl python3 awk cc
    find_corelane
    take_turns
    prepare_run
    trap '[[ -z $slow_pid ]] || kill "$slow_pid"; stop_all; rm -rf "$run"' EXIT
    start origin
    start corelane
    verify corelane
    if [[ -z $rate ]]; then
        rate=$(($(load get "$bytes" "$connections" "$(port_of corelane)" 2 | median_rate) / 2))
    fi
    local number
    for ((number = 1; number <= passes; number++)); do
        # Each kind goes first in every second pair.
        if ((number % 2)); then
            one_pass without "$number"
            one_pass with "$number"
        else
            one_pass with "$number"
            one_pass without "$number"
        fi
    done
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
    judge slow-heads "passes=$passes of $seconds s" \
        "rate=$rate/s over $connections connections" "slow=$slow, a byte every $every s"
}

main "$@"
