"""Reports of a shop with model parameters per conversion type, with figures calculated by hand."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from helpers.commands import ihc_here
from helpers.frames import conversions, costs, sessions
from helpers.parameter_sets import EARLY, LATE, parameter_file

import ihc
from ihc.errors import InputError
from ihc.models.parameters import Curve
from ihc.pipeline.attribution import attribute_shop
from ihc.pipeline.runner import check
from ihc.report.verdicts import verdicts
from ihc.settings.run import load_settings

# Ann becomes a lead (100), Bob buys (40); both have a session of Search, two days later one of Direct.
SESSIONS = sessions(
    [
        ("a1", "ann", "2025-03-03 10:00:00", "Search", 0, 1),
        ("a2", "ann", "2025-03-05 10:00:00", "Direct", 0, 1),
        ("b1", "bob", "2025-03-03 10:00:00", "Search", 0, 1),
        ("b2", "bob", "2025-03-05 10:00:00", "Direct", 0, 1),
    ]
)
ORDERS = conversions(
    [("lead1", "ann", "2025-03-05 11:00:00", 100.0), ("buy1", "bob", "2025-03-05 11:00:00", 40.0)]
).assign(conversion_type=["lead", "purchase"])
COSTS = costs([("a1", 10.0), ("a2", 5.0)])
# Leads by EARLY: Search 75, Direct 25. Purchases by LATE: Search 10, Direct 30.
REVENUE = {"Search": 85.0, "Direct": 55.0}
LABEL = f"{EARLY.label} for lead, {LATE.label} for purchase"


@pytest.fixture
def database(tmp_path):
    tables = {"session_sources": SESSIONS, "conversions": ORDERS, "session_costs": COSTS}
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        for name, frame in tables.items():
            frame.to_sql(name, connection, index=False)
    return tmp_path / "shop.db"


@pytest.fixture
def parameters(tmp_path):
    return f"lead={parameter_file(tmp_path, EARLY)},purchase={parameter_file(tmp_path, LATE)}"


@pytest.fixture
def report(database, parameters):
    return ihc.open(database).report(parameters=parameters)


def by_channel(frame, column="ihc_revenue"):
    return frame.set_index("channel_name")[column].to_dict()


def test_each_type_is_credited_by_its_set(report):
    found = report.channels.frame.iloc[:-1]
    assert by_channel(found) == pytest.approx(REVENUE)
    by_type = report.channel_conversion_types.frame.set_index(["channel_name", "conversion_type"])["ihc_revenue"]
    assert by_type[["Search", "Direct"]].to_dict() == pytest.approx(
        {("Search", "lead"): 75, ("Search", "purchase"): 10, ("Direct", "lead"): 25, ("Direct", "purchase"): 30}
    )


def test_other_models_and_settings_compare_with_the_set_of_each_type(report):
    grid = report.sensitivity.frame.query("model == 'IHC' and redistribution == 'none'")
    base, short = grid[grid["lookback_days"].isna()], grid[grid["lookback_days"] == 30]
    assert by_channel(base) == by_channel(short) == pytest.approx(REVENUE)
    assert by_channel(report.lookbacks(30).frame.iloc[:-1], "ihc_revenue 30 days") == pytest.approx(REVENUE)


def test_missing_engagement_flags_are_judged_with_the_set_of_each_type(report):
    # At 1 hour and more, the first session is no closer even with a flag.
    assert by_channel(report.engagement.frame) == pytest.approx(REVENUE)
    assert by_channel(report.engagement.frame, "ihc_revenue_last_closer") == pytest.approx(REVENUE)
    assert "calculated differently" not in report.engagement.text


def test_a_redistribution_starts_from_the_set_of_each_type(database, tmp_path):
    entry = {"direction": "any_session", "receive_threshold": 0, "redistribution_channel_labels": ["Direct"]}
    file = tmp_path / "redistribution.json"
    file.write_text(json.dumps(dict.fromkeys(("initializer", "holder", "closer"), entry)))
    for parameters in (EARLY, LATE):
        parameter_file(tmp_path, replace(parameters, closer=Curve((0, 96), (1, 0))))
    files = f"lead={tmp_path / 'early.json'},purchase={tmp_path / 'late.json'}"
    moved = ihc.open(database).report(parameters=files, redistribution=file).redistribution.frame
    # Closer at 48 and 0 hours: 1/2 and 1, so 1/3 and 2/3. Search of the lead: 3/4 + 1/4 / 3 = 5/6; of the purchase:
    # 1/4 + 3/4 / 3 = 1/2. Direct has the rest and gives it away.
    assert by_channel(moved, "ihc_before") == pytest.approx({"Search": 5 / 6 + 1 / 2, "Direct": 1 / 6 + 1 / 2})
    assert by_channel(moved, "ihc_after") == pytest.approx({"Search": 2.0, "Direct": 0.0})


@pytest.mark.parametrize(("order", "first", "used"), [("lead1", 0.75, EARLY), ("buy1", 0.25, LATE)])
def test_an_order_is_explained_with_the_set_of_its_type(report, database, parameters, tmp_path, order, first, used):
    explained = report.explain(order)
    assert explained.frame["ihc"].tolist() == pytest.approx([first, 1 - first])
    assert explained.note == f"parameters of the local engine: {used.label}"
    done = ihc_here("explain", order, "--database", database, "--parameters", parameters, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"with parameters {used.label}." in done.stdout
    assert f"initializer {used.phase_weights['initializer']:g}," in done.stdout


def test_the_exhibits_of_the_parameters_have_a_column_with_the_type(report, database, parameters):
    for exhibit in (report.initializer_curve, report.closer_curve, report.phase_weights, report.channel_weights):
        assert exhibit.frame.columns[0] == "conversion_type"
        assert exhibit.frame["conversion_type"].unique().tolist() == ["lead", "purchase"]
        assert exhibit.draw is None
        assert "Conversion type" in exhibit.table().to_html()
    weights = report.phase_weights.frame.set_index(["conversion_type", "phase"])["phase_weight"]
    assert (weights["lead", "initializer"], weights["purchase", "initializer"]) == (0.6, 0.2)
    one = ihc.open(database).report(parameters=parameters, conversion_type="lead")
    assert "conversion_type" not in one.phase_weights.frame
    assert one.phase_weights.frame["phase_weight"].tolist() == [0.6, 0.2, 0.2]
    assert one.phase_weights.draw is not None


@pytest.mark.parametrize("name", ["lead", "purchase"])
def test_a_run_of_one_type_gives_its_credits_in_the_run_over_all(database, parameters, tmp_path, name):
    options = {"base": tmp_path, "database": database, "output": "out", "parameters": parameters}
    whole = attribute_shop(load_settings(**options)).credits
    alone = attribute_shop(load_settings(**options, conversion_type=name)).credits
    own = whole.frame[whole.frame["conv_id"] == {"lead": "lead1", "purchase": "buy1"}[name]]
    assert alone.frame.to_numpy().tolist() == own.to_numpy().tolist()
    assert whole.text.startswith(f"The local engine uses the parameters {LABEL}, default (")
    assert "For lead: The parameters do not name the shop" in whole.text
    assert "other types: The parameters" not in whole.text  # no conversion uses them


def test_stored_credits_are_those_of_all_sets_together(database, parameters, tmp_path):
    options = {"base": tmp_path, "database": database, "output": "out"}
    settings = load_settings(**options, parameters=parameters)
    attribute_shop(settings).store()
    with closing(sqlite3.connect(database)) as connection:
        stored = connection.execute("SELECT DISTINCT parameters FROM attribution_runs").fetchall()
    assert stored == [(settings.source,)]
    assert settings.source.startswith(f"{LABEL}, default (")
    shop = ihc.open(database)
    plain, same = shop.report(), shop.report(parameters=parameters.split(",")[::-1])
    for report in (plain, same):
        assert "(stored credits)" in report.status
        assert by_channel(report.channels.frame.iloc[:-1]) == pytest.approx(REVENUE)
    assert "calculated differently" in plain.initializer_curve.text
    assert "calculated differently" not in same.initializer_curve.text
    assert any("For lead: The parameters" in note for note in same.notes)
    for other in (parameters.split(",")[0], tmp_path / "early.json", parameters.replace("late", "early")):
        assert "computed here" in shop.report(parameters=other).status
    # A run of one type with the same sets is stored as the same.
    attribute_shop(load_settings(**options, parameters=parameters, conversion_type="lead")).store()
    assert not [warning for warning in ihc.open(database).report().warnings if "mix settings" in warning]


def test_a_type_that_the_shop_does_not_have_is_refused_everywhere(database, parameters, tmp_path):
    wrong = parameters.replace("lead=", "led=")
    options = {"base": tmp_path, "database": database, "output": "out", "parameters": wrong}
    says = r"names the type 'led', which no conversion has\. Existing types: lead \(1 conversion\), purchase \(1 conv"
    with pytest.raises(InputError, match=says):
        ihc.open(database).report(parameters=wrong)
    for act in (check, attribute_shop):
        with pytest.raises(InputError, match=says):
            act(load_settings(**options))
    # A type that the dates of the run do not have is no error.
    late = {"start_date": "2025-04-01", "parameters": parameters}
    assert attribute_shop(load_settings(**options | late)).credits.frame.empty
    done = ihc_here("explain", "buy1", "--database", database, "--parameters", wrong, cwd=tmp_path)
    assert done.returncode == 1
    assert "names the type 'led', which no conversion has" in done.stderr


@pytest.mark.slow
def test_a_whole_run_its_report_from_stored_credits_and_the_comparison_of_runs(database, parameters, tmp_path):
    command = ("run", "--database", database, "--output", "out", "--engine", "local")
    for options in (["--parameters", parameters], ["--parameters", parameters, "--report-only"], []):
        done = ihc_here(*command, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if options:
            assert f"with parameters {LABEL}, default (" in " ".join(done.stdout.split())
            page = (tmp_path / "out" / "report.html").read_text("utf-8")
            assert "--parameters lead=early.json,purchase=late.json" in page
    done = ihc_here("diff", "1", "2", "--database", database, cwd=tmp_path)
    assert LABEL in " ".join(done.stdout.split())


def test_the_tables_of_types_are_saved_and_on_the_page(report, tmp_path):
    report.save(tmp_path / "out")
    assert (tmp_path / "out" / "phase_weights.csv").read_text("utf-8").startswith("conversion_type,")
    assert (tmp_path / "out" / "conversion_types.csv").exists()
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert report.conversion_types.text.split(";")[0] in page


def test_a_single_order_has_no_interval_in_the_summary(database, parameters):
    report = ihc.open(database).report(parameters=parameters, conversion_type="lead")
    # Search: 75 of revenue / 10 of spend; Direct: 25 / 5.
    lines = [row.line for row in verdicts(report).rows if row.line]
    assert [(line.text, line.low == line.dot == line.high) for line in lines] == [
        ("Search: ROAS 7.50", True),
        ("Direct: ROAS 5.00", True),
    ]


def test_a_breakdown_by_type_counts_a_refund_with_its_order(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("ALTER TABLE conversions ADD COLUMN refund_of TEXT")
        connection.execute(
            "INSERT INTO conversions (conv_id, user_id, conv_date, conv_time, revenue, refund_of) "
            "VALUES ('back', 'bob', '2025-03-06', '10:00:00', -15, 'buy1')"
        )
    found = ihc.open(database).report().by("conversion_type").frame.set_index("conversion_type")["revenue"]
    assert found.to_dict() == {"lead": 100.0, "purchase": 25.0, "Total": 125.0}  # 40 - 15


def test_credits_restarted_after_any_order_do_not_answer_for_one_type(database):
    ihc.open(database, engine="local", restart_after_order=True).attribute().store()
    stored = ihc.open(database)
    assert stored.report().data.source.is_stored
    assert not stored.report(conversion_type="purchase").data.source.is_stored
