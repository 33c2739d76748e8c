import shutil
from dataclasses import replace

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from helpers.reports import stored_report

from ihc.errors import InputError
from ihc.exhibits import models
from ihc.exhibits.report import Report
from ihc.report.page import report_page
from ihc.report.verdicts import verdicts


@pytest.fixture(scope="module")
def database(shop, tmp_path_factory):
    return shutil.copy(shop, tmp_path_factory.mktemp("stress") / "shop.db")


@pytest.fixture(scope="module")
def report(database, tmp_path_factory):
    return stored_report(database, tmp_path_factory.mktemp("plain"), break_even_roas=2)


def test_the_stress_test_shows_the_reported_figures_with_a_sentence_per_channel_and_a_chart(report):
    found = report.stress(worlds=4)
    channels = report.channels.frame.set_index("channel_name")
    assert found.frame["ROAS"].tolist() == pytest.approx(channels.loc[found.frame["channel_name"], "ROAS"].tolist())
    assert (found.frame["worlds"] == 4).all()
    for row in found.frame.to_dict("records"):
        assert f"{row['channel_name']}: {row['verdict']} break-even in " in found.text
    assert found.plot().axes
    assert "of 4 worlds" in found._repr_html_()


@pytest.fixture(scope="module")
def stressed(report, database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stressed")
    return stored_report(database, folder, is_attributed=False, break_even_roas=2, stress=4)


@pytest.fixture(scope="module")
def page(stressed):
    return BeautifulSoup(report_page(stressed), "html.parser")


def test_without_the_setting_no_world_is_drawn_for_the_report(report, monkeypatch):
    monkeypatch.setattr(models, "damaged_worlds", None)
    assert not {"stress", "robustness"} & {exhibit.name for exhibit in report.exhibits}
    found = verdicts(report)
    assert {row.holds for row in found.rows} == {found.tested} == {""}
    assert not any("world" in point.text for point in report.points)


def test_with_the_setting_the_stress_test_is_among_models_and_sensitivity_and_as_of_the_command(page, stressed, report):
    found = next(each for each in stressed.sections["Models and sensitivity"] if each.name == "robustness")
    pd.testing.assert_frame_equal(found.frame, report.stress(worlds=4).frame)
    assert page.select_one("#models-and-sensitivity #detail-robustness svg.chart")
    assert page.select("#detail-robustness table")


def test_the_summary_has_the_share_of_worlds_beside_what_other_settings_do(page, stressed):
    *_, head = page.select(".verdict-table thead th")
    assert head.text == "Robustness; holds in … of 4 worlds"
    assert "same side of break-even as reported" in head.abbr["title"]
    holds = dict(zip(stressed.robustness.frame["channel_name"], stressed.robustness.frame["holds"], strict=True))
    other = stressed.stability.frame.set_index("channel_name")["stability"]
    shown = {row.th.text: row.select("td")[-1].text for row in page.select(".verdict-table tbody tr")}
    assert {name: shown[name] for name in holds} == {name: f"{other[name]}; {holds[name]:.0%}" for name in holds}
    assert len(set(holds.values())) > 1
    assert [name for name in shown if name not in holds and ";" in shown[name]] == []


@pytest.mark.slow
def test_the_table_and_the_chart_are_saved(stressed, tmp_path):
    stressed.save(tmp_path)
    for name in ("robustness.csv", "charts/robustness.svg", "charts/robustness.png"):
        assert (tmp_path / name).exists()


def test_a_fragile_verdict_may_be_a_priority(stressed, monkeypatch):
    fragile = replace(stressed.robustness, frame=stressed.robustness.frame.assign(holds=0.0))
    monkeypatch.setattr(Report, "robustness", fragile)
    points = Report(stressed.data).points
    assert "but only in 0% of 4 worlds with damaged tracking" in " ".join(point.text for point in points)


def test_a_report_of_dates_without_orders_has_no_verdict_to_test(shop, tmp_path):
    options = {"start_date": "2020-01-01", "end_date": "2020-01-02", "is_attributed": False}
    empty = stored_report(shop, tmp_path, stress=4, **options)
    assert empty.robustness.frame.empty
    assert empty.missing in report_page(empty)


def test_the_stress_test_needs_a_world(report):
    with pytest.raises(InputError, match="at least one world"):
        report.stress(worlds=0)
