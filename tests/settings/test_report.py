import pytest
from helpers.settings import load

from ihc.errors import SettingsError
from ihc.settings.report import ReportOptions
from ihc.settings.style import HouseStyle


def test_without_any_setting_the_report_is_by_channel_at_a_break_even_of_one(tmp_path, monkeypatch):
    report = load(tmp_path, monkeypatch, {}).report
    assert (report.by, report.channel_groups, report.break_even_roas, report.draws) == (None, None, 1.0, 1000)
    assert report.lookbacks == (None, 30.0, 7.0)
    assert report.money == "currency"


def test_every_option_may_come_from_the_environment(tmp_path, monkeypatch):
    variables = {
        "IHC_CHANNEL_GROUPS": "groups.csv",
        "IHC_STRESS": "400",
        "IHC_DIRECT": "Typed in, Direkt,Typed in",
        "IHC_EXPERIMENTS": "tests.csv",
        "IHC_CURRENCY": " EUR ",
        "IHC_BREAK_EVEN_ROAS": "2.5",
        "IHC_EXPORT_CREDITS": "true",
        "IHC_BOOTSTRAP_DRAWS": "200",
        "IHC_BOOTSTRAP_SEED": "7",
        "IHC_SENSITIVITY_LOOKBACKS": "any, 14,7,14",
        "IHC_SENSITIVITY_MODELS": "IHC, Linear",
    }
    (tmp_path / "groups.csv").write_text("channel_name,channel_group\nSearch,Paid\n")
    head = "channel_name,start_date,end_date,kind,incremental_orders,standard_error\n"
    (tmp_path / "tests.csv").write_text(f"{head}Search,2025-03-01,2025-03-14,geo,10,4\n")
    report = load(tmp_path, monkeypatch, variables).report
    assert report.results["incremental_orders"].tolist() == [10]
    assert report == ReportOptions(
        by=None,
        channel_groups=tmp_path / "groups.csv",
        groups={"Search": "Paid"},
        experiments=tmp_path / "tests.csv",
        results=None,  # not compared
        worlds=400,
        direct=("Typed in", "Direkt"),
        currency="EUR",
        break_even_roas=2.5,
        draws=200,
        seed=7,
        lookbacks=(None, 14.0, 7.0),
        models=("IHC", "Linear"),
        style=HouseStyle(),
        export_credits=True,
    )


def test_invalid_groups_and_groups_with_another_column_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="--channel-groups and --by cannot be combined: leave out one"):
        load(tmp_path, monkeypatch, {}, by="campaign", channel_groups="groups.csv")
    with pytest.raises(SettingsError, match=r"nothing\.csv cannot be read"):
        load(tmp_path, monkeypatch, {"IHC_CHANNEL_GROUPS": "nothing.csv"})
