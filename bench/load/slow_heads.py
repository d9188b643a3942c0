#!/usr/bin/env python3
"""Holds connections whose heads never end, until it is told to stop (SIGTERM).

Usage: slow_heads.py PORT COUNT SECONDS

Each of COUNT clients sends a byte every SECONDS, evenly spread. One that is answered, or whose
connection has ended, is replaced at once. Prints "ready" when all of them hang, and at the end a
line of key=value pairs. With PORT 0 they send to a socket of this process that nobody reads: what
the sending itself costs.
"""

import signal
import socket
import sys
import time

BEGINNING = b"GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: "


class Stop(Exception):
    """It was told to."""


def stop(*_: object) -> None:
    raise Stop


def begin(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(BEGINNING)
    client.setblocking(False)
    return client


def answer(client: socket.socket) -> bytes | None:
    """What came; nothing at the end of the connection, None while there is no news."""
    try:
        return client.recv(4096)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def main() -> None:
    port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sink = socket.create_server(("127.0.0.1", 0), backlog=count) if port == 0 else None
    if sink:
        port = sink.getsockname()[1]
    sent = timeouts = others = 0
    unread = []
    try:
        clients = [begin(port) for _ in range(count)]
        # Held, never read.
        unread = [sink.accept() for _ in clients] if sink else []
        print("ready", flush=True)
        due = time.monotonic()
        while True:
            for index, client in enumerate(clients):
                came = answer(client)
                if came is None:
                    try:
                        sent += client.send(b"x")
                    except OSError:
                        pass  # The next look tells.
                else:
                    if came.startswith(b"HTTP/1.1 408 "):
                        timeouts += 1
                    else:
                        others += 1
                    client.close()
                    clients[index] = begin(port)
                due += seconds / count
                wait = due - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
    except Stop:
        pass
    for connection, _ in unread:
        connection.close()
    print(f"result sent={sent} timeouts={timeouts} others={others}", flush=True)


if __name__ == "__main__":
    main()
