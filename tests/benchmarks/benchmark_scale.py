"""Attribute a large shop, made file by file, on workers with a few gigabytes: time and memory of a worker.

    uv run python tests/benchmarks/benchmark_scale.py 1000000 10000000 --memory 4 --folder /tmp/large
"""  # fmt: skip

import argparse
import math
import shutil
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from ihc.models.parameters import load_parameters
from ihc.pipeline.sample import CHANNELS
from ihc.scale.cluster import connected
from ihc.scale.job import Input, Job, scale
from ihc.scale.output import open_output
from ihc.scale.parquet import find_files
from ihc.scale.parts import Plan

ROWS = 1_000_000  # sessions per file
DAYS = 90
NAMES = np.array([channel.name for channel in CHANNELS])


def make_shop(folder: Path, sessions: int, seed: int = 1) -> None:
    """Make files with some days of all users each, like exports, so that a user's sessions are in several files.

    Five sessions per user, orders for four users in ten, and costs for seven sessions in ten.
    """
    users = sessions // 5
    files = max(1, sessions // ROWS)
    for name in ("sessions", "conversions", "costs"):
        (folder / name).mkdir(parents=True)
    for number in range(files):
        random = np.random.default_rng([seed, number])
        first, count = number * sessions // files, (number + 1) * sessions // files - number * sessions // files
        days = number * DAYS // files, max((number + 1) * DAYS // files, number * DAYS // files + 1)
        ids = _ids("s", np.arange(first, first + count))
        write(
            folder / "sessions" / f"{number:04d}.parquet",
            session_id=ids,
            user_id=_ids("u", random.integers(0, users, count)),
            **_moments(random, days, count, "event_date", "event_time"),
            channel_name=pa.DictionaryArray.from_arrays(random.integers(0, len(NAMES), count, "int32"), NAMES),
            **{name: random.integers(0, 2, count, "int8") for name in ("holder_engagement", "closer_engagement")},
            impression_interaction=np.zeros(count, "int8"),
        )
        orders = count * 2 // 25
        write(
            folder / "conversions" / f"{number:04d}.parquet",
            conv_id=_ids("k", first * 2 // 25 + number + np.arange(orders)),
            user_id=_ids("u", random.integers(0, users, orders)),
            **_moments(random, days, orders, "conv_date", "conv_time"),
            revenue=np.round(random.lognormal(4, 0.6, orders), 2),
        )
        paid = np.flatnonzero(random.random(count) < 0.7)
        write(
            folder / "costs" / f"{number:04d}.parquet",
            session_id=ids.take(pa.array(paid)),
            cost=np.round(random.gamma(4, 0.25, len(paid)), 4),
        )


def _ids(letter, numbers):
    # Multiplied by an odd number, so that consecutive ids look different; unique below 2^63.
    mixed = (numbers.astype("uint64") * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(1)
    return pa.array(np.char.add(letter, mixed.astype("U20")), pa.string())


def _moments(random, days, count, date, clock):
    day = np.datetime64("2025-01-01") + np.sort(random.integers(*days, count))
    seconds = random.integers(0, 86_400, count).astype("int32")
    return {date: pa.array(day), clock: pa.array(seconds, pa.time32("s"))}


def write(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=250_000)


class Watch(threading.Thread):
    """The maximum memory [bytes] of any child process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.own, self.stopped = 0, 0, threading.Event()

    def run(self):
        me = psutil.Process()
        while not self.stopped.wait(0.1):
            self.own = max(self.own, me.memory_info().rss)
            for child in me.children(recursive=True):
                try:
                    self.most = max(self.most, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


def measure(folder: Path, sessions: int, memory: float) -> tuple[float, int]:
    shop = folder / f"shop-{sessions}"
    shutil.rmtree(shop, ignore_errors=True)
    began = time.perf_counter()
    make_shop(shop, sessions)
    made = time.perf_counter() - began
    files = Input(*(find_files(str(shop / name), name) for name in ("sessions", "conversions", "costs")))
    job = Job(files, Plan(load_parameters()), open_output(str(shop / "out")))
    watch = Watch()
    watch.start()
    began, stages = time.perf_counter(), {}

    def progress(stage, done, total):
        stages.setdefault(stage, [time.perf_counter(), 0.0])
        stages[stage][1] = time.perf_counter() - stages[stage][0]

    with connected(None, f"{memory}GB") as client:
        found = scale(client, job, progress)
    seconds = time.perf_counter() - began
    watch.stopped.set()
    size = sum(path.stat().st_size for path in shop.rglob("*.parquet")) / 1e9
    print(
        f"{sessions:>12,} sessions, {found.parts} parts: {seconds:.1f} s, worker at most {watch.most / 1e9:.2f} GB, "
        f"client {watch.own / 1e9:.2f} GB; {found.credits:,} credits; made in {made:.0f} s, {size:.2f} GB of Parquet"
    )
    print("             ", ", ".join(f"{stage} {spent:.1f} s" for stage, (_, spent) in stages.items()), flush=True)
    shutil.rmtree(shop)
    return seconds, watch.most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", type=int, nargs="+")
    parser.add_argument("--memory", type=float, default=4.0, help="GB per worker")
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    found = [(count, *measure(arguments.folder, count, arguments.memory)) for count in arguments.sessions]
    for (small, *before), (large, *after) in pairwise(found):
        times, memory = (math.log(b / a) / math.log(large / small) for a, b in zip(before, after, strict=True))
        print(f"from {small:,} to {large:,}: seconds grow by n^{times:.2f}, the memory of a worker by n^{memory:.2f}")


if __name__ == "__main__":
    main()
