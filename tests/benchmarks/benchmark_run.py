"""Measure whole runs: `uv run python tests/benchmarks/benchmark_run.py [--orders 2000 200000]`.

For each size of the sample shop:

- `ihc run` on a new database, with the seconds of its steps and the memory of its largest process;
- the same functions called once in one process: the cells of all notebooks on one shop and one report, then the files
  of the report. The ratio to it is what separate notebooks cost, or gain by the second core;
- the run of one more day, after a run of all days before it.

Runs alternate with the single process, and the minimum counts, because other processes may disturb.
"""

import argparse
import ast
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import nbformat
import psutil
from run import about, write_table

ROOT = Path(__file__).parents[2]
IHC = [sys.executable, "-m", "ihc"]
ORDER = ("01", "03", "04", "05", "06", "07", "02", "08")  # the report needs the credits that 03 stores
HEAD = "| Orders | Sessions | `ihc run` | Functions once | Ratio | One more day | Largest process |"
ROUNDS = 3
BEGINS, ENDS = (
    "<!-- The tables that follow are written by tests/benchmarks/benchmark_run.py. -->",
    "<!-- End of the tables. -->",
)


def main():
    asked = argparse.ArgumentParser(description="Measure whole runs beside the same functions called once.")
    asked.add_argument("--orders", nargs="+", type=int, default=[2_000, 200_000], help="orders of the sample shops")
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    asked.add_argument("--write-docs", action="store_true", help="write the tables to docs/performance.md")
    asked.add_argument("--once", nargs=2, metavar=("DATABASE", "OUTPUT"), help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.once:
        call_once(*given.once)
        return
    rows, steps = zip(*(measured(orders, given.rounds) for orders in given.orders), strict=True)
    text = "\n".join([HEAD, "|" + " --: |" * 7, *rows, *steps, "", about()])
    print(text)
    if given.write_docs:
        write_table(text, BEGINS, ENDS)


def measured(orders, rounds):
    """Measure one size. Out: a row of the table, and a table of the steps of the fastest run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [*IHC, "sample", folder / "new.db", "--conversions", str(orders)], check=True, capture_output=True
        )
        runs, once = [], []
        for _ in range(rounds):
            runs.append(run(folder, folder / "new.db"))
            once.append(seconds(lambda: alone(folder)))
        run_time, steps, memory = min(runs)
        day = min(next_day(folder) for _ in range(rounds))
        sessions = rows_of(folder / "new.db", "session_sources")
    times = f"{run_time:.1f} s | {min(once):.1f} s | {run_time / min(once):.2f} | {day:.1f} s | {memory / 1e9:.2f} GB"
    return f"| {orders:,} | {sessions:,} | {times} |", as_steps(orders, steps, run_time)


def as_steps(orders, steps, run_time):
    """A table of the steps of a run, each with its share of the run's time; steps that run at once overlap."""
    rows = (
        f"| {step} | {start:.1f} s | {end:.1f} s | {end - start:.1f} s | {(end - start) / run_time:.0%} |"
        for start, end, step in steps
    )
    return "\n".join(
        ["", f"| {orders:,} orders | From | To | Time | Share |", "| --- | --: | --: | --: | --: |", *rows]
    )


def rows_of(database, table):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def seconds(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def run(folder, source, *options):
    """Run on a copy of a database. Out: seconds; start, end and name of each step; memory of the largest process."""
    database = shutil.copy(source, folder / "shop.db")
    command = [*IHC, "run", "--database", database, "--output", folder / "out", "--engine", "local", *options]
    begin, started, steps = time.perf_counter(), {}, []
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        memory = [0]
        watch = threading.Thread(target=watched, args=(process, memory))
        watch.start()
        for line in process.stderr:
            at = time.perf_counter() - begin
            if line.rstrip().endswith(" ..."):
                started[line.split()[0]] = at
            elif " done: " in line:
                step = line.split(" done: ")[1].strip()
                steps.append((started[step], at, step))
    watch.join()
    steps.insert(0, (0.0, min(started.values()), "reading and checking"))
    assert process.returncode == 0, command
    return time.perf_counter() - begin, steps, memory[0]


def watched(process, memory):
    """Keep the highest memory of any process of a run: what is its own, without files that it maps.

    Works on Linux, where shared memory includes mapped files.
    """
    while process.poll() is None:
        try:
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            found = [each.memory_info() for each in tree]
            memory[0] = max(memory[0], *(each.rss - each.shared for each in found))
        except psutil.Error:
            pass
        time.sleep(0.1)


def next_day(folder):
    """Seconds of the run of the last day, after a run of all other days."""
    past, whole = folder / "past.db", folder / "new.db"
    with closing(sqlite3.connect(whole)) as connection:
        last, before = (
            row[0] for row in connection.execute("SELECT DISTINCT conv_date FROM conversions ORDER BY 1 DESC LIMIT 2")
        )
    if not past.exists():
        shutil.copy(whole, past)
        with closing(sqlite3.connect(past)) as connection, connection:
            connection.execute("DELETE FROM conversions WHERE conv_date > ?", [before])
            connection.execute("DELETE FROM session_sources WHERE event_date > ?", [before])
        run(folder, past)
        shutil.copy(folder / "shop.db", past)
        with closing(sqlite3.connect(past)) as connection, connection:
            connection.execute("ATTACH ? AS whole", [str(whole)])
            connection.execute("INSERT INTO conversions SELECT * FROM whole.conversions WHERE conv_date > ?", [before])
            connection.execute(
                "INSERT INTO session_sources SELECT * FROM whole.session_sources WHERE event_date > ?", [before]
            )
    return run(folder, past, "--start-date", last, "--end-date", last)[0]


def alone(folder):
    shutil.copy(folder / "new.db", folder / "once.db")
    subprocess.run([sys.executable, __file__, "--once", folder / "once.db", folder / "once"], check=True)


def call_once(database, output):
    """Call what the notebooks call, and write the report's files."""
    import ihc

    names = {"ihc": ihc, "shop": ihc.open(database, output=output, engine="local")}
    for start in ORDER:
        (path,) = (ROOT / "notebooks").glob(f"{start}_*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
                show(ast.parse(cell.source), names)
    names["report"].save(output)


def show(cell, names):
    """Execute a cell as a notebook does; its shop and its report are made only once."""
    for statement in cell.body:
        known = isinstance(statement, ast.Assign) and statement.targets[0].id in names
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), "cell", "eval"), names)
            getattr(value, "_repr_html_", str)()
        elif not known and not isinstance(statement, ast.Import):
            exec(compile(ast.Module([statement], []), "cell", "exec"), names)


if __name__ == "__main__":
    main()
