#!/usr/bin/env bash
# Changes the configuration and the program under full load, and counts what that costs.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bench/operations.sh [OPTION]...

Three parts, each with Corelane on one CPU, origin and load on another:
  reloads    so many reloads, one after the other, between two configurations, under full load (wrk).
             Required: no request fails, no connection is dropped, and resident memory, descriptors
             and threads are afterwards what they were.
  large      reloads of a configuration with 1000 routes and 1000 servers, at a fixed rate
             (load/pace.c), passes with and without a reload a second taking turns. Required: the
             slowest reload takes less than 100 ms, and p99 rises by 5 ms at most.
  upgrades   so many new processes take over, one after the other, under full load. Required: no
             request fails.

  --reloads N       of the first part (100)
  --upgrades N      of the third (10)
  --passes N        of each kind, of the second (5)
  --seconds N       length of such a pass (4)
  --rate N          requests a second of the second part (10000)
  --quick           10 reloads, 3 upgrades, 2 passes of 2 seconds, nothing written
END
    common_usage operations
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
reloads=100 upgrades=10 passes=5 seconds=4 rate=10000
# Servers and routes of the large configuration.
many=1000

# Options that are a number.
numbers=(reloads upgrades passes seconds rate)

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"

read_options() {
    local taken
    while (($#)); do
        if [[ $1 == --quick ]]; then
            reloads=10 upgrades=3 passes=2 seconds=2 write=no taken=1
        else
            read_option "$@"
        fi
        shift "$taken"
    done
}

record() {
    # shellcheck disable=SC2059 # The formats stand below.
    printf "$1\n" "${@:2}" >>"$raw"
}

# The configuration of the other peers' comparison, with one more route for each NUMBER up to $1.
write_config() {
    render corelane corelane.toml
    local number
    for ((number = 0; number < $1; number++)); do
        printf '[[upstream]]\nname = "more-%d"\nservers = ["127.0.0.2:%d"]\n' \
            "$number" $((10000 + number))
        printf '[[route]]\npath = "/more/%d"\nupstream = "more-%d"\n' "$number" "$number"
    done >>"$run/corelane.toml"
}

said() {
    grep -c -- "$1" "$run/corelane.log" || true
}

# PATTERN COUNT: waits until the log has so many lines of it.
await_log() {
    for _ in {1..500}; do
        if (($(said "$1") >= $2)); then return; fi
        kill -0 "${pid_of[corelane]}" 2>/dev/null || die "the proxy has died"
        sleep 0.02
    done
    tail -n 5 "$run/corelane.log" >&2
    die "waited 10 s in vain for: $1"
}

reload() {
    local before
    before=$(said 'reloaded: all shards')
    kill -HUP "${pid_of[corelane]}"
    await_log 'reloaded: all shards' $((before + 1))
}

# shellcheck disable=SC2317 # Called by name.
upgrade() {
    local before old=${pid_of[corelane]}
    before=$(said 'another process has taken over')
    kill -USR2 "$old"
    await_log 'another process has taken over' $((before + 1))
    pid_of[corelane]=$(sed -n 's/.*another process has taken over.* process=\([0-9]*\).*/\1/p' \
        "$run/corelane.log" | tail -n 1)
    for _ in {1..500}; do
        if ! kill -0 "$old" 2>/dev/null; then return; fi
        sleep 0.02
    done
    die "the old process is still there after 10 s"
}

# Resident memory without what the load needs now, descriptors, threads.
state_of() {
    local pid=${pid_of[corelane]}
    local -a files=("/proc/$pid/fd/"*) threads=("/proc/$pid/task/"*)
    printf '%s\tfiles=%d\tthreads=%d' "$(memory_of "$pid")" "${#files[@]}" "${#threads[@]}"
}

# NAME COUNT ACTION: so many of them while wrk runs.
under_load() {
    local name=$1 count=$2 action=$3 number result load_pid
    load get 12 64 "$(port_of corelane)" 2 >/dev/null
    record 'what=state\tpart=%s\twhen=before\t%s' "$name" "$(state_of)"
    # Longer than all of it can take; it is stopped.
    wrk -t 1 -c 64 -d 600s --timeout 10s -s "$load_dir/wrk.lua" \
        "http://127.0.0.1:$(port_of corelane)/bytes/12" >"$run/wrk" 2>&1 9>&- &
    load_pid=$!
    sleep 1
    for ((number = 1; number <= count; number++)); do
        "$action" "$number"
        if [[ -t 2 ]]; then printf '\r\033[K%s %d of %d' "$name" "$number" "$count" >&2; fi
    done
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
    sleep 1
    kill -INT "$load_pid"
    wait "$load_pid" || true
    result=$(result_line <"$run/wrk")
    sleep 2
    record 'what=state\tpart=%s\twhen=after\t%s' "$name" "$(state_of)"
    record 'what=load\tpart=%s\tcount=%d\t%s' "$name" "$count" "$result"
}

# shellcheck disable=SC2317 # Called by name.
change_and_reload() {
    write_config $(($1 % 3))
    reload
}

# With `yes` a reload a second, of the same size but for one route.
large_pass() {
    local with=$1 number=$2 reloader=""
    if [[ $with == yes ]]; then
        while :; do
            write_config $((many + number % 2))
            kill -HUP "${pid_of[corelane]}"
            number=$((number + 1))
            sleep 1
        done &
        reloader=$!
    fi
    "$run/pace" "$(port_of origin)" "$rate" 64 "$seconds" 1 \
        "corelane=$(port_of corelane)" >"$run/pass" || die "the load failed"
    if [[ -n $reloader ]]; then
        kill "$reloader"
        wait "$reloader" 2>/dev/null || true
    fi
    record '%s\treloads=%s' "$(<"$run/pass")" "$with"
}

large() {
    local number
    write_config "$many"
    reload
    stop origin
    : >"$run/corelane.log"
    for ((number = 1; number <= passes; number++)); do
        large_pass no "$number"
        large_pass yes "$number"
    done
    sed -n 's/.*reloaded: all shards.* milliseconds=\([0-9.]*\).*/what=reload\tmilliseconds=\1/p' \
        "$run/corelane.log" >>"$raw"
    start origin
}

main() {
    read_options "$@"
    need_tools wrk taskset flock curl python3 awk cc
    find_corelane
    take_turns
    prepare_run
    cc -O2 -o "$run/pace" "$load_dir/pace.c" -lm
    start origin
    start corelane
    verify corelane
    under_load reloads "$reloads" change_and_reload
    large
    stop corelane
    : >"$run/corelane.log"
    start corelane
    under_load upgrades "$upgrades" upgrade
    judge operations "$reloads reloads and $upgrades upgrades under full load" \
        "$passes passes of $seconds s at $rate requests/s, $many routes and servers"
}

main "$@"
