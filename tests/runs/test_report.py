"""Whole runs on the command line: files, output and exit codes."""

import csv
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from helpers.commands import ihc_here, run_ihc
from helpers.reports import make_strange, stored_report, write_groups
from helpers.strange_shop import CURRENCY, FIRST, LAST

from ihc import read_tables
from ihc.exhibits.files import EXPORT
from ihc.pipeline.runner import NOTEBOOKS, WITHOUT
from ihc.report.files import read_csv


@pytest.fixture(scope="module")
def stored(finished, tmp_path_factory):
    """The shop of the finished run with changed names and values, attributed again, and its folder."""
    folder = tmp_path_factory.mktemp("strange")
    database = Path(shutil.copy(finished.database, folder / "shop.db"))
    make_strange(database)
    stored_report(database, folder, start_date=FIRST, end_date=LAST)
    write_groups(folder)
    return database, folder


@pytest.fixture(scope="module")
def alone(stored):
    """Its report, rebuilt with every option and an unreachable API."""
    database, folder = stored
    options = ["--channel-groups", "g.csv", "--currency", CURRENCY, "--break-even-roas", "4", "--export-credits"]
    dates = ["--start-date", FIRST, "--end-date", LAST]
    nowhere = {"IHC_API_URL": "http://127.0.0.1:9/v1/compute_ihc"}
    return run_ihc(folder, database, "--report-only", "--engine", "api", *dates, *options, **nowhere)


def test_a_run_executes_every_notebook_and_writes_every_exhibit(finished):
    assert finished.code == 0, finished.err
    runs = list((finished.output / "runs").glob("*/*.ipynb"))
    assert sorted(path.stem for path in runs) == sorted(NOTEBOOKS)
    for path in runs:
        outputs = [each for cell in nbformat.read(path, 4).cells for each in cell.get("outputs", [])]
        assert [each for each in outputs if each.output_type == "error" or each.get("name") == "stderr"] == []
        assert any("text/html" in each.get("data", {}) for each in outputs), path.stem
    tables = {path.name for path in finished.output.glob("*.csv")}
    assert {"channel_reporting.csv", "channel_summary.csv", "reconciliation.csv", WITHOUT} <= tables
    charts = list((finished.output / "charts").iterdir())
    assert f"{len(tables)} CSV files and {len(charts) // 2} charts beside it." in finished.out
    for path in charts:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg"), path.name


def test_the_terminal_ends_with_the_headline_the_channels_and_the_path(finished):
    about = json.loads((finished.output / "run.json").read_text("utf-8"))
    assert about["headline"] in finished.out
    assert "Reconciled 100.00% of " in finished.out
    summary = read_csv(finished.output / "channel_summary.csv")
    for row in summary.iloc[:-1].itertuples():
        pattern = rf"{re.escape(row.channel_name[:18])}\S* +{row.cost:,.0f} +{row.ihc_revenue:,.0f}\b"
        assert re.search(pattern, finished.out), row.channel_name
    assert str(finished.output / "report.html") in finished.out


def test_a_rebuilt_report_sends_no_request_and_records_no_run(alone):
    assert alone.code == 0, alone.err
    assert "03_attribute" not in alone.err
    assert "API:" not in alone.out
    with closing(sqlite3.connect(alone.database)) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("report_runs", "attribution_runs")
        ]
    assert counts == [2, 2]
    command = json.loads((alone.output / "run.json").read_text("utf-8"))["command"]
    assert command.endswith("--report-only")


def test_exported_credits_are_complete_and_of_the_period(alone):
    credits, tables = read_csv(alone.output / EXPORT), read_tables(alone.database)
    sums = credits.groupby("conv_id")["ihc"].sum()
    assert sums.tolist() == pytest.approx([1.0] * len(sums))
    assert tables.conversions.set_index("conv_id")["conv_date"][sums.index].between(FIRST, LAST).all()
    assert "=new" in sums.index


def test_no_field_of_a_csv_runs_in_a_spreadsheet(alone):
    for path in alone.output.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            fields = [field for row in csv.reader(file) for field in row]
        starts = [field for field in fields if re.match(r"\s*[=+\-@＝＋－＠\t\r]", field)]
        assert [field for field in starts if not re.fullmatch(r"-?[\d.]+(e-?\d+)?", field)] == [], path.name


def test_names_from_the_data_are_no_markup_for_the_terminal(alone):
    assert "=SUM(A1)" in alone.out
    listed = ihc_here("diff", "1", "2", "--database", alone.database, cwd=alone.output)
    assert listed.returncode == 0, listed.stderr
    for name in ("<script>alert(1)</script>", "[bold]markup[/bold]", "two lines", "بحث مدفوع"):
        assert name in listed.stdout


def test_the_runs_are_listed_with_the_totals_of_their_reports(finished, alone):
    listed = ihc_here("runs", "--database", alone.database, cwd=alone.output)
    lines = [line.split() for line in listed.stdout.splitlines() if re.match(r" +\d", line)]
    totals = [read_csv(each.output / "channel_summary.csv").iloc[-1] for each in (finished, alone)]
    assert len(lines) == 2
    for line, total in zip(lines, totals, strict=True):
        assert line[-3:] == [f"{total[name]:,.2f}" for name in ("ihc_revenue", "cost", "ROAS")]


def test_the_result_is_printed_as_json(stored):
    database, folder = stored
    done = ihc_here("run", "--report-only", "--json", "--database", database, "--output", "json", cwd=folder)
    told = json.loads(done.stdout)
    assert told["report"] == str(folder / "json" / "report.html")
    assert told["channels"][-1]["channel_name"].startswith("Total")
    assert told["headline"]


def test_missing_data_is_reported_first_and_quietly_only_the_path(stored):
    database, folder = stored
    day = ["--start-date", "2030-01-01", "--end-date", "2030-01-01"]
    done = ihc_here("run", "--report-only", *day, "--database", database, "--output", "none", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("There are no orders from 2030-01-01 to 2030-01-01. The table has ")
    assert "Traceback" not in done.stdout + done.stderr
    quiet = ihc_here("run", "--report-only", *day, "--quiet", "--database", database, "--output", "none", cwd=folder)
    assert quiet.stdout == f"{folder / 'none' / 'report.html'}\n"


EXPERIMENTS = "channel_name,start_date,end_date,kind,incremental_orders,standard_error\n"


def test_experiments_are_told_in_the_terminal_and_in_the_files(finished, tmp_path):
    (tmp_path / "tests.csv").write_text(f"{EXPERIMENTS}Paid Social,2025-03-03,2025-03-23,holdout,0.5,0.1\n")
    done = run_ihc(tmp_path, finished.database, "--report-only", "--experiments", "tests.csv")
    assert done.code == 0, done.err
    assert "Attribution contradicts 1 of 1 experiment." in done.out
    assert "Paid Social: attributed ROAS " in done.out
    calibrated = read_csv(done.output / "calibrated_roas.csv").set_index("channel_name")
    assert calibrated.loc["Paid Social", "experiments"] == 1
    assert json.loads((done.output / "run.json").read_text("utf-8"))["command"].endswith(
        "--experiments tests.csv --report-only"
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Radio,2025-01-01,2025-12-31,holdout,0.5,0.1", "The experiments name 'Radio', but the report's rows are "),
        ("Paid Social,2024-01-01,2024-01-31,holdout,0.5,0.1", "from 2024-01-01 to 2024-01-31 has days without data"),
    ],
)
def test_an_experiment_without_data_ends_the_run_before_it_writes(own_shop, tmp_path, line, says):
    (tmp_path / "tests.csv").write_text(f"{EXPERIMENTS}{line}\n")
    done = run_ihc(tmp_path, own_shop, "--experiments", "tests.csv")
    assert done.code == 1
    assert says in done.err
    assert not (tmp_path / "out" / "runs").exists() or not list((tmp_path / "out" / "runs").iterdir())
