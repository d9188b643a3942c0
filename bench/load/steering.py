#!/usr/bin/env python3
"""Opens connections to the proxy of steering.sh, and counts by its log who serves them.

Usage: steering.py STEERING LOG ROUNDS SHARDS

Prints a line of key=value pairs for each round. The connections of a round are open at once, and
each has had an answer when they are counted.
"""

import collections
import re
import socket
import sys
import time

PROXY = ("198.18.0.1", 8080)
REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
PATIENCE_S = 20
LINE = re.compile(r"serving a connection shard=(\d+) cpu=(\d+) came_to=(\d+) accepted_by=(\d+) "
                  r"peer=Some\(([^)]*)\)")


def visit() -> socket.socket:
    client = socket.create_connection(PROXY, timeout=PATIENCE_S)
    client.sendall(REQUEST)
    if not client.recv(4096).startswith(b"HTTP/1.1 200"):
        sys.exit("steering.py: no answer")
    # A reset when it closes: its port is free at once.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return client


def read_log(log: str, offset: int, count: int) -> list[re.Match]:
    """What was said of `count` connections, beginning at that offset."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with open(log, encoding="utf-8") as file:
            file.seek(offset)
            found = [match for match in map(LINE.search, file) if match]
        if len(found) == count:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"steering.py: the log tells of {len(found)} connections, not {count}")
        time.sleep(0.01)


def one_round(steering: str, log: str, count: int, shards: int) -> None:
    with open(log, "rb") as file:
        offset = file.seek(0, 2)
    clients = [visit() for _ in range(count)]
    served = read_log(log, offset, count)
    per_shard = collections.Counter(match[1] for match in served)
    at_home = sum(match[2] == match[3] for match in served)
    handed = sum(match[1] != match[4] for match in served)
    most = max(per_shard.values()) * shards / count
    print(f"steering={steering}\tconnections={count}\tat_home={at_home}\thanded={handed}"
          f"\tmost={most:.4f}")
    for client in clients:
        client.close()
    # The proxy is to have seen that they left: the next round begins with none.
    time.sleep(0.05 + count / 10_000)


def main() -> None:
    steering, log, rounds, shards = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    for count, times in ((8, rounds), (64, rounds), (1000, max(1, rounds // 10))):
        for _ in range(times):
            one_round(steering, log, count, shards)


if __name__ == "__main__":
    main()
