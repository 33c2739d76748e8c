"""Compare a whole run with the bare kernels of its notebooks: `uv run python tests/benchmarks/benchmark_run.py`.

A bare kernel only starts and imports what the notebooks use; one kernel per notebook, one after the other.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from ihc.database.database import Database
from ihc.pipeline.sample import write_sample

ROOT = Path(__file__).parents[2]
ROUNDS = 3
IHC = [sys.executable, "-m", "ihc"]


def main():
    parser = argparse.ArgumentParser(description="Measure a whole run beside its notebooks' bare kernels.")
    parser.add_argument("--database", help="SQLite file; a run writes its results into it [default: a sample shop]")
    given = parser.parse_args().database
    with tempfile.TemporaryDirectory() as folder:
        database = Path(given or f"{folder}/shop.db").resolve()
        if not given:
            write_sample(Database(database), 2000)
        command = [*IHC, "run", "--database", database, "--output", f"{folder}/out", "--engine", "local"]
        # Alternating, and the minimum of each, because other processes may disturb.
        times = [(seconds(lambda: called(command, folder)), seconds(bare_kernels)) for _ in range(ROUNDS)]
        run, bare = map(min, zip(*times, strict=True))
        print(f"ihc run: {run:.1f} s; the notebooks' bare kernels with imports: {bare:.1f} s; ratio {run / bare:.2f}")
        for option in ("--version", "--help"):
            least = min(seconds(lambda option=option: called([*IHC, option], folder)) for _ in range(ROUNDS))
            print(f"ihc {option}: {least:.2f} s")


def seconds(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def called(command, folder):
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def bare_kernels():
    cell = nbformat.v4.new_code_cell("import ihc.pipeline.shop")
    for _ in (ROOT / "notebooks").glob("*.ipynb"):
        NotebookClient(nbformat.v4.new_notebook(cells=[cell])).execute()


if __name__ == "__main__":
    main()
