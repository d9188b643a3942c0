#!/usr/bin/env python3
"""Clients that abort at random, until SIGTERM.

Usage: aborts.py PORT SEED

Each client stops at a random place of a download or an upload, of a size that is copied or one
that is spliced: in the head, in the body, before the answer or within it. Then it closes its
connection, resets it, or ends its side and closes after that. Ends with a line of key=value pairs.
"""

import random
import signal
import socket
import struct
import sys

SIZES = [12, 1000, 16 << 10, 60 << 10, 100 << 10, 1 << 20, 4 << 20]
# At most this much is read of a body before the abort.
READ_MAX = 512 << 10


class Stop(Exception):
    """It was told to."""


def stop(*_: object) -> None:
    raise Stop


def request(rng: random.Random) -> bytes:
    size = rng.choice(SIZES)
    if rng.random() < 0.5:
        return f"GET /bytes/{size} HTTP/1.1\r\nHost: aborts\r\n\r\n".encode()
    head = f"POST /upload HTTP/1.1\r\nHost: aborts\r\nContent-Length: {size}\r\n\r\n".encode()
    return head + bytes(size)


def visit(port: int, rng: random.Random) -> None:
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    with client:
        whole = request(rng)
        part = rng.choice([rng.randrange(min(len(whole), 60)), rng.randrange(len(whole)),
                           len(whole)])
        client.sendall(whole[:part])
        if part == len(whole):
            left = rng.randrange(READ_MAX) if rng.random() < 0.7 else 0
            while left > 0:
                # A small response may be all there is: its connection stays open.
                client.settimeout(0.01)
                try:
                    came = len(client.recv(min(left, 65536)))
                except TimeoutError:
                    break
                if came == 0:
                    break
                left -= came
        way = rng.randrange(3)
        if way == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif way == 1:
            client.shutdown(socket.SHUT_WR)


def main() -> None:
    port, rng = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    visits = 0
    try:
        while True:
            try:
                visit(port, rng)
            except OSError:
                pass  # The proxy may be faster.
            visits += 1
    except Stop:
        pass
    print(f"result visits={visits}", flush=True)


if __name__ == "__main__":
    main()
