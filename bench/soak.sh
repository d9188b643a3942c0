#!/usr/bin/env bash
# Loads Corelane at full speed, with random aborts, and watches its memory.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bench/soak.sh [OPTION]...

Runs downloads and uploads of sizes that are copied and of sizes that are spliced, as fast as they
go (wrk), beside clients that abort at random places, and samples the proxy's resident memory each
second. Required: after the warm-up it stays within 2 MiB, and no request of wrk fails.

  --seconds N       length of the load (600)
  --warm-up N       how much of that is warm-up (a fifth, at most 60)
  --seed N          of the aborts (1)
END
    common_usage soak
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
seconds=600 warm_up="" seed=1

# Options that are a number.
numbers=(seconds warm-up seed)

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"

read_options() {
    local taken
    while (($#)); do
        read_option "$@"
        shift "$taken"
    done
    if [[ -z $warm_up ]]; then
        warm_up=$((seconds / 5))
        if ((warm_up > 60)); then warm_up=60; fi
    fi
    ((seconds - warm_up >= 5)) || usage_error "--seconds must leave 5 after the warm-up"
}

# What runs in the background, to be stopped at the end.
loads=()

# shellcheck disable=SC2317 # A trap calls it.
stop_loads() {
    local pid
    for pid in "${loads[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
}

# NAME KIND BYTES CONNECTIONS: one wrk for the whole time.
begin_load() {
    load "$2" "$3" "$4" "$(port_of corelane)" "$seconds" >"$run/load.$1" 9>&- &
    loads+=($!)
}

sample_memory() {
    local pid began=$EPOCHSECONDS at warm memory
    pid=${pid_of[corelane]}
    while at=$((EPOCHSECONDS - began)) && ((at < seconds)); do
        warm=$((at >= warm_up))
        memory=$(memory_of "$pid" 2>/dev/null) || die "the proxy has died"
        printf 'what=rss\tat=%s\twarm=%s\t%s\n' "$at" "$warm" "$memory" >>"$raw"
        if [[ -t 2 ]]; then printf '\r\033[K%s of %s s' "$at" "$seconds" >&2; fi
        sleep 1
    done
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}

main() {
    read_options "$@"
    need_tools wrk taskset flock curl python3 awk cc
    find_corelane
    take_turns
    prepare_run
    trap 'stop_loads; stop_all; rm -rf "$run"' EXIT
    start origin
    start corelane
    verify corelane
    begin_load get-12B get 12 64
    begin_load get-32K get 32768 16
    begin_load get-1M get 1048576 8
    begin_load post-4K post 4096 16
    begin_load post-256K post 262144 8
    python3 "$load_dir/aborts.py" "$(port_of corelane)" "$seed" >"$run/aborts" 2>&1 9>&- &
    local aborts=$! name result
    loads+=("$aborts")
    sample_memory
    kill -TERM "$aborts" 2>/dev/null || true
    wait "$aborts" || true
    printf 'what=aborts\t%s\n' "$(result_line <"$run/aborts")" >>"$raw"
    # wrk ends by itself.
    wait "${loads[@]}" || true
    loads=()
    for name in get-12B get-32K get-1M post-4K post-256K; do
        result=$(<"$run/load.$name")
        [[ $result == requests=* ]] || die "the load $name failed: $result"
        printf 'what=load\trow=%s\t%s\n' "$name" "$result" >>"$raw"
    done
    kill -0 "${pid_of[corelane]}" 2>/dev/null || die "the proxy has died"
    judge soak "$seconds s, $warm_up s of them warm-up" \
        "seed $seed"
}

main "$@"
