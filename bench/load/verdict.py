#!/usr/bin/env python3
"""Judges a run of a script of this directory's parent, prints it, and writes it down.

Usage: verdict.py KIND --run DIR [--out DIR [--exact]] [--settings TEXT ...]
KIND: latency, operations, slow-heads, soak or steering.

DIR of --run holds raw.tsv and conditions.json. With --out, README.md and results.json go to
DIR/<date>-<machine>-<kind>, or with --exact to DIR itself. The settings of the run are kept with
it. Exit status: 0 what is required was met, 3 it was not.
"""

import argparse
import json
import os
import statistics
import sys

# Normal p99 beside the slow heads, as a multiple of what it is without them.
RATIO_MAX = 1.5
# Resident memory after the warm-up, from the lowest to the highest sample.
SPREAD_MAX_KIB = 2048
# A reload of 1000 routes, and what it may do to p99.
RELOAD_MAX_MS = 100
RISE_MAX_MS = 5
# What 100 reloads may leave behind.
GROWTH_MAX_KIB = 1024
# The medians of so many parts of that time tell growth from coming and going.
PARTS = 10
# Connections served on the CPU that they came to, with steering by CPU, percent.
HOME_MIN = 95


def read(path: str) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        lines = [dict(pair.split("=", 1) for pair in line.rstrip("\n").split("\t") if "=" in pair)
                 for line in file]
    return [{key: float(value) if value.replace(".", "", 1).isdigit() else value
             for key, value in line.items()} for line in lines]


def table(header: list[str], lines: list[list]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def slow_heads(raw: list[dict]) -> tuple[str, bool, dict]:
    passes = {name: [line for line in raw if line.get("row") == name]
              for name in ("without", "with")}
    medians = {name: {key: statistics.median(line[key] for line in lines)
                      for key in ("p50_us", "p99_us", "p999_us")}
               for name, lines in passes.items()}
    ratio = medians["with"]["p99_us"] / max(1, medians["without"]["p99_us"])
    failed = sum(line["errors"] for lines in passes.values() for line in lines)
    held = [line for line in raw if line.get("what") == "slow"]
    others = sum(line["others"] for line in held)
    met = ratio <= RATIO_MAX and failed == 0 and others == 0
    lines = [[name, len(passes[name]), *(f"{medians[name][key]:.0f}" for key in medians[name]),
              ", ".join(f"{line['p99_us']:.0f}" for line in passes[name])]
             for name in passes]
    text = table(["slow heads", "passes", "p50 µs", "p99 µs", "p99.9 µs", "p99 of each pass"],
                 lines)
    text += (f"\n\np99 with / without: {ratio:.2f} (at most {RATIO_MAX}). "
             f"Normal requests failed: {failed:.0f} (none may). Slow clients answered 408: "
             f"{sum(line['timeouts'] for line in held):.0f}, ended otherwise: {others:.0f} "
             f"(none may). {'pass' if met else 'FAIL'}")
    return text, met, {"ratio": ratio, "medians": medians, "failed": failed}


def latency(raw: list[dict]) -> tuple[str, bool, dict]:
    keys = ("p50_us", "p90_us", "slice_p99_us", "p99_us", "p999_us", "late_p99_us")
    passes = {}
    for line in raw:
        if line.get("what") == "pace":
            passes.setdefault(line["proxy"], []).append(line)
    medians = {name: {key: statistics.median(line[key] for line in lines) for key in keys}
               for name, lines in passes.items()}
    text = table(["proxy", "p50 µs", "p90 µs", "p99 µs of the median slice", "p99 µs", "p99.9 µs",
                  "sent late, p99 µs"],
                 [[name, *(f"{medians[name][key]:.0f}" for key in keys)] for name in passes])
    slices = against_better(passes, medians, "slice_p99_us")
    whole = against_better(passes, medians, "p99_us")
    met = slices["ratio"] <= 1
    text += (f"\n\nIn slices of 50 ms, {slices['said']} (at most 1). {'pass' if met else 'FAIL'}\n\n"
             f"Of whole passes, with the machine's pauses in them, {whole['said']}.")
    return text, met, {"slices": slices, "whole": whole, "medians": medians}


def against_better(passes: dict, medians: dict, key: str) -> dict:
    """How Corelane's p99 compares with that of the better peer in the same round."""
    peers = [name for name in ("nginx", "nginx-stock", "haproxy") if name in medians]
    better = min(peers, key=lambda name: medians[name][key])
    of_round = {name: {line["round"]: line[key] for line in lines}
                for name, lines in passes.items()}

    def ratios(of: str) -> list[float]:
        return [value / of_round[better][round_] for round_, value in of_round[of].items()]

    def said(of: list[float]) -> str:
        return f"{statistics.median(of):.2f}, {min(of):.2f} to {max(of):.2f} by rounds"

    ours = ratios("corelane")
    text = f"p99 of Corelane / {better}, the better peer: {said(ours)}"
    # Both nginx serve this work alike, so how far they lie apart is what the run can tell.
    twins = {"nginx", "nginx-stock"} - {better}
    if better.startswith("nginx") and twins <= medians.keys():
        twin = twins.pop()
        text += f"; {twin}, which serves this work alike, / {better}: {said(ratios(twin))}"
    return {"better": better, "ratio": statistics.median(ours), "ratios": ours, "said": text}


def soak(raw: list[dict]) -> tuple[str, bool, dict]:
    samples = [(line["at"], line["rss_kib"], line["warm"] == 1) for line in raw
               if line.get("what") == "rss"]
    warm = [kib for _, kib, is_warm in samples if is_warm]
    part = max(1, len(warm) // PARTS)
    medians = [statistics.median(warm[at:at + part])
               for at in range(0, len(warm) - part + 1, part)]
    spread = max(warm) - min(warm)
    growth = statistics.median(warm[-2 * part:]) - statistics.median(warm[:2 * part])
    loads = [line for line in raw if line.get("what") == "load"]
    failed = sum(line["errors"] for line in loads)
    met = spread <= SPREAD_MAX_KIB and failed == 0
    step = max(1, len(samples) // 60)
    series = table(["seconds", "RSS KiB", ""],
                   [[f"{at:.0f}", f"{kib:.0f}", "" if is_warm else "warm-up"]
                    for at, kib, is_warm in samples[::step]])
    work = table(["load", "requests", "bytes", "failed"],
                 [[line["row"], f"{line['requests']:.0f}", f"{line['bytes']:.0f}",
                   f"{line['errors']:.0f}"] for line in loads])
    aborted = sum(line["visits"] for line in raw if line.get("what") == "aborts")
    text = (f"{series}\n\n{work}\n\nAborted at random: {aborted:.0f} visits.\n\n"
            f"Resident after warm-up: {min(warm):.0f} to {max(warm):.0f} KiB, spread {spread:.0f} "
            f"KiB (at most {SPREAD_MAX_KIB}); medians of its tenths from {min(medians):.0f} to "
            f"{max(medians):.0f} KiB; last fifth less first fifth: {growth:+.0f} KiB. "
            f"Requests failed: {failed:.0f} (none may). {'pass' if met else 'FAIL'}")
    return text, met, {"spread_kib": spread, "growth_kib": growth, "failed": failed}


def operations(raw: list[dict]) -> tuple[str, bool, dict]:
    loads = [line for line in raw if line.get("what") == "load"]
    states = {(line["part"], line["when"]): line for line in raw if line.get("what") == "state"}
    before, after = states["reloads", "before"], states["reloads", "after"]
    passes = {name: [line["p99_us"] / 1000 for line in raw if line.get("reloads") == name]
              for name in ("no", "yes")}
    rise = statistics.median(passes["yes"]) - statistics.median(passes["no"])
    took = [line["milliseconds"] for line in raw if line.get("what") == "reload"]
    failed = sum(line["errors"] for line in loads)
    growth = after["rss_kib"] - before["rss_kib"]
    met = (failed == 0 and max(took) < RELOAD_MAX_MS and rise <= RISE_MAX_MS
           and growth <= GROWTH_MAX_KIB
           and all(after[key] == before[key] for key in ("files", "threads")))
    text = table(["under full load", "times", "requests", "failed"],
                 [[line["part"], f"{line['count']:.0f}", f"{line['requests']:.0f}",
                   f"{line['errors']:.0f}"] for line in loads])
    text += "\n\n" + table(
        ["", "RSS KiB", "descriptors", "threads"],
        [[f"{when} the reloads", *(f"{line[key]:.0f}" for key in ("rss_kib", "files", "threads"))]
         for when, line in (("before", before), ("after", after))])
    text += (f"\n\nA large reload took {statistics.median(took):.1f} ms in the median and "
             f"{max(took):.1f} ms at most, of {len(took)} (less than {RELOAD_MAX_MS}). p99 with a "
             f"large reload a second, ms: {', '.join(f'{p99:.2f}' for p99 in passes['yes'])}; "
             f"without: {', '.join(f'{p99:.2f}' for p99 in passes['no'])}; it rose by {rise:.2f} "
             f"(at most {RISE_MAX_MS}). Resident memory grew by {growth:.0f} KiB (at most "
             f"{GROWTH_MAX_KIB}). {'pass' if met else 'FAIL'}")
    return text, met, {"failed": failed, "rise_ms": rise, "slowest_ms": max(took),
                       "growth_kib": growth}


def steering(raw: list[dict]) -> tuple[str, bool, dict]:
    rounds = {}
    for line in raw:
        rounds.setdefault((line["steering"], int(line["connections"])), []).append(line)
    lines, summary, met = [], {}, True
    for (how, count), some in rounds.items():
        total = count * len(some)
        home = 100 * sum(line["at_home"] for line in some) / total
        handed = 100 * sum(line["handed"] for line in some) / total
        most = [line["most"] for line in some]
        median, worst = statistics.median(most), max(most)
        met = met and not (how == "cpu" and home < HOME_MIN)
        lines.append([how, count, len(some), f"{home:.1f} %", f"{median:.2f}", f"{worst:.2f}",
                      f"{handed:.1f} %"])
        summary[f"{how}-{count}"] = {"at_home_percent": home, "most_median": median,
                                     "most_worst": worst, "handed_percent": handed}
    text = table(["steering", "connections", "rounds", "served where they came to",
                  "most loaded / mean, median", "worst round", "handed over"], lines)
    text += (f"\n\nOf the connections of `cpu`, at least {HOME_MIN} % must be served where they "
             f"came to. {'pass' if met else 'FAIL'}")
    return text, met, summary


JUDGES = {"latency": latency, "operations": operations, "slow-heads": slow_heads, "soak": soak,
          "steering": steering}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(JUDGES))
    parser.add_argument("--run", required=True)
    parser.add_argument("--out")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--settings", nargs="*", default=[])
    options = parser.parse_args()
    raw = read(os.path.join(options.run, "raw.tsv"))
    with open(os.path.join(options.run, "conditions.json"), encoding="utf-8") as file:
        conditions = json.load(file)
    text, met, numbers = JUDGES[options.kind](raw)
    about = (f"{conditions['cpu']['model']}, {conditions['cpu']['count']} CPUs, "
             f"{conditions['kernel']}; {', '.join(options.settings)}.")
    print(f"{about}\n\n{text}")
    if options.out:
        name = f"{conditions['date'][:10]}-{conditions['machine']}-{options.kind}"
        out = options.out if options.exact else os.path.join(options.out, name)
        os.makedirs(out, exist_ok=True)
        document = {"conditions": conditions, "settings": options.settings, "met": met,
                    **numbers, "raw": raw}
        with open(os.path.join(out, "results.json"), "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
        with open(os.path.join(out, "README.md"), "w", encoding="utf-8") as file:
            file.write(f"# {options.kind}, {conditions['date'][:10]}\n\n{about}\n\n{text}\n")
        print(f"\nwritten to {out}")
    return 0 if met else 3


if __name__ == "__main__":
    sys.exit(main())
