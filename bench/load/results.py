"""What a comparison measured: reads the raw lines, derives costs, compares, judges."""

import dataclasses
import os
import statistics

# Requests of this size and more are counted by their bytes: those cut off by the end of a pass
# were mostly paid for, and there are few of them.
COUNT_BY_BYTES = 1 << 20
# Above these the numbers of a round are doubtful, and the report says so.
FOREIGN_SHARE_MAX = 0.05
CLOCKS_DISAGREE_MAX = 0.03

PEERS = ("nginx", "nginx-stock", "haproxy")
NAMES = {"nginx": "nginx", "nginx-stock": "stock nginx", "nginx-cache": "nginx, file cache",
         "nginx-log": "nginx, access log",
         "haproxy": "HAProxy", "corelane": "Corelane", "corelane-log": "Corelane, access log"}
# What an access log may add to the CPU per request.
LOG_MOST = 1.10


@dataclasses.dataclass
class Row:
    """One workload of rows.tsv."""
    name: str
    kind: str
    bytes: int
    connections: int
    limits: dict[str, float]
    title: str

    @property
    def measure(self) -> str:
        """The key of a pass that is compared."""
        return {"rate": "p99_us", "idle": "bytes_per_connection"}.get(self.kind, "cpu_us")


@dataclasses.dataclass
class Verdict:
    """A requirement and how it went. For idle the value is bytes, otherwise a ratio."""
    row: str
    title: str
    measure: str
    peer: str
    value: float
    least: float
    most: float
    limit: float

    @property
    def met(self) -> bool:
        return self.value <= self.limit


def read_rows(path: str) -> list[Row]:
    rows = []
    with open(path, encoding="ascii") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            name, kind, size, connections, nginx, haproxy, title = line.rstrip("\n").split("\t")
            limits = {peer: float(limit) for peer, limit in zip(PEERS, (nginx, nginx, haproxy))
                      if limit != "-"}
            rows.append(Row(name, kind, int(size), int(connections), limits, title))
    return rows


def read_raw(path: str) -> list[dict]:
    def value(text: str):
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text

    with open(path, encoding="ascii") as file:
        pairs = [[pair.split("=", 1) for pair in line.split("\t") if "=" in pair]
                 for line in file.read().splitlines()]
    return [{key: value(text) for key, text in line} for line in pairs]


def units(row: Row, line: dict) -> float:
    """How many requests a pass served."""
    if row.kind in ("get", "file") and row.bytes >= COUNT_BY_BYTES:
        return line["bytes"] / row.bytes
    return line["requests"]


def derive(row: Row, line: dict) -> dict:
    """Costs per request of one timed pass."""
    def spent(counter: str) -> int:
        return line[f"after_{counter}"] - line[f"before_{counter}"]

    tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
    served = max(units(row, line), 1e-9)
    elapsed_us = (line["ended"] - line["started"]) * 1e6
    run_us, ticks_us = spent("run_ns") / 1e3, spent("ticks") * tick_us
    return {
        "per_second": served / (line["duration_us"] / 1e6),
        "cpu_us": run_us / served,
        "cpu_ticks_us": ticks_us / served,
        # Each clock may be one tick off at either end.
        "clocks_agree": abs(run_us - ticks_us) <= CLOCKS_DISAGREE_MAX * run_us + 2 * tick_us,
        "p50_us": line["p50_us"], "p99_us": line["p99_us"], "p999_us": line["p999_us"],
        "voluntary": spent("vol") / served,
        "involuntary": spent("invol") / served,
        "switches": (spent("vol") + spent("invol")) / served,
        "proxy_cpu_busy": spent("proxy_cpu") * tick_us / elapsed_us,
        "load_cpu_busy": spent("load_cpu") * tick_us / elapsed_us,
        "foreign_share": max(0.0, (spent("proxy_cpu") * tick_us - run_us) / elapsed_us),
        "stolen_share": spent("steal") * tick_us / elapsed_us,
        "rss_mib": line["rss_kib"] / 1024, "pss_mib": line["pss_kib"] / 1024,
        "errors": line["errors"],
    }


def derive_direct(row: Row, line: dict) -> dict:
    """As far as a pass without a proxy has them."""
    return {"per_second": units(row, line) / (line["duration_us"] / 1e6),
            "p50_us": line["p50_us"], "p99_us": line["p99_us"], "p999_us": line["p999_us"]}


class Results:
    """All passes of a run, by row, proxy and round."""

    def __init__(self, rows: list[Row], raw: list[dict]) -> None:
        self.raw = raw
        self.passes: dict[tuple[str, str], dict[int, dict]] = {}
        self.syscalls: dict[tuple[str, str], float] = {}
        self.direct: dict[str, list[dict]] = {}
        self.rates: dict[str, int] = {}
        by_name = {row.name: row for row in rows}
        for line in raw:
            row, proxy = by_name[line["row"]], line.get("proxy", "")
            if line["what"] == "load":
                self.passes.setdefault((row.name, proxy), {})[line["round"]] = derive(row, line)
                if "rate" in line:
                    self.rates[row.name] = line["rate"]
            elif line["what"] == "idle":
                self.passes.setdefault((row.name, proxy), {})[line["round"]] = line
            elif line["what"] == "syscalls":
                self.syscalls[row.name, proxy] = line["calls"] / max(units(row, line), 1e-9)
            elif line["what"] == "direct":
                self.direct.setdefault(row.name, []).append(derive_direct(row, line))
        self.rows = [row for row in rows if any(key[0] == row.name for key in self.passes)]
        self.proxies = [name for name in NAMES if any(key[1] == name for key in self.passes)]

    def rounds(self, row: Row, proxy: str) -> list[dict]:
        found = self.passes.get((row.name, proxy), {})
        return [found[number] for number in sorted(found)]

    def median(self, row: Row, proxy: str, key: str) -> float:
        return statistics.median(line[key] for line in self.rounds(row, proxy))

    def verdicts(self) -> list[Verdict]:
        found = []
        for row in self.rows:
            ours = self.rounds(row, "corelane")
            if not ours:
                continue
            if row.kind == "idle":
                values = [line[row.measure] for line in ours]
                found.append(self.verdict(row, "", values, row.limits["nginx"]))
                continue
            for peer, limit in row.limits.items():
                # Rounds are compared one by one: what changes between them changes for both.
                values = [our[row.measure] / max(theirs[row.measure], 1e-9)
                          for our, theirs in zip(ours, self.rounds(row, peer))]
                if values:
                    found.append(self.verdict(row, peer, values, limit))
                    if row.kind == "rate":
                        # Pauses that hit one pass and not the next are no ratio of anything.
                        found[-1].value = (self.median(row, "corelane", row.measure)
                                           / max(self.median(row, peer, row.measure), 1e-9))
            if row.kind != "rate":
                values = [logged[row.measure] / max(our[row.measure], 1e-9)
                          for our, logged in zip(ours, self.rounds(row, "corelane-log"))]
                if values:
                    logged = self.verdict(row, "corelane", values, LOG_MOST)
                    logged.title = f"{row.title}, access log"
                    found.append(logged)
        return found

    def direct_median(self, row: Row, key: str) -> float:
        return statistics.median(line[key] for line in self.direct[row.name])

    @staticmethod
    def verdict(row: Row, peer: str, values: list[float], limit: float) -> Verdict:
        return Verdict(row.name, row.title, row.measure, peer, statistics.median(values),
                       min(values), max(values), limit)

    def doubts(self) -> list[str]:
        """What a reader must know before believing the numbers."""
        found = []
        for row in self.rows:
            for proxy in self.proxies:
                found += self.doubts_of(row, proxy)
        return found

    def doubts_of(self, row: Row, proxy: str) -> list[str]:
        lines, found = self.rounds(row, proxy), []
        where = f"{row.name}, {NAMES[proxy]}"
        if errors := sum(line["errors"] for line in lines):
            found.append(f"{where}: {errors} requests failed")
        if row.kind == "idle" or not lines:
            return found
        shared = [line for line in lines
                  if line["foreign_share"] + line["stolen_share"] > FOREIGN_SHARE_MAX]
        if shared:
            worst = max(line["foreign_share"] + line["stolen_share"] for line in shared)
            found.append(f"{where}: other work had up to {worst:.0%} of the proxy's CPU "
                         f"in {len(shared)} of {len(lines)} rounds")
        if not all(line["clocks_agree"] for line in lines):
            found.append(f"{where}: schedstat and clock ticks disagree on its CPU time")
        rate = self.rates.get(row.name)
        if rate and (slowest := min(line["per_second"] for line in lines)) < 0.97 * rate:
            found.append(f"{where}: only {slowest:.0f} of {rate} requests a second were kept up")
        return found
