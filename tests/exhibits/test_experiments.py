import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from helpers.reports import stored_report

from ihc.errors import InputError
from ihc.exhibits.experiments import OF_EXPERIMENTS
from ihc.exhibits.files import save
from ihc.models.incremental import ANYWAY

HEAD = "channel_name,start_date,end_date,kind,incremental_revenue,standard_error"


def written(folder, *lines):
    path = folder / "experiments.csv"
    path.write_text("\n".join([HEAD, *lines]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="module")
def own(shop, folder):
    """A copy of the shop for this module, attributed by its first report."""
    return Path(shutil.copy(shop, folder / "shop.db"))


@pytest.fixture(scope="module")
def report(own, folder):
    lines = ["Paid Social,2025-02-01,2025-03-28,holdout,10,5", "Newsletter,2025-02-01,2025-03-28,geo,1,100000"]
    return stored_report(own, folder, experiments=written(folder, *lines))


def test_the_report_has_attributed_and_calibrated_figures_beside_each_other(report):
    found, channels = report.calibrated_roas.frame, report.channels.frame
    assert found["channel_name"].tolist() == [*channels["channel_name"].iloc[:-1], ANYWAY, "Total"]
    assert found["ROAS"].iloc[:-2].tolist() == pytest.approx(channels["ROAS"].iloc[:-1].tolist(), nan_ok=True)
    social = found.set_index("channel_name").loc["Paid Social"]
    assert social["calibrated_revenue"] == pytest.approx(10, abs=1)
    assert social["experiments"] == 1
    assert report.calibrated_roas.plot().axes


def test_contradictions_are_in_the_exhibit_and_among_the_priorities(report):
    assert report.experiments.frame["agrees"].tolist() == [False, True]
    assert "Attribution contradicts 1 of 2 experiments." in report.experiments.text
    assert any("contradicts an experiment. Paid Social:" in point.text for point in report.points)
    assert report.headline.startswith("By attribution: ")
    said = "Attribution contradicts 1 of 2 experiments. Read the section Experiments"
    assert any(warning.startswith(said) for warning in report.warnings)


def test_each_day_keeps_its_revenue(report):
    sums = report.calibrated_reporting.frame.groupby("date")[["ihc_revenue", "calibrated_revenue"]].sum()
    assert sums["calibrated_revenue"].tolist() == pytest.approx(sums["ihc_revenue"].tolist())


def test_the_page_has_a_section_with_the_chart_and_two_tables(report, folder):
    files = {path.name for path in save(report, folder / "page").files}
    assert {f"{name}.csv" for name in OF_EXPERIMENTS} | {"calibrated_roas.svg"} <= files
    page = (folder / "page" / "report.html").read_text("utf-8")
    assert 'id="experiments"' in page
    assert "Which experiment next" in page


def test_a_report_without_experiments_has_no_section_and_removes_the_files(report, own, folder):
    save(report, folder / "again")
    without = stored_report(own, folder, is_attributed=False)
    save(without, folder / "again")
    assert not {exhibit.name for exhibit in without.exhibits} & {*OF_EXPERIMENTS}
    left = {path.stem for path in (folder / "again").rglob("*.*")}
    assert not left & {*OF_EXPERIMENTS}
    assert 'id="experiments"' not in (folder / "again" / "report.html").read_text("utf-8")


def test_the_next_experiment_is_known_without_any(report, own, folder):
    bare = stored_report(own, folder, is_attributed=False)
    assert " would be worth most" in bare.next_experiments.text  # a shop of 200 orders is too small for a test
    assert (bare.calibrated_roas.frame["experiments"] == 0).all()


def test_a_move_without_experiments_is_never_settled(report, own, folder):
    bare = stored_report(own, folder, is_attributed=False)
    found = bare.what_if("Paid Social", "Newsletter", 0.2)
    assert "so a loss is possible" in found.text
    assert "An experiment on " in found.text
    assert {"no experiment yet", "Time to event", "Path Shapley", "Learned Shapley"} <= {*found.frame["evidence"]}


def test_precise_experiments_settle_a_move(report, own, folder):
    lines = ["Paid Social,2025-02-01,2025-03-28,geo,1,0.1", "Newsletter,2025-02-01,2025-03-28,geo,9000,0.1"]
    tested = stored_report(own, folder, is_attributed=False, experiments=written(folder, *lines))
    assert " gains " in tested.what_if("Paid Social", "Newsletter").text
    assert " loses " in tested.what_if("Newsletter", "Paid Social").text


def test_experiments_of_a_report_by_group_are_on_groups(report, own, folder):
    pd.DataFrame({"channel_name": ["Paid Social", "Newsletter"], "channel_group": "Push"}).to_csv(
        folder / "g.csv", index=False
    )
    of_group = written(folder, "Push,2025-02-01,2025-03-28,geo,10,5")
    found = stored_report(own, folder, is_attributed=False, experiments=of_group, channel_groups=folder / "g.csv")
    assert found.calibrated_roas.frame.set_index("channel_name").loc["Push", "experiments"] == 1
    of_channel = written(folder, "Newsletter,2025-02-01,2025-03-28,geo,10,5")
    found = stored_report(own, folder, is_attributed=False, experiments=of_channel, channel_groups=folder / "g.csv")
    with pytest.raises(InputError, match="The experiments name 'Newsletter', but the report's rows are"):
        save(found, folder / "never")
    assert list((folder / "never").iterdir()) == []


def test_an_order_of_a_wrong_clock_does_not_change_the_length_of_experiments(report, own, folder):
    far = Path(shutil.copy(own, folder / "far.db"))
    with closing(sqlite3.connect(far)) as database:
        database.execute("UPDATE conversions SET conv_date = '2039-01-01' WHERE rowid = 1")
        database.commit()
    frames = [stored_report(each, folder, is_attributed=False).next_experiments.frame for each in (own, far)]
    before, after = (frame.set_index("channel_name")["holdout_days"] for frame in frames)
    assert (after / before).between(0.5, 2).all()
