#!/usr/bin/env bash
# boot.sh SCENARIO BINARY: runs a scenario where systemd is the first process of namespaces of its
# own, over a copy of this machine's files that nothing is written through to. Needs root.
# Exit status: that of the scenario, or 77 after a line that says what is missing here.
set -euo pipefail

skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}

# Becomes systemd, in new namespaces: become_init FOLDER
become_init() {
    local base=$1 root=$1/root name
    mount --make-rprivate /
    mount -t tmpfs -o size=2g tmpfs "$base"
    mkdir "$base/upper" "$base/work" "$root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"
    mount -t proc proc "$root/proc"
    # What is not of these namespaces is not theirs to change.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for name in null zero full random urandom tty; do
        touch "$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mkdir "$root/run/given"
    cp -- "$2" "$root/run/given/scenario.sh"
    cp -- "$3" "$root/run/given/corelane"
    strip "$root/run/given/corelane" 2>/dev/null || true
    cp -r -- "$4/scripts" "$4/config.toml" "$root/run/given/"
    # Nothing of this machine's own is started.
    mount -t tmpfs -o mode=755 tmpfs "$root/etc/systemd/system"
    rm -rf "$root/etc/corelane" "$root/usr/local/bin/corelane"
    for name in systemd-udevd systemd-udev-trigger systemd-logind systemd-networkd \
        systemd-resolved systemd-timesyncd systemd-firstboot systemd-remount-fs console-getty; do
        ln -s /dev/null "$root/etc/systemd/system/$name.service"
    done
    printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' \
        >"$root/etc/systemd/system/corelane-test.target"
    : >"$root/etc/machine-id"
    hostname corelane-test
    echo corelane-test >"$root/etc/hostname"
    ip link set lo up
    cd "$root"
    mkdir -p old
    pivot_root . old
    umount -l /old
    exec setpriv --bounding-set -sys_time,-sys_module,-syslog,-sys_rawio,-sys_boot \
        env -i container=corelane-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=corelane-test.target --show-status=no
}

if [[ $1 = --inside ]]; then
    become_init "${@:2}"
fi

scenario=$1 binary=$2
here=$(cd -- "$(dirname -- "$0")/../.." && pwd)
[[ $(id -u) = 0 ]] || skip "only root can start a systemd of its own"
[[ -x /lib/systemd/systemd ]] || skip "there is no systemd"
for tool in unshare nsenter setpriv ip curl hostname systemctl; do
    command -v "$tool" >/dev/null || skip "there is no $tool"
done
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ -n $groups ]] || skip "no cgroup2 file system is mounted"
group=$groups/corelane-test-$$ folder=$(mktemp -d) init=""
mkdir "$group" 2>/dev/null || skip "no control group can be made in $groups"

# shellcheck disable=SC2317 # the trap calls it
finish() {
    # With the first process of its namespace all end.
    [[ -z $init ]] || kill -KILL "$init" 2>/dev/null || true
    wait 2>/dev/null || true
    for ((i = 0; i < 50; i++)); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
    rm -rf -- "$folder"
}
trap finish EXIT

(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --pid --fork --kill-child --mount --cgroup --uts --ipc --net \
        bash "$0" --inside "$folder" "$scenario" "$binary" "$here"
) >"$folder.log" 2>&1 &
outer=$!

inside() {
    nsenter --all --target "$init" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

for ((i = 0; i < 300; i++)); do
    init=$(awk '{ print $1 }' "/proc/$outer/task/$outer/children" 2>/dev/null) || true
    if [[ -n $init && $(cat "/proc/$init/comm" 2>/dev/null) = systemd ]]; then
        state=$(inside systemctl is-system-running 2>/dev/null) || true
        [[ $state = running || $state = degraded ]] && break
    fi
    kill -0 "$outer" 2>/dev/null || break
    sleep 0.1
done
if [[ ${state:-} != running && ${state:-} != degraded ]]; then
    said=$(tail -n 3 "$folder.log")
    rm -f -- "$folder.log"
    skip "systemd does not start in namespaces of its own: ${said:-it says nothing}"
fi
rm -f -- "$folder.log"
status=0
inside bash /run/given/scenario.sh || status=$?
exit "$status"
