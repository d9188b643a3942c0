#!/usr/bin/env bash
# Compares Corelane with nginx and HAProxy in one run on one machine.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bench/compare.sh [OPTION]...

Runs nginx, HAProxy and Corelane side by side, each with one worker on one CPU, before the same
small origin, and compares what a request costs each of them. The origin and the load generator
(wrk, and oha for the open loop) have a second CPU. Within a round the proxies take turns, so
what changes on the machine meets all of them.

  --rounds N        rounds for each workload (3)
  --seconds S       length of one timed pass (5)
  --only ROW,...    only these workloads; --list names them
  --proxies A,...   of nginx, nginx-stock (nginx with its default buffers), nginx-cache (with its
                    cache of open files), haproxy, corelane, nginx-log and corelane-log (with their access logs on)
                    (nginx,haproxy,corelane)
  --quick           short: 3 rounds of 1 second, no warm-up, no extra passes, nothing written
  --list            name the workloads and what is required in each
END
    common_usage ""
    printf '\nWhile optimising:  bench/compare.sh --only 12B-64 --quick\n'
}

bench_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
load_dir=$bench_dir/load
rounds=3 seconds=5 only="" extras=yes
proxies=(nginx haproxy corelane)

# Options that are a number.
numbers=(rounds seconds)

# shellcheck source=load/setup.sh
source "$load_dir/setup.sh"

rows() {
    grep -v '^#' "$load_dir/rows.tsv"
}

read_options() {
    local taken
    while (($#)); do
        taken=2
        case $1 in
            --quick) rounds=3 seconds=1 extras=no write=no taken=1 ;;
            --list)
                rows | awk -F'\t' '{ printf "%-14s %-42s nginx %-5s haproxy %s\n", $1, $7, $5, $6 }'
                exit
                ;;
            --only) set_rows "${2-}" ;;
            --proxies) set_proxies "${2-}" ;;
            *) read_option "$@" ;;
        esac
        shift "$taken"
    done
}

set_rows() {
    only=,$1,
    local row
    [[ -n $1 ]] || usage_error "--only needs a value"
    for row in ${1//,/ }; do
        rows | cut -f1 | grep -xF -- "$row" >/dev/null || usage_error "no workload $row"
    done
}

set_proxies() {
    [[ -n $1 ]] || usage_error "--proxies needs a value"
    IFS=, read -r -a proxies <<<"$1"
    local proxy
    for proxy in "${proxies[@]}"; do
        [[ $proxy =~ ^(nginx|nginx-stock|nginx-cache|nginx-log|haproxy|corelane|corelane-log)$ ]] || usage_error "no proxy $proxy"
    done
}

wanted() {
    [[ -z $only || $only == *,$1,* ]]
}

need() {
    need_tools wrk taskset flock curl python3 awk cc "$@"
    local proxy
    for proxy in "${proxies[@]}"; do
        [[ $proxy == corelane* ]] || command -v "${proxy%-*}" >/dev/null ||
            die "${proxy%-*} is not installed"
    done
}

prepare() {
    prepare_run
    start origin
    local proxy
    for proxy in "${proxies[@]}"; do
        start "$proxy"
        verify "$proxy"
    done
}

# The proxies in the order of this round: each begins in turn.
order_of() {
    local shift=$((($1 - 1) % ${#proxies[@]}))
    local -a order=("${proxies[@]:shift}" "${proxies[@]:0:shift}")
    # HAProxy serves no files.
    if [[ ${2-} == file ]]; then order=("${order[@]/#haproxy/}"); fi
    echo "${order[@]}"
}

# A row of kind get, post, file or rate.
loaded_row() {
    local row=$1 kind=$2 bytes=$3 connections=$4 round proxy port rate=0 rounds=$rounds
    if [[ $kind == rate ]]; then
        rate=$(half_capacity)
        # A pause of the machine makes the p99 of a pass: only many passes say something.
        rounds=$((rounds * 5))
    fi
    if [[ $extras == yes ]]; then
        for proxy in $(order_of 1 "$kind"); do
            load "${kind/rate/get}" "$bytes" "$connections" "$(port_of "$proxy")" 1 >/dev/null
        done
    fi
    for ((round = 1; round <= rounds; round++)); do
        for proxy in $(order_of "$round" "$kind"); do
            progress "$row" "round $round" "$proxy"
            port=$(port_of "$proxy")
            if [[ $kind == rate ]]; then
                timed "$row" "$round" "$proxy" \
                    open_loop "$port" "$bytes" "$connections" "$rate" "$seconds"
            else
                timed "$row" "$round" "$proxy" \
                    load "$kind" "$bytes" "$connections" "$port" "$seconds"
            fi
        done
        if [[ $kind == rate ]]; then
            progress "$row" "round $round" "no proxy"
            direct "$row" open_loop "$(port_of direct)" "$bytes" "$connections" "$rate" "$seconds"
        fi
    done
    if [[ $extras == yes && $kind != rate ]]; then extra_passes "$@"; fi
}

# What is not timed: system calls, and how fast the load is without a proxy.
extra_passes() {
    local row=$1 kind=$2 bytes=$3 connections=$4 proxy
    for proxy in $(order_of 1 "$kind"); do
        progress "$row" "system calls" "$proxy"
        count_syscalls "$row" "$proxy" "$kind" "$bytes" "$connections"
    done
    # There is no file at the origin.
    [[ $kind != file ]] || return 0
    progress "$row" "no proxy" origin
    direct "$row" load "$kind" "$bytes" "$connections" "$(port_of direct)" 1
}

# A pass without a proxy, by the command that loads: what the load and the origin do themselves.
direct() {
    local result
    result=$("${@:2}") || exit 1
    printf 'what=direct\trow=%s\t%s\n' "$1" "$result" >>"$raw"
}

idle_row() {
    local row=$1 connections=$2 round proxy
    for ((round = 1; round <= rounds; round++)); do
        for proxy in $(order_of "$round"); do
            progress "$row" "round $round" "$proxy"
            idle "$row" "$round" "$proxy" "$connections"
        done
    done
}

progress() {
    if [[ -t 2 ]]; then printf '\r\033[K%s, %s, %s' "$@" >&2; fi
}

main() {
    read_options "$@"
    local -a more=()
    if wanted rate; then more+=(oha); fi
    need "${more[@]}"
    if [[ " ${proxies[*]}" == *" corelane"* ]]; then find_corelane; fi
    take_turns
    prepare
    local row kind bytes connections _
    while IFS=$'\t' read -r -u 4 row kind bytes connections _; do
        wanted "$row" || continue
        if [[ $kind == idle ]]; then
            idle_row "$row" "$connections"
        else
            loaded_row "$row" "$kind" "$bytes" "$connections"
        fi
    done 4< <(rows)
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
    report
}

report() {
    local -a options=(--run "$run" --rows "$load_dir/rows.tsv" --rounds "$rounds"
        --seconds "$seconds")
    if [[ $write == yes ]]; then options+=(--out "${out:-$bench_dir/results}"); fi
    if [[ -n $out ]]; then options+=(--exact); fi
    local status=0
    python3 "$load_dir/report.py" "${options[@]}" || status=$?
    exit "$status"
}

main "$@"
