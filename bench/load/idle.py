#!/usr/bin/env python3
"""Holds idle keep-alive connections on a proxy and prints what they cost it in memory.

Usage: idle.py PORT PID COUNT

Opens COUNT connections one after the other, makes one request on each, keeps them all open,
and prints how much the resident memory of process PID grew. Give it a proxy that has served a
little load and few connections: then its code is mapped, and no freed memory hides the growth.
"""

import socket
import sys
import time

REQUEST = b"GET /bytes/12 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# A proxy may still be folding up its buffers when the last answer has arrived.
SETTLE_SECONDS = 1.0


def memory(pid: str) -> dict[str, int]:
    """Resident and anonymous bytes, exact: the counters in status lag behind by pages."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        fields = dict(line.split(":", 1) for line in rollup if ":" in line and "kB" in line)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("Rss", "Anonymous")}


def connect(port: int) -> socket.socket:
    """One connection that has had one whole answer."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"\r\n\r\n" + b"x" * 12):
        piece = client.recv(4096)
        if not piece:
            sys.exit(f"the proxy closed a connection after {answer!r}")
        answer += piece
    return client


def main() -> None:
    port, pid, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    before = memory(pid)
    clients = [connect(port) for _ in range(count)]
    time.sleep(SETTLE_SECONDS)
    after = memory(pid)
    growth = after["Rss"] - before["Rss"]
    anonymous = after["Anonymous"] - before["Anonymous"]
    print(f"result connections={len(clients)} rss_before={before['Rss']} rss_after={after['Rss']} "
          f"bytes_per_connection={growth / count:.0f} "
          f"anonymous_per_connection={anonymous / count:.0f} errors=0")


if __name__ == "__main__":
    main()
