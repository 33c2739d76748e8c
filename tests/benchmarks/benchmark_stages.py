"""Time each stage at each size, for our function and its peers; `run.py` calls this and makes a table.

One case: `uv run --group peers pytest -n 0 "tests/benchmarks/benchmark_stages.py::test_stage[journeys-4k-Polars]"`.
Sizes up to 200k take seconds, 5m takes up to minutes for some peers. A peer's time counts only if its result equals
ours. Each contender is called once before timing: the first call imports modules and allocates memory, which may take
longer than the work. The extra memory is that of the first call.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import memory
import pytest
from shop import SIZES, Shop
from stages import OURS, STAGES, STORED

ROUNDS = {"4k": 5, "200k": 3, "5m": 3}
PATIENCE = {"4k": 1, "200k": 1, "5m": 10}  # [s]; slower cases are measured once
CASES = [
    (stage, size, name)
    for size in SIZES
    for stage, each in STAGES.items()
    for name in (OURS, *each.peers)
    if name == OURS or each.peers[name].does(size)
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    kept = os.environ.get("IHC_BENCHMARK_FOLDER")
    return Path(kept) if kept else tmp_path_factory.mktemp("shops")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("stage", "size", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_stage(stage, size, name, folder, benchmark):
    each, shop = STAGES[stage], Shop(folder, size)
    if name != OURS and not each.peers[name].is_there:
        pytest.skip(f"needs {each.peers[name].needs}: uv sync --group peers")
    work, small = each.contender(name, Shop(folder, "4k"))
    work(*small)
    _, given = each.contender(name, shop)
    before, begun = memory.settle(), time.perf_counter()
    result = work(*given)
    took = time.perf_counter() - begun
    extra = memory.peak() - before - memory.size(result, given)
    del result
    result = benchmark.pedantic(work, args=given, rounds=ROUNDS[size] if took < PATIENCE[size] else 1)
    benchmark.extra_info.update(stage=stage, size=size, contender=name, rows=each.rows(shop), extra=extra)
    del given  # the largest have gigabytes
    if name != OURS:
        benchmark.extra_info["same"] = each.peers[name].same(each.work(*each.given(shop)), result) or ""
    shutil.rmtree(shop.folder / STORED, ignore_errors=True)
