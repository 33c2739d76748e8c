"""Commands end to end: exit codes, output and files."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from helpers.commands import ihc, ihc_here, run_ihc
from helpers.reports import stored_report
from helpers.strange_shop import FIRST, LAST

from ihc import __version__
from ihc.report.files import read_csv


def sql(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(*statement).fetchall() for statement in statements][-1]


def table(path, name):
    return sql(path, (f"SELECT * FROM {name} ORDER BY 1, 2",))


def test_version_and_help_need_no_pandas_and_no_dask(tmp_path):
    assert ihc("--version", cwd=tmp_path).stdout == f"ihc {__version__}\n"
    heavy = {"pandas", "matplotlib", "dask", "fsspec"}
    code = f"import sys; import ihc.cli.app; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--start-date", "soon"],
        ["run", "--end-date", "2023-02-30"],
        ["run", "--lookback-days", "0"],
        ["run", "--engine", "magic"],
        ["run", "--no-such-option"],
        ["sample", "--conversions", "0", "x.db"],
        ["nothing"],
    ],
)
def test_wrong_usage_exits_with_2_and_writes_nothing(arguments, tmp_path):
    done = ihc_here(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "option", "given", "says"),
    [
        ("run", "--start-date", "26/03/2025", "'26/03/2025' is not a date: it looks like DD/MM/YYYY; write it as"),
        ("train", "--end-date", "20250326", "'20250326' is not a date: it looks like YYYYMMDD; write it as YYYY-MM-DD"),
        ("run", "--end-date", "2025-02-30", "'2025-02-30' is not a date: it is not a day of the calendar; write it as"),
        ("run", "--start-date", "soon", "'soon' is not a date: write it as YYYY-MM-DD, e.g. 2023-09-01."),
    ],
)
def test_an_invalid_date_option_names_its_format(command, option, given, says, tmp_path):
    done = ihc_here(command, option, given, cwd=tmp_path)
    assert f"Invalid value for '{option}': {says}" in done.stderr
    assert "%Y" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--database", "nothing.db"], "does not exist"),
        (["--database", "postgresql://ann:s3cret@127.0.0.1:1/shop"], "Connection refused"),
        (["--database", "nosuch://ann:s3cret@host/shop"], "A nosuch:// database needs its SQLAlchemy dialect"),
        (["--start-date", "2023-09-02", "--end-date", "2023-09-01"], "before start_date"),
        (["--parameters", "nothing.json"], "nothing.json cannot be read: there is no such file or folder."),
    ],
)
def test_errors_exit_with_1_and_one_sentence(arguments, says, tmp_path):
    done = ihc_here("run", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_makes_the_tables_and_can_empty_the_results(tmp_path):
    assert ihc_here("init", "--database", "new.db", cwd=tmp_path).returncode == 0
    sql(tmp_path / "new.db", ("INSERT INTO channel_reporting VALUES ('a', '2023-09-01', 1, 1, 1)",))
    assert ihc_here("init", "--database", "new.db", cwd=tmp_path).returncode == 0
    assert len(table(tmp_path / "new.db", "channel_reporting")) == 1
    assert ihc_here("init", "--database", "new.db", "--clean-results", cwd=tmp_path).returncode == 0
    assert table(tmp_path / "new.db", "channel_reporting") == []


def test_sample_refuses_a_file_that_exists(own_shop, tmp_path):
    done = ihc_here("sample", own_shop, cwd=tmp_path)
    assert done.returncode == 1
    assert "already exists" in done.stderr


def test_reporting_csv_has_the_documented_columns_and_closes_with_the_tables(finished):
    rows = pd.read_csv(finished.output / "channel_reporting.csv", keep_default_na=False)
    assert list(rows.columns) == ["channel_name", "date", "cost", "ihc", "ihc_revenue", "CPO", "ROAS"]
    assert list(rows.iloc[:, :5].itertuples(index=False, name=None)) == table(finished.database, "channel_reporting")
    text = (finished.output / "channel_reporting.csv").read_text()
    assert not re.search(r"\b(inf|nan|None)\b", text)
    assert (rows.loc[rows["cost"] == 0, "ROAS"] == "").all()
    assert (rows.loc[rows["ihc"] == 0, "CPO"] == "").all()
    cost = "SELECT sum(cost) FROM session_costs WHERE session_id IN (SELECT session_id FROM session_sources)"
    credited = (
        "SELECT sum(revenue) FROM conversions WHERE conv_id IN (SELECT conv_id FROM attribution_customer_journey)"
    )
    for column, statement in {"cost": cost, "ihc_revenue": credited}.items():
        assert sql(finished.database, (statement,)) == [(pytest.approx(rows[column].sum(), abs=0.005),)]


def test_a_dated_second_run_leaves_the_credits_of_other_orders(finished, tmp_path):
    """The reconciliation of the period closes."""
    database = Path(shutil.copy(finished.database, tmp_path / "shop.db"))
    report = stored_report(database, tmp_path, start_date=FIRST, end_date=LAST)
    lines = report.data.reconciliation.set_index("line")
    assert lines.loc["less: credit on days outside the dates", "amount"] < 0
    assert lines.loc["plus: credit from other orders", "amount"] > 0
    rows = report.roas_by_day.frame
    assert rows["date"].between(FIRST, LAST).all()
    assert lines.loc["credit in channel_reporting.csv", "amount"] == pytest.approx(rows["ihc_revenue"].sum(), abs=0.005)
    credits, dates = "attribution_customer_journey", f"conv_date BETWEEN '{FIRST}' AND '{LAST}'"
    others = f"SELECT * FROM {credits} JOIN conversions USING (conv_id) WHERE NOT ({dates}) ORDER BY 1, 2"
    assert sql(database, (others,)) == sql(finished.database, (others,))
    own = f"SELECT count(DISTINCT conv_id) FROM {credits} JOIN conversions USING (conv_id) WHERE {dates}"
    assert sql(database, (own,)) == [(lines.loc["credited", "count"],)]


BREAK_ONE_ORDER = """
import ihc.models.ihc
whole = ihc.models.ihc.attribute
def attribute(journeys, *how):
    credits = whole(journeys, *how)
    credits.loc[credits["conv_id"] == credits["conv_id"].iloc[0], "ihc"] *= 0.9
    return credits
ihc.models.ihc.attribute = attribute
"""


@pytest.mark.slow
def test_an_order_with_invalid_credits_fails_alone(own_shop, tmp_path):
    """An engine with a wrong result for one order, in real kernels: exit code 1; all others are stored and reported."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(BREAK_ONE_ORDER)
    done = run_ihc(tmp_path, own_shop, PYTHONPATH=str(broken))
    assert done.code == 1
    assert "1 order failed" in done.out
    assert "the credits sum to 0.9000, not 1" in done.out
    ((failed,),) = sql(own_shop, ("SELECT conv_id FROM attribution_outcomes WHERE outcome = 'failed'",))
    assert failed in done.out
    stored = {row[0] for row in table(own_shop, "attribution_customer_journey")}
    assert failed not in stored
    assert len(stored) > 150
    assert (done.output / "report.html").exists()
    lines = read_csv(done.output / "reconciliation.csv").set_index("line")
    assert lines.loc["less: failed", "count"] == -1


@pytest.mark.slow
def test_the_real_shop_reconciles_to_the_cent(real_database, tmp_path):
    done = run_ihc(tmp_path, real_database)
    assert done.code == 0, done.err
    lines = read_csv(done.output / "reconciliation.csv").set_index("line")
    assert lines.loc["orders read", ["count", "amount"]].tolist() == [1946, 112062.07]
    assert lines.loc["credit in channel_reporting.csv", "amount"] == 112062.07
    assert lines.loc["cost in channel_reporting.csv", "amount"] == 293883.43
