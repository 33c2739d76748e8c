"""Measure all stages and their peers and print a table: `uv run --group peers python tests/benchmarks/run.py`.

Each size is measured several times, alternating between contenders, and the minimum time counts, because other
processes may disturb; at 5m each contender has its own process. The first call in a process does not count. Extra
memory is the peak during the call, minus the memory before it, minus the size of the result.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from growth import draw_growth
from shop import SIZES
from stages import OURS, STAGES

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "performance.md"
CHART = PAGE.with_name("growth.svg")
BEGINS, ENDS = (
    "<!-- The figures that follow are written by tests/benchmarks/run.py. -->",
    "<!-- End of the figures. -->",
)
PACKAGES = ("pandas", "numpy", "pyarrow", "duckdb", "polars", "ChannelAttribution", "marketing-attribution-models")
ROUNDS = {"4k": 3, "200k": 3, "5m": 2}
SLOW = {"4k": 1, "200k": 2, "5m": 8}  # [s]; slower cases are measured once
MOST_SECONDS = 1200
HEAD = ["Stage", "Sessions", "Seconds", "Million rows/s", "Extra memory", "Growth", "Peers: seconds, times ours"]

Figures = dict[tuple[str, str, str], dict[str, Any]]  # by stage, size, contender


def main() -> int:
    """Measure, print the table and optionally write it to the page; returns 1 if a case could not be measured."""
    asked = _asked()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked.sizes, asked.stages, Path(asked.folder or folder))
    table = as_table(found)
    print("\n".join(["", *table, *as_lines(found)]))
    if asked.write_docs:
        write_table("\n".join([*table, "", about(), "", *as_lines(found)]))
        draw_growth(_times(found), CHART)
    return int(any("failed" in each for each in found.values()))


def _asked(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure all stages and their peers.")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="sessions of the shop")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), metavar="STAGE")
    parser.add_argument("--folder", help="folder to store and reuse the shops")
    parser.add_argument("--write-docs", action="store_true", help="write the table and the chart to docs/")
    asked = parser.parse_args(given)
    if asked.write_docs and (set(asked.sizes), set(asked.stages)) != (set(SIZES), set(STAGES)):
        parser.error("--write-docs needs all sizes and stages: the table would lose the others.")
    return asked


def measure(sizes: list[str], stages: list[str], folder: Path) -> Figures:
    """The minimum time of each case; prints progress."""
    found: Figures = {}
    for size in dict.fromkeys(["4k", *sizes]):  # the smallest size warms up the others
        subprocess.run([sys.executable, HERE / "shop.py", folder, size], check=True)
    for size in sizes:
        for _ in range(ROUNDS[size]):
            for cases in _processes(stages, size, found):
                for key, figure in _measured(cases, folder).items():
                    found[key] = min(found.get(key, figure), figure, key=lambda each: each.get("seconds", 0.0))
                    print(*key, *figure.values(), flush=True)
    return found


def _processes(stages: list[str], size: str, found: Figures) -> list[list[tuple[str, str, str]]]:
    """The cases per process: at 5m a single case. Slow and failed cases are not measured again."""
    cases = [(stage, size, name) for stage in stages for name in _contenders(stage, size)]
    cases = [case for case in cases if case not in found or found[case].get("seconds", np.inf) < SLOW[size]]
    return [[case] for case in cases] if size == "5m" else [cases]


def _contenders(stage: str, size: str) -> list[str]:
    return [OURS, *(name for name, peer in STAGES[stage].peers.items() if peer.is_there and peer.does(size))]


def _measured(cases: list[tuple[str, str, str]], folder: Path) -> Figures:
    """The results of one process; cases without a result or with a result unlike ours have failed."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        said = _run_pytest(cases, folder, file.name)
        text = Path(file.name).read_text("utf-8")
    figures: Figures = {case: {"failed": said.strip().splitlines()[-1]} for case in cases}
    for each in json.loads(text)["benchmarks"] if text else []:
        info = each["extra_info"]
        if "same" in info or info.get("contender") == OURS:
            kept = {name: info[name] for name in ("rows", "extra")} | {"same": info.get("same", "")}
            figures[info["stage"], info["size"], info["contender"]] = {"seconds": each["stats"]["min"], **kept}
    if any("failed" in figure for figure in figures.values()):
        print(said, file=sys.stderr)
    return figures


def _run_pytest(cases: list[tuple[str, str, str]], folder: Path, results: str) -> str:
    """Measure the cases in a process; returns its output."""
    tests = [f"{HERE / 'benchmark_stages.py'}::test_stage[{'-'.join(case)}]" for case in cases]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--benchmark-json", results, *tests]
    given = {**os.environ, "IHC_BENCHMARK_FOLDER": str(folder)}
    try:
        done = subprocess.run(
            command, env=given, capture_output=True, text=True, timeout=MOST_SECONDS, cwd=HERE.parents[1]
        )
    except subprocess.TimeoutExpired:
        return f"took more than {MOST_SECONDS} s"
    return f"{done.stdout}{done.stderr}\nended with {done.returncode}"


def as_table(found: Figures) -> list[str]:
    """A Markdown table with one row per stage and size."""
    cases = [(stage, size) for stage in STAGES for size in SIZES if (stage, size, OURS) in found]
    rows = [HEAD, ["---", *["--:"] * 5, "---"], *(_row(found, *case) for case in cases)]
    return [f"| {' | '.join(cells)} |" for cells in rows]


def _row(found: Figures, stage: str, size: str) -> list[str]:
    ours = found[stage, size, OURS]
    if "failed" in ours:
        return [stage, f"{SIZES[size]:,}", "failed", "", "", "", ""]
    speed = f"{ours['rows'] / ours['seconds'] / 1e6:.2f}"
    peers = (_peer(found, stage, size, name) for name in STAGES[stage].peers if (stage, size, name) in found)
    memory = _gigabytes(ours["extra"]) if size == "5m" else ""
    return [stage, f"{SIZES[size]:,}", _seconds(ours), speed, memory, _growth(found, stage, size), "; ".join(peers)]


def _peer(found: Figures, stage: str, size: str, name: str) -> str:
    figure, ours = found[stage, size, name], found[stage, size, OURS]
    if "failed" in figure:
        return f"{name}: failed"
    memory = f", {_gigabytes(figure['extra'])}" if size == "5m" else ""
    return f"{name} {_seconds(figure)}, {figure['seconds'] / ours['seconds']:.1f}×{memory}"


def _seconds(figure: dict[str, Any]) -> str:
    return f"{figure['seconds']:.3g}"


def _gigabytes(count: int) -> str:
    return f"{max(count, 0) / 1e9:.2f} GB"


def _growth(found: Figures, stage: str, size: str) -> str:
    """The exponent by which time grows with the number of rows, compared with the previous size."""
    smaller = [
        other for other in SIZES if SIZES[other] < SIZES[size] and "seconds" in found.get((stage, other, OURS), {})
    ]
    if not smaller:
        return ""
    small, large = found[stage, smaller[-1], OURS], found[stage, size, OURS]
    return f"{log(large['seconds'] / small['seconds']) / log(large['rows'] / small['rows']):.2f}"


def _times(found: Figures) -> dict[str, dict[int, float]]:
    """Our seconds by stage and number of sessions."""
    times: dict[str, dict[int, float]] = {}
    for (stage, size, name), figure in found.items():
        if name == OURS and "seconds" in figure:
            times.setdefault(stage, {})[SIZES[size]] = figure["seconds"]
    return times


def as_lines(found: Figures) -> list[str]:
    """Notes below the table: differences of results that are not identical, and failures."""
    lines = []
    for (stage, size, name), figure in found.items():
        what = f"{stage}, {SIZES[size]:,} sessions, {name}"
        if "failed" in figure:
            lines.append(f"- {what} failed: {figure['failed']}")
        elif figure["same"]:
            lines.append(f"- {what}: {figure['same']}")
    return lines


def about() -> str:
    """Date, machine and versions of the measurement."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES if _is_there(name))
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores with {gigabytes:.0f} GB of memory; "
        f"Python {sys.version.split()[0]}, {versions}."
    )


def _is_there(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def write_table(text: str, begins: str = BEGINS, ends: str = ENDS) -> None:
    """Replace the figures between their marks in docs/performance.md."""
    before, rest = PAGE.read_text("utf-8").split(begins)
    _, after = rest.split(ends)
    PAGE.write_text(f"{before}{begins}\n\n{text}\n\n{ends}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
