#!/usr/bin/env python3
"""Runs oha as an open loop and prints the same line as wrk.lua does.

Usage: oha.py URL CONNECTIONS RATE SECONDS

Requests leave on a schedule whatever the answers do, and latency counts from the scheduled
moment (--latency-correction), so a proxy that stalls cannot hide behind a waiting client.
"""

import json
import subprocess
import sys


def main() -> None:
    url, connections, rate, seconds = sys.argv[1:5]
    command = ["oha", "--no-tui", "--worker-threads", "1", "--output-format", "json",
               "--latency-correction", "-c", connections, "-q", rate, "-z", f"{seconds}s", url]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    statuses = report["statusCodeDistribution"]
    answered = sum(statuses.values())
    # Requests that the end of the run cuts off are no fault of the proxy.
    failed = sum(count for cause, count in report["errorDistribution"].items()
                 if "deadline" not in cause) + answered - statuses.get("200", 0)
    micros = {name: round(report["latencyPercentiles"][name] * 1e6)
              for name in ("p50", "p99", "p99.9")}
    print(f"result requests={answered} bytes={report['summary']['totalData']} "
          f"duration_us={round(report['summary']['total'] * 1e6)} p50_us={micros['p50']} "
          f"p99_us={micros['p99']} p999_us={micros['p99.9']} errors={failed} rate={rate}")


if __name__ == "__main__":
    main()
