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
  --no-write        write no files
  --out DIR         where to write (bench/results/<date>-<machine>-soak)
  --proxy-cpu N     CPU of the proxy (0)
  --load-cpu N      CPU of the origin and all clients (1)
  --port-base N     first of five ports on 127.0.0.1 (18480)
  -h, --help        this text

CORELANE names the binary; otherwise it is target/release/corelane (under CARGO_TARGET_DIR if that
is set), built when it is missing.

Exit status: 0 all that is required was met, 3 something was not, 2 wrong usage, 1 the run failed.
END
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
seconds=600 warm_up="" seed=1 out="" write=yes
proxy_cpu=0 load_cpu=1 port_base=18480

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"
# shellcheck source=load/peers.sh
source "$load_dir/peers.sh"
# shellcheck source=load/measure.sh
source "$load_dir/measure.sh"

read_options() {
    while (($#)); do
        case $1 in
            --no-write) write=no ;;
            -h | --help)
                usage
                exit
                ;;
            --seconds | --warm-up | --seed | --proxy-cpu | --load-cpu | --port-base)
                [[ ${2-} =~ ^[0-9]+$ ]] || usage_error "$1 needs a number"
                local name=${1#--}
                printf -v "${name//-/_}" '%d' "$2"
                shift
                ;;
            --out)
                (($# > 1)) || usage_error "$1 needs a value"
                out=$2
                shift
                ;;
            *) usage_error "unknown option $1" ;;
        esac
        shift
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
    local pid began=$EPOCHSECONDS at warm
    pid=${pid_of[corelane]}
    while at=$((EPOCHSECONDS - began)) && ((at < seconds)); do
        warm=$((at >= warm_up))
        printf 'what=rss\tat=%s\twarm=%s\t%s\n' "$at" "$warm" "$(memory_of "$pid")" >>"$raw" ||
            die "the proxy has died"
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
    local -a options=(soak --run "$run")
    if [[ $write == yes ]]; then options+=(--out "${out:-$bench_dir/results}"); fi
    if [[ -n $out ]]; then options+=(--exact); fi
    local status=0
    python3 "$load_dir/verdict.py" "${options[@]}" --settings "$seconds s, $warm_up s of them warm-up" \
        "seed $seed" || status=$?
    exit "$status"
}

main "$@"
