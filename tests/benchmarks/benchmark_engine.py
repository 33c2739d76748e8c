"""How long the local engine takes, and how much memory: `uv run python tests/benchmarks/benchmark_engine.py`.

Each size runs in a process of its own, whose peak memory is then that size's own. The journeys are as many and as
long as those of a shop with 500,000 orders and 22 sessions an order at the largest size, most of them short.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.engine import attribute
from ihc.parameters import load_parameters

ORDERS = (5_000, 50_000, 500_000)
SESSIONS_AN_ORDER = 22
REPEATS = 3


class Measured(NamedTuple):
    """One size: rows [count], the best of some times [s], the input's size and what came on top of it [bytes]."""

    rows: int
    seconds: float
    given: int
    extra: int


def make_journeys(orders: int, seed: int = 1) -> pd.DataFrame:
    """Journeys in the order of `build_journeys`: by order, then by time; lengths and gaps are heavy-tailed."""
    random = np.random.default_rng(seed)
    lengths = np.minimum(1 + random.pareto(1.05, orders) * 6, 500).astype("int64")
    lengths = np.maximum(1, lengths * (SESSIONS_AN_ORDER * orders) // lengths.sum())
    rows = int(lengths.sum())
    order = np.repeat(np.arange(orders), lengths)
    gaps = (random.lognormal(1.0, 2.5, rows) * 3_600_000_000).clip(max=30 * 24 * 3_600_000_000).astype("int64")
    moments = gaps.cumsum() % (10 * 365 * 24 * 3_600_000_000)
    moments = np.sort(order * 2**52 + moments % 2**52) % 2**52
    channels = np.array(["Direct Traffic", "Newsletter & Email", "Performance Max", "Referral", "Organic Traffic"])
    flags = random.integers(0, 2, (2, rows), dtype="int8")
    return pd.DataFrame(
        {
            "conv_id": pd.array(np.char.add("order-", order.astype("U8")), dtype="str"),
            "session_id": pd.array(np.char.add("session-", np.arange(rows).astype("U9")), dtype="str"),
            "timestamp": moments.astype("datetime64[us]"),
            "channel_name": pd.array(channels[random.integers(0, len(channels), rows)], dtype="str"),
            "holder_engagement": flags[0],
            "closer_engagement": flags[1],
        }
    )


def measure(orders: int) -> Measured:
    """Attribute so many orders a few times."""
    parameters = load_parameters()
    attribute(make_journeys(100), parameters)
    journeys = make_journeys(orders)
    before = current()
    reset_peak()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        attribute(journeys, parameters)
        times.append(time.perf_counter() - started)
    given = int(journeys.memory_usage(deep=True).sum())
    return Measured(len(journeys), min(times), given, peak() - before)


def current() -> int:
    """What this process holds in memory now [bytes]."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def reset_peak() -> None:
    """Forget the process's highest memory so far (Linux)."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak() -> int:
    """The process's highest memory since the reset [bytes]."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Print a line a size, and how the time grows between them."""
    spawn = multiprocessing.get_context("spawn")
    found = []
    for orders in ORDERS:
        with spawn.Pool(1) as pool:
            found.append(pool.apply(measure, (orders,)))
        each = found[-1]
        print(
            f"attribute, {orders:,} orders with {each.rows:,} sessions: {each.seconds:.2f} s, "
            f"{each.seconds / each.rows * 1e6:.2f} s a million rows; input {each.given / 2**20:,.0f} MiB, "
            f"at most {each.extra / 2**20:,.0f} MiB on top of it, ratio {each.extra / each.given:.2f}",
            flush=True,
        )
    for small, large in pairwise(found):
        growth = np.log(large.seconds / small.seconds) / np.log(large.rows / small.rows)
        print(f"from {small.rows:,} to {large.rows:,} rows the time grows by the power {growth:.2f}")


if __name__ == "__main__":
    main()
