import shutil

import pandas as pd
import pytest
from helpers.reports import change, stored_report

from ihc.exhibits import files
from ihc.exhibits.models import ENGAGEMENT
from ihc.report.page import report_page

NO_FLAGS = "UPDATE session_sources SET holder_engagement = 1, closer_engagement = 1"
NO_CLOSER = "UPDATE session_sources SET closer_engagement = 1"
NO_HOLDER = "UPDATE session_sources SET holder_engagement = 1"
NO_ORDERS = "DELETE FROM conversions"
FILE = f"{ENGAGEMENT}.csv"


def report_after(shop, folder, *statements, **options):
    """The report of the sample shop after some statements."""
    database = shutil.copy(shop, folder / "shop.db")
    change(database, *statements)
    return stored_report(database, folder, **options)


@pytest.fixture(scope="module")
def unflagged(shop, tmp_path_factory):
    """The report of a shop whose flags are all 1."""
    return report_after(shop, tmp_path_factory.mktemp("unflagged"), NO_FLAGS)


def test_a_shop_without_flags_is_told_what_depends_on_them(unflagged):
    text = unflagged.engagement.text
    assert text.startswith("Engagement is not recorded: both flags are 1 for all sessions. If only the last session")
    assert unflagged.engagement in unflagged.sections["Data quality"]
    page = report_page(unflagged)
    for sentence in text.split(". "):
        assert sentence.removesuffix(".") in page
    assert FILE in page


def test_all_closers_earn_what_the_report_says_and_no_revenue_is_lost(unflagged):
    found, summary = unflagged.engagement.frame, unflagged.channels.frame.iloc[:-1]
    assert found["channel_name"].tolist() == summary["channel_name"].tolist()
    assert found["ihc_revenue"].tolist() == pytest.approx(summary["ihc_revenue"].tolist())
    assert found["ihc_revenue_last_closer"].sum() == pytest.approx(summary["ihc_revenue"].sum())


def test_the_last_closers_earn_what_a_shop_with_these_flags_reports(unflagged, shop, tmp_path):
    # The model counts the last session as closer without a flag.
    other = report_after(shop, tmp_path, NO_FLAGS, "UPDATE session_sources SET closer_engagement = 0")
    assert other.engagement is None
    earned = other.channels.frame.iloc[:-1].set_index("channel_name")["ihc_revenue"]
    found = unflagged.engagement.frame.set_index("channel_name")["ihc_revenue_last_closer"]
    assert found.to_dict() == pytest.approx(earned.to_dict())


def test_the_rows_are_those_of_the_report(shop, tmp_path):
    report = report_after(shop, tmp_path, NO_FLAGS, by="campaign")
    assert set(report.engagement.frame["channel_name"]) <= set(report.channels.frame["channel_name"])
    assert "(none)" in set(report.engagement.frame["channel_name"])


def test_recorded_holder_flags_are_kept_and_only_the_closer_is_missing(shop, tmp_path):
    report = report_after(shop, tmp_path, NO_CLOSER)
    assert report.engagement.text.startswith("Closer engagement is not recorded: all sessions have the flag 1.")
    summary = report.channels.frame.iloc[:-1]
    assert report.engagement.frame["ihc_revenue"].tolist() == pytest.approx(summary["ihc_revenue"].tolist())


@pytest.mark.parametrize("statements", [(), (NO_HOLDER,), (NO_FLAGS, NO_ORDERS)], ids=["both", "closer", "no order"])
def test_there_is_no_exhibit_with_recorded_closers_or_without_orders(shop, tmp_path, statements):
    report = report_after(shop, tmp_path, *statements)
    assert report.engagement is None
    assert ENGAGEMENT not in {exhibit.name for exhibit in report.exhibits}


def test_credits_of_another_engine_are_named(unflagged, shop, tmp_path):
    assert "calculated by the local engine" not in unflagged.engagement.text
    report = report_after(shop, tmp_path, NO_FLAGS)
    change(report.data.settings.database.file, "UPDATE attribution_runs SET engine = 'api', parameters = 'type'")
    answered = stored_report(report.data.settings.database.file, tmp_path, is_attributed=False)
    assert "Here, IHC is calculated by the local engine with parameters" in answered.engagement.text
    assert answered.engagement.frame.equals(report.engagement.frame)


def test_the_file_is_written_and_goes_once_the_shop_records_engagement(unflagged, shop, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_write_charts", lambda report, folder: ([], []))  # which take most of the time
    monkeypatch.setattr(files, "report_page", lambda report: "")
    written = files.save(unflagged, tmp_path / "out").files
    assert tmp_path / "out" / FILE in written
    frame = pd.read_csv(tmp_path / "out" / FILE)
    assert frame.columns.tolist() == ["channel_name", "ihc_revenue", "ihc_revenue_last_closer", "difference"]
    recorded = report_after(shop, tmp_path)
    assert FILE not in {path.name for path in files.save(recorded, tmp_path / "out").files}
    assert not (tmp_path / "out" / FILE).exists()
