import pandas as pd
import pytest

from ihc.errors import InputError, SettingsError
from ihc.experiments.results import check_channels, load_experiments

HEAD = "channel_name,start_date,end_date,kind,incremental_revenue,standard_error,spend"
FULL = "channel_name,start_date,end_date,kind,incremental_revenue,incremental_orders,standard_error,spend"
LINE = "Search,2025-03-01,2025-03-14,geo,1200.5,300,800"


@pytest.fixture
def load(tmp_path):
    def written(*lines):
        path = tmp_path / "experiments.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return load_experiments(path)

    return written


def test_each_line_is_an_experiment_in_revenue_or_in_orders(load):
    found = load(FULL, "Search,2025-03-01,2025-03-14,geo,1200.5,,300,800", "Mail,2025-04-01,2025-04-30,on/off,,12,4,")
    assert found["channel_name"].tolist() == ["Search", "Mail"]
    assert found["incremental_revenue"].fillna(-1).tolist() == [1200.5, -1]
    assert found["incremental_orders"].fillna(-1).tolist() == [-1, 12]
    assert found["spend"].fillna(-1).tolist() == [800, -1]


def test_one_incremental_column_is_enough_and_spend_may_be_missing(load):
    found = load(HEAD.removesuffix(",spend"), LINE.removesuffix(",800"))
    assert found["spend"].isna().all()
    assert found["incremental_orders"].isna().all()


def test_a_file_with_its_first_line_only_has_no_experiment(load):
    assert load(HEAD).empty


def test_spaces_around_values_and_a_byte_order_mark_are_ignored(load):
    assert load("﻿" + HEAD.replace(",", ", "), LINE.replace(",", " , "))["kind"].tolist() == ["geo"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (LINE.replace("geo", "survey"), "line 2: kind is 'survey'; write geo, holdout, on/off."),
        (LINE.replace("2025-03-14", "2025-02-30"), "line 2: end_date '2025-02-30' is not a date"),
        (LINE.replace("2025-03-14", ""), "line 2: start_date and end_date are needed"),
        (LINE.replace("2025-03-14", "2025-02-14"), "2025-02-14"),
        (
            LINE.replace("1200.5", "1.200,50").replace("1.200,50", '"1.200,50"'),
            "incremental_revenue is '1.200,50'; write",
        ),
        (
            LINE.replace("1200.5", ""),
            "incremental_revenue is '' and incremental_orders is ''; give one of the two.",
        ),
        (LINE.replace("300", "0"), "line 2: standard_error is '0'; give the standard error above 0."),
        (LINE.replace("300", ""), "standard_error is ''; give"),
        (LINE.replace("300", "inf"), "standard_error is 'inf'; write a number"),
        (LINE.replace("800", "-1"), "line 2: spend is '-1'; give more than 0, or leave it empty"),
        (LINE.replace("800", "0"), "line 2: spend is '0'; give more than 0, or leave it empty"),
        (LINE.replace("1200.5", "1200,5"), "cannot be read as CSV: line 2 has 8 fields instead of 7. Save"),
        (LINE.replace("Search", ""), "line 2: channel_name is empty."),
    ],
)
def test_a_wrong_line_is_named_with_its_value(load, line, says):
    with pytest.raises(SettingsError) as raised:
        load(HEAD, line)
    assert says in str(raised.value)


def test_an_empty_line_in_the_middle_does_not_shift_line_numbers(load):
    with pytest.raises(SettingsError, match="line 4: kind is 'x'"):
        load(HEAD, LINE, "", LINE.replace("geo", "x"))


def test_both_incremental_figures_in_a_line_are_ambiguous(load):
    with pytest.raises(SettingsError, match="incremental_revenue is '1200' and incremental_orders is '12'; give one"):
        load(FULL, "Search,2025-03-01,2025-03-14,geo,1200,12,300,800")


def test_five_problems_are_listed_and_the_others_counted(load):
    with pytest.raises(SettingsError) as raised:
        load(HEAD, *[LINE.replace("geo", "x")] * 8)
    assert str(raised.value).count("line ") == 5
    assert str(raised.value).endswith("3 more problems.")


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (HEAD.replace("kind", "type"), "lack 'kind'"),
        (HEAD.replace("incremental_revenue", "revenue"), "lack 'incremental_revenue or incremental_orders'"),
        (f"{HEAD},note", "unknown columns: 'note'"),
        (HEAD.replace(",", ";"), "the first line is 'channel_name;start_date;.*separated by commas"),
        (f"{HEAD},spend", "have 'spend' more than once"),
    ],
)
def test_wrong_columns_are_named(load, head, says):
    with pytest.raises(SettingsError, match=says):
        load(head)


def test_a_file_that_is_not_utf_8_says_how_to_save_it(tmp_path):
    path = tmp_path / "experiments.csv"
    path.write_text(f"{HEAD}\n{LINE}\n", "utf-16")
    with pytest.raises(SettingsError, match=r"it is not UTF-8 text\. Save the file in UTF-8"):
        load_experiments(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.csv cannot be read.*no such file"):
        load_experiments(tmp_path / "nowhere.csv")


def test_an_experiment_on_an_unknown_channel_names_it_and_those_of_the_report(load):
    with pytest.raises(InputError, match="name 'Search', but the report's rows are 'Mail', 'search'"):
        check_channels(load(HEAD, LINE), pd.Series(["search", "Mail"]))
