#!/usr/bin/env python3
"""Prints, as JSON, what a comparison ran on: machine, kernel, versions, and how busy it was.

Usage: conditions.py PROXY_CPU LOAD_CPU [CORELANE_BINARY]

A number without its conditions is an anecdote; this goes into every results file.
"""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time

SYSCTLS = ["net/core/somaxconn", "net/core/rmem_max", "net/core/wmem_max", "net/ipv4/tcp_rmem",
           "net/ipv4/tcp_wmem", "net/ipv4/tcp_congestion_control", "fs/pipe-max-size",
           "fs/pipe-user-pages-soft", "kernel/perf_event_paranoid"]


def output(*command: str) -> str:
    """What a command prints, both streams; empty when there is no such command."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def first_line(*command: str) -> str:
    lines = output(*command).splitlines()
    return lines[0].strip() if lines else ""


def read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def cpu() -> dict:
    info = read("/proc/cpuinfo")

    def field(name: str) -> str:
        found = re.search(rf"^{name}\s*:\s*(.*)$", info, re.MULTILINE)
        return found.group(1).strip() if found else ""

    return {"model": field("model name"), "mhz": field("cpu MHz"), "count": os.cpu_count(),
            "virtual": "hypervisor" in field("flags").split(),
            "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")}


def machine_name(processor: dict) -> str:
    """Says what kind of machine it is, not which one: vm-2core-amd-epyc."""
    model = re.sub(r"\(.*?\)|processor|cpu|@.*$", " ", processor["model"].lower())
    slug = re.sub(r"[^a-z0-9]+", "-", model).strip("-") or platform.machine()
    return f"{'vm' if processor['virtual'] else 'metal'}-{processor['count']}core-{slug}"


def busy(cpus: list[str]) -> dict[str, float]:
    """The share of a second that each CPU works before anything was started."""
    def ticks() -> dict[str, tuple[int, int]]:
        found = {}
        for line in read("/proc/stat").splitlines():
            name, *counts = line.split()
            if name in {f"cpu{number}" for number in cpus}:
                numbers = [int(count) for count in counts]
                found[name] = (sum(numbers[:8]) - numbers[3] - numbers[4], sum(numbers[:8]))
        return found

    before = ticks()
    time.sleep(1)
    after = ticks()
    return {name: round((after[name][0] - before[name][0])
                        / max(1, after[name][1] - before[name][1]), 3) for name in before}


def corelane(binary: str) -> dict:
    here = os.path.dirname(os.path.abspath(__file__))
    return {"version": first_line(binary, "--version"),
            "commit": first_line("git", "-C", here, "rev-parse", "HEAD"),
            "changed_since_commit": bool(output("git", "-C", here, "status", "--porcelain"))}


def main() -> None:
    cpus, binary = sys.argv[1:3], sys.argv[3] if len(sys.argv) > 3 else ""
    processor = cpu()
    memory = re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo"))
    conditions = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine_name(processor),
        "cpu": processor,
        "memory_mib": int(memory.group(1)) // 1024 if memory else None,
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "proxy_cpu": int(cpus[0]),
        "load_cpu": int(cpus[1]),
        "busy_before": busy(cpus),
        "sysctl": {name: read(f"/proc/sys/{name}") for name in SYSCTLS},
        "versions": {
            "nginx": first_line("nginx", "-v"),
            "haproxy": first_line("haproxy", "-v"),
            "wrk": first_line("wrk", "-v").split(" Copyright")[0],
            "oha": first_line("oha", "--version"),
            "cc": first_line("cc", "--version"),
        },
    }
    if binary:
        conditions["corelane"] = corelane(binary)
    json.dump(conditions, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
