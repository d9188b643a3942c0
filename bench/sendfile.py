#!/usr/bin/env python3
"""Sending a file from the page cache: sendfile(2) against splice(2) through a pipe.

CPU time of the sender for each MiB, in microseconds, the two taking turns; the receiver has another
CPU. Says why files leave by sendfile (ARCHITECTURE.md)."""

import fcntl
import os
import resource
import socket
import statistics
import tempfile

SIZE, REPEATS, ROUNDS = 1 << 20, 400, 15
F_SETPIPE_SZ = 1031


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def receiver():
    """A connection to a process that throws away what it gets, and that process."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {1})
        peer = socket.create_connection(listener.getsockname())
        buffer = bytearray(1 << 18)
        while peer.recv_into(buffer):
            pass
        os._exit(0)
    connection, _ = listener.accept()
    listener.close()
    return connection, child


def by_sendfile(to, file, _pipe):
    at = 0
    while at < SIZE:
        at += os.sendfile(to, file, at, SIZE - at)


def by_splice(to, file, pipe):
    out, into = pipe
    at = 0
    while at < SIZE:
        held = os.splice(file, into, SIZE - at, offset_src=at)
        at += held
        while held:
            held -= os.splice(out, to, held)


def cost(send, file, pipe):
    connection, child = receiver()
    before = cpu()
    for _ in range(REPEATS):
        send(connection.fileno(), file, pipe)
    used = cpu() - before
    connection.close()
    os.waitpid(child, 0)
    return used / REPEATS * 1e6


def main():
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryFile() as file:
        file.write(os.urandom(SIZE))
        file.flush()
        print("| pipe | sendfile µs | splice µs | sendfile / splice |")
        print("|---|---|---|---|")
        for kib in (64, 1024):
            pipe = os.pipe()
            fcntl.fcntl(pipe[1], F_SETPIPE_SZ, kib << 10)
            pairs = [
                (cost(by_sendfile, file.fileno(), pipe), cost(by_splice, file.fileno(), pipe))
                for _ in range(ROUNDS)
            ]
            sent, spliced = (statistics.median(side) for side in zip(*pairs))
            ratios = sorted(one / other for one, other in pairs)
            print(
                f"| {kib} KiB | {sent:.0f} | {spliced:.0f} | {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f}) |"
            )


if __name__ == "__main__":
    main()
