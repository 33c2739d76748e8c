"""`ihc calibrate`, `ihc train` and `ihc explain` end to end."""

import json
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from helpers.answered_shops import answers_of
from helpers.commands import ihc_here
from helpers.frames import curves_of

from ihc import attribute, build_journeys, load_parameters, read_tables
from ihc.calibration import validation
from ihc.models.parameters import parameters_json

TRUTH = curves_of(
    initializer=([0, 5, 30, 300], [0, 0, 0.3, 0.9]),
    closer=([0, 2, 24, 400], [1, 0.7, 0.4, 0.1]),
    channels={"initializer": {"Direct": 0.6}, "closer": {"Newsletter": 1.4}},
)
PHASE = {"direction": "any_session", "receive_threshold": 0.0, "redistribution_channel_labels": ["Direct"]}


@pytest.fixture(scope="module")
def journeys(shop):
    tables = read_tables(shop)
    return build_journeys(tables.sessions, tables.conversions)


@pytest.fixture(scope="module")
def answers(journeys, tmp_path_factory):
    """The answers of an API with the parameters TRUTH for all orders."""
    printed = answers_of(journeys, TRUTH)
    path = tmp_path_factory.mktemp("answers") / "answers.csv"
    printed.rename(columns={"conv_id": "conversion_id"}).to_csv(path, index=False)
    return path


def test_calibrating_on_some_answers_predicts_the_others(shop, journeys, answers, tmp_path):
    every = pd.read_csv(answers)
    ids = every["conversion_id"].unique()
    is_known = every["conversion_id"].isin(ids[: len(ids) * 3 // 4])
    every[is_known].to_csv(tmp_path / "some.csv", index=False)
    done = ihc_here("calibrate", "--database", shop, "--answers", "some.csv", "--output", "mine.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Errors on held-out answers" in done.stdout
    assert "Written: mine.json, calibrated (" in done.stdout
    found = attribute(journeys, load_parameters(tmp_path / "mine.json"))
    both = every[~is_known].merge(
        found.rename(columns={"conv_id": "conversion_id"}), on=["conversion_id", "session_id"]
    )
    assert len(both) == (~is_known).sum()
    assert (both["ihc_x"] - both["ihc_y"]).abs().mean() < 0.002
    provenance = json.loads((tmp_path / "mine.json").read_text("utf-8"))["provenance"]
    assert provenance["source"].endswith("in some.csv")
    assert provenance["held_out_errors"]["ihc"]["mean"] < 0.002


def some_of(answers, count):
    """Answers for this number of orders with two or more sessions."""
    every = pd.read_csv(answers)
    ids = every.loc[every["conversion_id"].duplicated(), "conversion_id"].unique()[:count]
    return every[every["conversion_id"].isin(ids)]


def test_the_evaluation_prints_the_largest_errors_and_the_errors_with_fewer_answers(
    shop, answers, tmp_path, monkeypatch
):
    monkeypatch.setattr(validation, "SMALL_QUOTA", 5)
    some_of(answers, 12).to_csv(tmp_path / "some.csv", index=False)
    done = ihc_here("calibrate", "--database", shop, "--answers", "some.csv", "--evaluate", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Journeys with the largest errors" in done.stdout
    assert "Calibrated on 5 answers with two or more sessions, the mean error of ihc is 0.0" in done.stdout
    assert (tmp_path / "data" / "calibrated_parameters.json").exists()


def test_unusable_and_too_few_answers_are_reported(shop, answers, tmp_path):
    """The date settings are ignored: a calibration uses the answers of all days."""
    few = some_of(answers, 5)
    first, second, *_ = few["conversion_id"].unique()
    few["ihc"] = few["ihc"].mask(few["conversion_id"] == second, few["ihc"] / 2)
    few["conversion_id"] = few["conversion_id"].replace(first, "=cmd()")
    few.to_csv(tmp_path / "few.csv", index=False)
    dates = {"IHC_START_DATE": "2001-01-01", "IHC_END_DATE": "2001-01-02"}
    done = ihc_here("calibrate", "--database", shop, "--answers", "few.csv", cwd=tmp_path, **dates)
    assert done.returncode == 0, done.stderr
    assert "Left out, 1 answer: no order with a session in the database has this id ('=cmd()')." in done.stdout
    assert f"Left out, 1 answer: the credits sum to 0.5000, not 1 ('{second}')." in done.stdout
    assert "Too few answers: 3 with two or more sessions are usable" in done.stdout
    assert "The parameters were not tested on held-out answers." in done.stdout
    assert load_parameters(tmp_path / "data" / "calibrated_parameters.json").provenance["held_out_errors"] == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--answers", "nothing.csv"], "cannot be read as CSV"),
        ([], "no API answers"),
        (["--conv-type-id", "sales"], "for the conversion type 'sales'"),
        (["--answers", "nothing.csv", "--conv-type-id", "sales"], "leave out one"),
        ({"IHC_CONV_TYPE_ID": "other"}, "for the conversion type 'other'"),
    ],
)
def test_a_calibration_without_answers_is_refused_in_a_sentence(arguments, says, shop, tmp_path):
    arguments, variables = ([], arguments) if isinstance(arguments, dict) else (arguments, {})
    done = ihc_here("calibrate", "--database", shop, *arguments, cwd=tmp_path, **variables)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_training_prints_a_report_and_writes_parameters_for_a_run(shop, journeys, tmp_path):
    done = ihc_here("train", "--database", shop, "--output", "sets/mine.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in (
        *("fewer than 15,000: the curves are rough", "Cleaning", "Sessions per journey", "90th percentile", "Curves"),
        *(
            "the vendor's rule is not published",
            "0 sessions after the user's last order, in no journey.",
            "Every channel weight is 1",
        ),
    ):
        assert said in done.stdout
    parameters = load_parameters(tmp_path / "sets" / "mine.json")
    assert f"trained ({parameters.fingerprint})" in done.stdout
    assert attribute(journeys, parameters).groupby("conv_id")["ihc"].sum().round(9).eq(1).all()
    tables = {path.stem: pd.read_csv(path) for path in (tmp_path / "sets").glob("*.csv")}
    assert sorted(tables) == ["mine_curves", "mine_distributions", "mine_lengths", "mine_rules"]
    assert tables["mine_rules"].loc[0, "sessions_before"] == len(journeys)
    assert tables["mine_lengths"]["journeys_before"].sum() == journeys["conv_id"].nunique()
    knots = tables["mine_curves"].groupby("curve")["hours"].agg(list)
    assert knots["closer"] == list(parameters.closer.hours)


def test_training_uses_the_orders_of_the_period(shop, journeys, tmp_path):
    day = str(journeys["conv_timestamp"].dt.date.iloc[0])
    command = ("train", "--database", shop, "--start-date", day, "--end-date", day)
    done = ihc_here(*command, cwd=tmp_path)
    orders = journeys.loc[journeys["conv_timestamp"].dt.strftime("%Y-%m-%d") == day, "conv_id"].nunique()
    assert done.stdout.startswith(f"{orders} journeys with ")
    assert ihc_here(*command, cwd=tmp_path).returncode == 0  # a parameters file may be overwritten


def test_an_explanation_prints_everything_needed_to_recompute_the_credit(shop, journeys, tmp_path):
    (tmp_path / "truth.json").write_text(parameters_json(TRUTH), "utf-8")
    conv_id = journeys["conv_id"].value_counts().index[0]
    done = ihc_here("explain", conv_id, "--database", shop, "--parameters", "truth.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Order {conv_id} has ")
    assert "Before redistribution" not in done.stdout
    folder = tmp_path / "data" / "explanations"
    assert sorted(path.name for path in folder.iterdir()) == [f"{conv_id}.{kind}" for kind in ("csv", "png", "svg")]
    steps = pd.read_csv(folder / f"{conv_id}.csv")
    total = sum(
        TRUTH.phase_weights[phase]
        * steps[f"{phase}_membership"]
        * steps[f"{phase}_weight"]
        / (steps[f"{phase}_membership"] * steps[f"{phase}_weight"]).sum()
        for phase in TRUTH.phase_weights
    )
    assert total.tolist() == pytest.approx(steps["ihc"].tolist(), abs=1e-12)
    expected = attribute(journeys[journeys["conv_id"] == conv_id], TRUTH)
    assert steps["ihc"].tolist() == pytest.approx(expected["ihc"].tolist(), abs=1e-12)


def test_an_unknown_order_is_refused_in_a_sentence(shop, tmp_path):
    done = ihc_here("explain", "nothing", "--database", shop, cwd=tmp_path)
    assert done.returncode == 1
    assert "Order 'nothing' not found, or it has no session" in done.stderr
    assert not (tmp_path / "data" / "explanations").exists()


def test_an_explanation_with_a_redistribution_of_an_order_with_an_odd_id_stays_in_its_folder(own_shop, tmp_path):
    """The date settings are ignored."""
    (tmp_path / "r.json").write_text(json.dumps(dict.fromkeys(TRUTH.phase_weights, PHASE)), "utf-8")
    with closing(sqlite3.connect(own_shop)) as connection, connection:
        row = connection.execute(
            "SELECT conv_id FROM conversions JOIN session_sources USING (user_id) "
            "WHERE event_date < conv_date AND channel_name = 'Direct' LIMIT 1"
        ).fetchone()
        connection.execute("UPDATE conversions SET conv_id = '../../<b>x' WHERE conv_id = ?", row)
    dates = {"IHC_START_DATE": "2001-01-01", "IHC_END_DATE": "2001-01-02"}
    command = ("explain", "../../<b>x", "--database", own_shop, "--redistribution", "r.json")
    done = ihc_here(*command, cwd=tmp_path, **dates)
    assert done.returncode == 0, done.stderr
    assert "Before redistribution" in done.stdout
    assert ", redistribution " in done.stdout
    files = sorted((tmp_path / "data" / "explanations").iterdir())
    assert [path.suffix for path in files] == [".csv", ".png", ".svg"]
    assert all(path.name.startswith("_______b_x") for path in files)
    assert "closer_before" in pd.read_csv(files[0])


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("shop.db", "is an input file"),
        ("notes.txt", "is not a parameters file and is not overwritten"),
        ("folder", "it is a folder"),
        ("shop.db/mine.json", "cannot be written"),
    ],
)
def test_an_output_that_would_overwrite_other_data_or_cannot_be_written_is_refused_first(output, says, own_shop):
    folder = own_shop.parent
    (folder / "folder").mkdir()
    (folder / "notes.txt").write_text("mine", "utf-8")
    before = own_shop.read_bytes()
    done = ihc_here("train", "--database", own_shop, "--output", output, cwd=folder)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert own_shop.read_bytes() == before
    assert (folder / "notes.txt").read_text("utf-8") == "mine"
