#!/usr/bin/env bash
# Makes queue N of a network interface interrupt the CPU of shard N, and send from it.
set -euo pipefail

usage() {
    cat <<'END'
Usage: scripts/pin-nic-queues.sh [OPTION]... IFACE

Sets, for each receive queue N of IFACE: the affinity of its interrupt to the N-th CPU; for each
transmit queue N: XPS to the same CPU; and turns RPS off, which would move packets elsewhere. With
`shards` on the same CPUs, and `steering = "cpu"` at a listener, shard N serves what comes by queue N.
Prints each change, and remembers what was there before.

  --cpus LIST    CPUs in the order of the shards: 0-3 or 0,2,4 (all online ones)
  --dry-run      print what would be written
  --undo         write back what was there before the first run
  --state DIR    where that is remembered (/run/corelane/nic)
  --sys DIR, --proc DIR
                 in place of /sys and /proc
  -h, --help     this text

irqbalance moves interrupts again after a while: systemctl stop irqbalance, or list the interface's
interrupts in its IRQBALANCE_BANNED_INTERRUPTS.

Exit status: 0 done, 1 something failed, 2 wrong usage.
END
}

fail() {
    printf 'pin-nic-queues.sh: %s\n' "$*" >&2
    exit 1
}

wrong() {
    printf 'pin-nic-queues.sh: %s (--help explains)\n' "$*" >&2
    exit 2
}

list="" dry=no undo=no state=/run/corelane/nic sys=/sys proc=/proc interface=""
while (($#)); do
    case $1 in
    --cpus | --state | --sys | --proc)
        (($# > 1)) || wrong "$1 needs a value"
        case $1 in
        --cpus) list=$2 ;;
        --state) state=${2%/} ;;
        --sys) sys=${2%/} ;;
        --proc) proc=${2%/} ;;
        esac
        shift
        ;;
    --dry-run) dry=yes ;;
    --undo) undo=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*) wrong "no option $1" ;;
    *)
        [[ -z $interface ]] || wrong "one interface at a time"
        interface=$1
        ;;
    esac
    shift
done
[[ -n $interface ]] || wrong "name an interface; ip link lists them"
device=$sys/class/net/$interface
[[ -d $device ]] || fail "there is no interface $interface; ip link lists them"
saved=$state/$interface

# 0-2,5 to one number a line.
numbers() {
    local part
    [[ $1 =~ ^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$ ]] ||
        wrong "$1 is no list of CPUs such as 0-3 or 0,2,4"
    for part in ${1//,/ }; do seq "${part%-*}" "${part#*-}"; done
}

# The kernel's mask with one CPU: words of 32 bits in hexadecimal, separated by commas.
mask() {
    local words=$(($1 / 32)) text
    printf -v text '%x' $((1 << ($1 % 32)))
    while ((words-- > 0)); do text+=,00000000; done
    printf '%s\n' "$text"
}

# Writes a value into a file of the kernel, and remembers the one before: put FILE VALUE WHAT
put() {
    local before
    before=$(cat -- "$1" 2>/dev/null) || before=""
    if [[ $before = "$2" ]]; then
        printf 'unchanged: %s: %s\n' "$3" "$2"
        return 0
    fi
    printf '%s: %s (was %s): %s\n' "$3" "$2" "$before" "$1"
    [[ $dry = no ]] || return 0
    if [[ $undo = no ]] && ! grep -q "^$1	" "$saved" 2>/dev/null; then
        mkdir -p -- "$state"
        printf '%s\t%s\n' "$1" "$before" >>"$saved"
    fi
    printf '%s\n' "$2" >"$1" || fail "cannot write $1; run it as root"
}

if [[ $undo = yes ]]; then
    [[ -e $saved ]] || fail "nothing is remembered of $interface in $state"
    while IFS=$'\t' read -r file value; do
        put "$file" "$value" "back"
    done <"$saved"
    [[ $dry = yes ]] || rm -f -- "$saved"
    exit 0
fi

if [[ -z $list ]]; then list=$(cat -- "$sys/devices/system/cpu/online"); fi
# What is wrong with the list ends this only outside of a process substitution.
list=$(numbers "$list")
[[ -n $list ]] || wrong "the list of CPUs is empty"
mapfile -t cpus <<<"$list"

# Interrupts of the receive queues, in their order; those of the device itself, or for sending only,
# are none. `corelane doctor` goes by the same names.
mapfile -t interrupts < <(
    # A virtio device has those of the PCI device above it.
    for folder in "$device/device/msi_irqs" "$device/device/../msi_irqs"; do
        if [[ -d $folder ]]; then
            for entry in "$folder"/*; do basename -- "$entry"; done | sort -n
            break
        fi
    done
)
queues=()
for number in ${interrupts[@]+"${interrupts[@]}"}; do
    name=$(awk -v number="$number:" '$1 == number { print $NF }' "$proc/interrupts")
    case ${name,,} in
    *rx* | *-input.* | *_comp* | "${interface,,}"-[0-9]*) queues+=("$number") ;;
    esac
done
index=0
for number in ${queues[@]+"${queues[@]}"}; do
    cpu=${cpus[index % ${#cpus[@]}]}
    put "$proc/irq/$number/smp_affinity_list" "$cpu" "interrupt $number, queue $index to CPU $cpu"
    index=$((index + 1))
done
if ((index == 0)); then
    echo "no interrupts of queues are visible: the interface is virtual, or its driver names them" \
        "in an unknown way"
fi
for queue in "$device"/queues/rx-*; do
    [[ -e $queue/rps_cpus ]] || continue
    put "$queue/rps_cpus" 0 "RPS of ${queue##*/} off"
done
for queue in "$device"/queues/tx-*; do
    # Missing, or not to be written, where there is only one queue.
    if [[ ! -e $queue/xps_cpus ]] || ! cat -- "$queue/xps_cpus" >/dev/null 2>&1; then continue; fi
    number=${queue##*-}
    cpu=${cpus[number % ${#cpus[@]}]}
    put "$queue/xps_cpus" "$(mask "$cpu")" "XPS of ${queue##*/} to CPU $cpu"
done
