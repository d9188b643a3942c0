# shellcheck shell=bash disable=SC2154
# Starts and stops the origin and the proxies of compare.sh. Sourced by it; uses its settings:
# run (scratch directory), load_dir, proxy_cpu, load_cpu, port_base, corelane_bin.

# What was started here, and nothing else, is stopped at the end.
declare -A pid_of=()

# The port of the origin or of a proxy. `direct` is the origin itself, without a proxy.
port_of() {
    case $1 in
        origin | direct) echo "$port_base" ;;
        nginx) echo $((port_base + 1)) ;;
        haproxy) echo $((port_base + 2)) ;;
        corelane) echo $((port_base + 3)) ;;
        nginx-stock) echo $((port_base + 4)) ;;
        nginx-log) echo $((port_base + 5)) ;;
        corelane-log) echo $((port_base + 6)) ;;
        nginx-cache) echo $((port_base + 7)) ;;
    esac
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Waits until a process that was just started accepts connections; fails loudly if it dies.
wait_for() {
    local name=$1 port
    port=$(port_of "$name")
    for _ in {1..100}; do
        if ! kill -0 "${pid_of[$name]}" 2>/dev/null; then break; fi
        if answers "$port"; then return; fi
        sleep 0.05
    done
    tail -n 20 "$run/$name.log" >&2
    die "$name does not listen on port $port (its last words are above)"
}

# Fills in the template of a configuration: render PROXY FILE [MORE_SED_OPTIONS].
render() {
    sed "${@:3}" -e "s|@NAME@|$1|g" -e "s|@RUN@|$run|g" -e "s|@PORT@|$(port_of "$1")|g" \
        -e "s|@ORIGIN_PORT@|$(port_of origin)|g" -e "s|@PROXY_CPU@|$proxy_cpu|g" \
        "$load_dir/$2.in" >"$run/$1.${2##*.}"
}

start() {
    local name=$1 cpu=$proxy_cpu
    local -a command
    case $name in
        origin)
            cpu=$load_cpu
            command=("$run/origin" 127.0.0.1 "$(port_of origin)")
            ;;
        nginx | nginx-stock)
            if [[ $name == nginx ]]; then
                render "$name" nginx.conf
            else
                render "$name" nginx.conf -e '/# tuned$/d'
            fi
            command=(nginx -e stderr -c "$run/$name.conf" -p "$run")
            ;;
        nginx-cache)
            render "$name" nginx.conf -e 's|# cached: ||'
            command=(nginx -e stderr -c "$run/$name.conf" -p "$run")
            ;;
        nginx-log)
            # Buffered, as Corelane's is.
            render "$name" nginx.conf \
                -e "s|access_log off;|access_log @RUN@/@NAME@.lines combined buffer=64k flush=1s;|"
            command=(nginx -e stderr -c "$run/$name.conf" -p "$run")
            ;;
        haproxy)
            render haproxy haproxy.cfg
            command=(haproxy -db -f "$run/haproxy.cfg")
            ;;
        corelane)
            render corelane corelane.toml
            command=("$corelane_bin" run -c "$run/corelane.toml")
            ;;
        corelane-log)
            render "$name" corelane.toml \
                -e 's|^\[limits\]$|[access_log]\nto = "@NAME@.lines"\n\n[limits]|'
            command=("$corelane_bin" run -c "$run/$name.toml")
            ;;
    esac
    if answers "$(port_of "$name")"; then
        die "port $(port_of "$name") is taken; choose others with --port-base"
    fi
    # The whole process is pinned, helpers included: what runs beside the worker costs too.
    # It must not inherit the lock, or would keep it if this script were killed.
    taskset -c "$cpu" "${command[@]}" >>"$run/$name.log" 2>&1 9>&- &
    pid_of[$name]=$!
    wait_for "$name"
}

stop() {
    local pid=${pid_of[$1]-}
    [[ -n $pid ]] || return 0
    unset "pid_of[$1]"
    kill -TERM "$pid" 2>/dev/null || return 0
    for _ in {1..40}; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

stop_all() {
    local name
    for name in "${!pid_of[@]}"; do stop "$name"; done
}

# The process that does the work: nginx leaves it to a child, the others do it themselves.
worker_of() {
    local pid=${pid_of[$1]} children=""
    if [[ $1 == nginx* ]]; then read -r children <"/proc/$pid/task/$pid/children" || true; fi
    echo "${children%% *}" | grep . || echo "$pid"
}

# A wrong configuration could be very fast. Every proxy must give whole answers first.
verify() {
    local name=$1 url got bytes=1048577
    url=http://127.0.0.1:$(port_of "$name")
    got=$(curl -s --noproxy '*' --max-time 20 "$url/bytes/$bytes" | wc -c)
    [[ $got -eq $bytes ]] || die "$name delivered $got of $bytes bytes"
    got=$(head -c "$bytes" /dev/zero |
        curl -s --noproxy '*' --max-time 20 -H 'Expect:' --data-binary @- "$url/upload") || true
    [[ $got == ok ]] || die "$name did not pass an upload on: '$got'"
}
