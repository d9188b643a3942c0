# shellcheck shell=bash disable=SC2154
# Loads one proxy and appends what it cost to the raw file, one line of tab-separated key=value
# pairs a measurement. Sourced by compare.sh; uses its settings: raw, load_dir, load_cpu,
# proxy_cpu, seconds.

sum_of() {
    awk -v field="$1" '{ s += $field } END { printf "%.0f", s }' "${@:2}" 2>/dev/null
}

# Counters of a process, all threads together, kernel workers of its rings included:
#   run_ns   time on a CPU in nanoseconds (schedstat)
#   ticks    the same as user and system time in clock ticks, to cross-check
#   vol, invol   context switches
# and of the two CPUs: busy and stolen ticks.
sample() {
    local prefix=$1 pid=$2 task=/proc/$2/task
    local stat
    stat=$(<"/proc/$pid/stat")
    # Fields are counted after the name, which may hold spaces.
    read -r -a stat <<<"${stat##*) }"
    printf '%s_run_ns=%s\t' "$prefix" "$(sum_of 1 "$task"/*/schedstat)"
    printf '%s_ticks=%s\t' "$prefix" $((stat[11] + stat[12]))
    awk -v p="$prefix" '/^voluntary/ { v += $2 } /^nonvoluntary/ { n += $2 }
        END { printf "%s_vol=%d\t%s_invol=%d\t", p, v, p, n }' "$task"/*/status
    awk -v p="$prefix" -v a="cpu$proxy_cpu" -v b="cpu$load_cpu" '
        $1 == a { printf "%s_proxy_cpu=%d\t%s_steal=%d\t", p, $2+$3+$4+$7+$8, p, $9 }
        $1 == b { printf "%s_load_cpu=%d\t", p, $2+$3+$4+$7+$8 }' /proc/stat
}

memory_of() {
    awk '/^Rss:/ { r = $2 } /^Pss:/ { p = $2 } END { printf "rss_kib=%d\tpss_kib=%d", r, p }' \
        "/proc/$1/smaps_rollup"
}

# Runs wrk for a row and prints its result line as tab-separated pairs. With a PREFIX command
# (perf) wrk runs under it.
load() {
    local kind=$1 bytes=$2 connections=$3 port=$4 for_seconds=$5
    local -a target=("http://127.0.0.1:$port/bytes/$bytes") prefix=("${@:6}")
    if [[ $kind == file ]]; then target=("http://127.0.0.1:$port/files/$bytes"); fi
    if [[ $kind == post ]]; then target=("http://127.0.0.1:$port/upload" -- "$bytes"); fi
    "${prefix[@]}" wrk -t 1 -c "$connections" -d "${for_seconds}s" --timeout 10s \
        -s "$load_dir/wrk.lua" "${target[@]}" 2>&1 | result_line
}

result_line() {
    local out
    out=$(cat)
    grep '^result ' <<<"$out" | cut -d' ' -f2- | tr ' ' '\t' | grep . ||
        die "the load generator failed: $out"
}

# One timed pass: counters before, load, counters after.
timed() {
    local row=$1 round=$2 proxy=$3 pid before after result started
    pid=$(worker_of "$proxy")
    before=$(sample before "$pid")
    started=$EPOCHREALTIME
    result=$("${@:4}") || exit 1
    # The last answers are out before the proxy has booked its time; an idle proxy books at once.
    sleep 0.05
    after=$(sample after "$pid")
    printf 'what=load\trow=%s\tround=%s\tproxy=%s\tstarted=%s\tended=%s\t%s%s%s\t%s\n' \
        "$row" "$round" "$proxy" "$started" "$EPOCHREALTIME" "$before" "$after" "$result" \
        "$(memory_of "$pid")" >>"$raw"
    # Bodies that the load left behind must not be cleared away in the next proxy's time.
    sleep 0.15
}

# System calls, counted in a pass of its own: neither counter is free. perf where it may look
# at the proxy, strace otherwise.
count_syscalls() {
    local row=$1 proxy=$2 kind=$3 bytes=$4 connections=$5 pid port result calls
    pid=$(worker_of "$proxy") port=$(port_of "$proxy")
    if perf stat -e raw_syscalls:sys_enter -p "$pid" true >/dev/null 2>&1; then
        result=$(load "$kind" "$bytes" "$connections" "$port" 1 \
            perf stat -x , -o "$run/syscalls" -e raw_syscalls:sys_enter -p "$pid" --)
        calls=$(awk -F, '/raw_syscalls/ { print $1 }' "$run/syscalls")
    elif command -v strace >/dev/null; then
        strace -c -f -o "$run/syscalls" -p "$pid" 2>/dev/null &
        local tracer=$!
        sleep 0.5
        result=$(load "$kind" "$bytes" "$connections" "$port" 1)
        kill -INT "$tracer"
        wait "$tracer" || true
        calls=$(awk '$NF == "total" { print $4 }' "$run/syscalls")
    else
        return 0
    fi
    printf 'what=syscalls\trow=%s\tproxy=%s\tcalls=%s\t%s\n' \
        "$row" "$proxy" "$calls" "$result" >>"$raw"
}

# Requests a second of each result line on standard input, the median of them.
median_rate() {
    sed -E 's/.*requests=([0-9]+).*duration_us=([0-9]+).*/\1 \2/' |
        awk '{ print $1 / $2 * 1e6 }' | sort -n |
        awk '{ a[NR] = $1 } END { if (NR) printf "%d", a[int((NR + 1) / 2)] }'
}

# Half of what nginx does in this run, the rate that the open loop keeps. Without nginx in the
# run the first proxy stands in for it.
half_capacity() {
    local peer=nginx rate
    [[ -n ${pid_of[nginx]-} ]] || peer=${proxies[0]}
    rate=$({ grep -P "what=load\trow=12B-64\t.*\tproxy=$peer\t" "$raw" || true; } | median_rate)
    if [[ -z $rate ]]; then rate=$(load get 12 64 "$(port_of "$peer")" 2 | median_rate); fi
    echo $((rate / 2))
}

open_loop() {
    python3 "$load_dir/oha.py" "http://127.0.0.1:$1/bytes/$2" "$3" "$4" "$5" | result_line
}

# Idle connections, on a proxy started for it: what a loaded proxy has freed would hide them.
idle() {
    local row=$1 round=$2 proxy=$3 connections=$4 result port
    port=$(port_of "$proxy")
    stop "$proxy"
    start "$proxy"
    load get 12 16 "$port" 1 >/dev/null
    result=$(python3 "$load_dir/idle.py" "$port" "$(worker_of "$proxy")" "$connections" |
        result_line) || exit 1
    printf 'what=idle\trow=%s\tround=%s\tproxy=%s\t%s\n' "$row" "$round" "$proxy" "$result" >>"$raw"
}
