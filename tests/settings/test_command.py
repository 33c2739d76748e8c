import shlex

import pytest
from helpers.settings import load, redistribution_file

from ihc.settings.command import command_line
from ihc.settings.run import load_settings


def test_the_command_of_a_sample_run_names_only_database_and_engine(tmp_path):
    assert command_line(load_settings(base=tmp_path)) == "ihc run --database ihc.db --engine local"


def test_every_setting_that_is_not_the_default_is_named(tmp_path, monkeypatch):
    redistribution_file(tmp_path)
    options = {
        "database": "a folder/my shop.db",
        "start_date": "2023-09-01",
        "end_date": "2023-09-07",
        "lookback_days": 14.0,
        "restart_after_order": True,
        "conversion_type": "purchase",
        "redistribution": "redistribution.json",
        "by": "campaign",
        "stress": 400,
        "direct": "Typed in,Direkt",
        "currency": "EUR",
        "break_even_roas": 2.5,
        "export_credits": True,
        "output": "elsewhere",
        "max_requests": 3,
    }
    settings = load(tmp_path, monkeypatch, {"IHC_BOOTSTRAP_SEED": "7"}, **options)
    assert command_line(settings) == (
        "IHC_BOOTSTRAP_SEED=7 ihc run --database 'my shop.db' --start-date 2023-09-01 --end-date 2023-09-07 "
        "--lookback-days 14 --restart-after-order --conversion-type purchase --engine local "
        "--redistribution redistribution.json --by campaign --stress 400 --direct 'Typed in,Direkt' "
        "--currency EUR --break-even-roas 2.5 --export-credits"
    )


def test_api_key_and_password_are_never_in_the_command(tmp_path, monkeypatch):
    variables = {"IHC_API_KEY": "k3y-of-ann", "IHC_CONV_TYPE_ID": "sales"}
    settings = load(tmp_path, monkeypatch, variables, database=f"sqlite:///{tmp_path}/shop.db")
    assert command_line(settings) == "ihc run --database shop.db --engine api --conv-type-id sales"


def test_a_report_only_run_is_reproduced_as_report_only(tmp_path):
    assert command_line(load_settings(base=tmp_path), report_only=True).endswith("--engine local --report-only")


@pytest.mark.parametrize("name", ["$(rm x)", "a'b", "x; y"])
def test_shell_syntax_is_quoted(tmp_path, name):
    words = shlex.split(command_line(load_settings(base=tmp_path, by=name)))
    assert words[words.index("--by") + 1] == name
