#!/usr/bin/env python3
"""Prints the tables of a comparison, and writes its results directory.

Usage: report.py --run DIR --rows FILE --rounds N --seconds S [--out DIR [--exact]]

DIR of --run holds raw.tsv, conditions.json and the configurations as they were used. With --out
the results go to a directory below it named after date and machine, or with --exact to the
directory itself. Exit status 3: something that is required was not met.
"""

import argparse
import dataclasses
import json
import os
import sys

import plot
from results import NAMES, Results, Row, Verdict, read_raw, read_rows

CONFIGS = ("nginx.conf", "nginx-stock.conf", "nginx-log.conf", "haproxy.cfg", "corelane.toml",
           "corelane-log.toml")
MISSED = 3


def number(value: float) -> str:
    """Three digits that count: 12.3, 456, 0.0123."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(header: list[str], lines: list[list[str]]) -> str:
    """A Markdown table that is also readable as it stands; numbers to the right."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(cells: list[str]) -> str:
        padded = [cell.ljust(width) if i < 2 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(cells, widths))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if i < 2 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([row(header), row(rule), *map(row, lines)])


def cost_table(results: Results) -> str:
    header = ["work", "proxy", "req/s", "CPU µs", "p50 µs", "p99 µs", "p99.9 µs", "switches",
              "syscalls", "RSS MiB", "PSS MiB"]
    lines = []
    for row in results.rows:
        if row.kind == "idle":
            continue
        for proxy in results.proxies:
            if not results.rounds(row, proxy):
                continue
            calls = results.syscalls.get((row.name, proxy))
            cells = [number(results.median(row, proxy, key)) for key in
                     ("per_second", "cpu_us", "p50_us", "p99_us", "p999_us", "switches")]
            memory = [number(results.median(row, proxy, key)) for key in ("rss_mib", "pss_mib")]
            lines.append([row.name, NAMES[proxy], *cells,
                          number(calls) if calls is not None else "", *memory])
        if row.name in results.direct:
            rate, *latencies = (number(results.direct_median(row, key)) for key in
                                ("per_second", "p50_us", "p99_us", "p999_us"))
            lines.append([row.name, "no proxy", rate, "", *latencies, *[""] * 4])
    return table(header, lines) if lines else ""


def idle_table(results: Results) -> str:
    lines = []
    for row in results.rows:
        if row.kind != "idle":
            continue
        for proxy in results.proxies:
            if results.rounds(row, proxy):
                cells = [results.median(row, proxy, key) for key in
                         ("bytes_per_connection", "anonymous_per_connection")]
                lines.append([row.title, NAMES[proxy], *(f"{cell:.0f}" for cell in cells)])
    header = ["idle memory", "proxy", "RSS bytes/connection", "anonymous bytes/connection"]
    return table(header, lines) if lines else ""


def verdict_table(verdicts: list[Verdict]) -> str:
    what = {"cpu_us": "CPU per request", "p99_us": "p99", "bytes_per_connection": "bytes each"}
    lines = []
    for verdict in verdicts:
        digits = 0 if verdict.measure == "bytes_per_connection" else 2
        against = f"{what[verdict.measure]} / {NAMES[verdict.peer]}" if verdict.peer \
            else what[verdict.measure]
        lines.append([verdict.title, against, f"{verdict.value:.{digits}f}",
                      f"{verdict.least:.{digits}f} to {verdict.most:.{digits}f}",
                      f"≤ {verdict.limit:.{digits}f}", "pass" if verdict.met else "FAIL"])
    return table(["work", "Corelane", "median", "rounds", "required", ""], lines) if lines else ""


def summary(results: Results, conditions: dict, options: argparse.Namespace) -> str:
    """All that is printed, and the body of the results' README.md."""
    parts = [f"{options.rounds} rounds of {options.seconds} s; {conditions['cpu']['model']}, "
             f"{conditions['cpu']['count']} CPUs, {conditions['kernel']}; proxy on CPU "
             f"{conditions['proxy_cpu']}, origin and load on CPU {conditions['load_cpu']}."]
    for name, rate in results.rates.items():
        parts.append(f"`{name}` keeps {rate} requests a second, half of what nginx did in this "
                     "run; latency counts from the scheduled moment.")
    parts += [cost_table(results), idle_table(results), verdict_table(results.verdicts())]
    busy = {cpu: share for cpu, share in conditions["busy_before"].items() if share > 0.05}
    doubts = [f"before the run {cpu} was {share:.0%} busy" for cpu, share in busy.items()]
    doubts += results.doubts()
    if doubts:
        parts.append("\n".join(["Doubts:", "", *(f"- {doubt}" for doubt in doubts)]))
    return "\n\n".join(part for part in parts if part)


def medians(results: Results) -> list[dict]:
    def numeric(row: Row, proxy: str) -> dict:
        lines = results.rounds(row, proxy)
        keys = [key for key, value in lines[0].items()
                if isinstance(value, (int, float)) and key != "round"]
        return {key: results.median(row, proxy, key) for key in keys}

    return [{"row": row.name, "proxy": proxy, **numeric(row, proxy),
             "syscalls": results.syscalls.get((row.name, proxy))}
            for row in results.rows for proxy in results.proxies if results.rounds(row, proxy)]


def write(results: Results, conditions: dict, options: argparse.Namespace, text: str) -> str:
    """Writes README.md, results.json and ratios.svg; returns the directory."""
    name = f"{conditions['date'][:10]}-{conditions['machine']}"
    out = options.out if options.exact else os.path.join(options.out, name)
    os.makedirs(out, exist_ok=True)
    verdicts = results.verdicts()
    configs = {}
    for config in CONFIGS:
        path = os.path.join(options.run, config)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                # The scratch directory says nothing about the run.
                configs[config] = file.read().replace(options.run, "RUN")
    document = {
        "conditions": conditions,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "verdicts": [{**dataclasses.asdict(verdict), "met": verdict.met} for verdict in verdicts],
        "medians": medians(results),
        "direct": results.direct,
        "raw": results.raw,
        "configs": configs,
    }
    with open(os.path.join(out, "results.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")
    picture = ""
    if ratios := [verdict for verdict in verdicts if verdict.peer]:
        with open(os.path.join(out, "ratios.svg"), "w", encoding="utf-8") as file:
            file.write(plot.ratios(ratios, NAMES, f"{conditions['date'][:10]}, "
                                                  f"{conditions['machine']}"))
        picture = "\n\n![Corelane's cost against its peers](ratios.svg)"
    with open(os.path.join(out, "README.md"), "w", encoding="utf-8") as file:
        file.write(f"# {name}\n\nMade by `bench/compare.sh`; `bench/README.md` says what the "
                   f"columns mean, `results.json` holds every pass.{picture}\n\n{text}\n")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--out")
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    with open(os.path.join(options.run, "conditions.json"), encoding="utf-8") as file:
        conditions = json.load(file)
    results = Results(read_rows(options.rows), read_raw(os.path.join(options.run, "raw.tsv")))
    text = summary(results, conditions, options)
    print(text)
    if options.out:
        print(f"\nwritten to {write(results, conditions, options, text)}")
    return 0 if all(verdict.met for verdict in results.verdicts()) else MISSED


if __name__ == "__main__":
    sys.exit(main())
