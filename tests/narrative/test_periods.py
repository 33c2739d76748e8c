import pandas as pd

from ihc.analysis.periods import UNITS, UNPLACED
from ihc.narrative.periods import change_sentence, spend_sentence, trend_sentence

NAN = float("nan")
WINDOW, BEFORE = ("2023-09-03", "2023-09-04"), ("2023-09-01", "2023-09-02")
# Value and previous value by figure.
GLANCE = {
    **{"Revenue": (300.0, 100.0), "Orders": (3.0, 1.0), "Total spend": (100.0, 50.0), "Blended ROAS": (3.0, 2.0)},
    **{"Attributed revenue": (160.0, 200.0), "Attributed ROAS of paid channels": (1.6, 4.0)},
}


def figures(**values):
    """The figures, some with other values."""
    rows = GLANCE | {name.replace("_", " "): pair for name, pair in values.items()}
    table = pd.DataFrame([(name, UNITS[name], *pair) for name, pair in rows.items()])
    table.columns = ["figure", "unit", "value", "before"]
    change = (table["value"] - table["before"]) / table["before"].where(table["before"] != 0)
    return table.assign(change=change, note=table["figure"].map({UNPLACED: "in the total spend"}).fillna(""))


def changed(table=None, window=WINDOW, previous=BEFORE, first=None):
    return change_sentence(figures() if table is None else table, window, previous, immature_from=first)


def test_spend_is_compared_with_the_revenue_of_all_orders(snapshot):
    assert {
        "spend": spend_sentence(figures()),
        "without a session": spend_sentence(figures(Spend_without_a_session=(100.0, NAN))),
        "no spend": spend_sentence(figures(Total_spend=(0.0, NAN), Blended_ROAS=(NAN, NAN))),
    } == snapshot


def test_the_change_from_the_previous_period_is_stated_or_why_there_is_none(snapshot):
    nothing = figures().assign(before=NAN, change=NAN)
    is_credit = figures()["figure"].str.startswith("Attributed")
    assert {
        "changed": changed(),
        "no period before": changed(previous=None),
        "no days before": changed(nothing, previous=("2023-09-01", "2023-09-01")),
        "no credit before": changed(figures().assign(before=figures()["before"].mask(is_credit)), first="2023-09-04"),
        "from nothing": changed(figures(Total_spend=(50.0, 0.0))),
        "to nothing": changed(figures(Total_spend=(0.0, 50.0), Blended_ROAS=(NAN, 2.0))),
        "incomplete": changed(figures().assign(change=figures()["change"].mask(is_credit)), first="2023-09-04"),
        "incomplete after it": changed(first="2023-09-05"),
        "incomplete from before on": changed(first="2023-08-01"),
    } == snapshot


def test_small_changes_are_not_rounded_to_zero(snapshot):
    changes = (0.0, 0.004, -0.005, 0.006, -0.25, 12.5)
    texts = {str(change): changed(figures().assign(change=change)) for change in changes}
    assert {change: text.split("revenue ")[1].split(", orders")[0] for change, text in texts.items()} == snapshot


def weeks(*rows):
    """`(week, days, cost, ihc_revenue)`, of one channel."""
    frame = pd.DataFrame(rows, columns=["week", "days", "cost", "ihc_revenue"])
    return frame.astype({"week": "str"}).assign(channel_name="Search", ihc=1.0)


def two(before, last):
    return weeks(("2023-09-04", 7, *map(float, before)), ("2023-09-11", 7, *map(float, last)))


def test_the_last_complete_week_is_compared_with_the_average_of_earlier_ones(snapshot):
    three = weeks(*((week, 7, 1.0, 1.0) for week in ("2023-08-28", "2023-09-04", "2023-09-11")))
    # Mean (1,000 + 3,000) / 2 = 2,000; ROAS 1,500 / 20, before 4,000 / 40.
    full = [("2023-09-04", 7, 10.0, 1_000.0), ("2023-09-11", 7, 30.0, 3_000.0), ("2023-09-18", 7, 20.0, 1_500.0)]
    assert {
        "no week": trend_sentence(weeks()),
        "one full week": trend_sentence(weeks(("2023-09-04", 7, 1.0, 1.0), ("2023-09-11", 6, 1.0, 1.0))),
        "less": trend_sentence(weeks(("2023-08-28", 3, 9.0, 9_000.0), *full, ("2023-09-25", 2, 9.0, 9_000.0))),
        "more": trend_sentence(two((1, 100), (1, 150))),
        "as much": trend_sentence(two((1, 100), (1, 100))),
        "nothing before": trend_sentence(two((1, 0), (1, 5))),
        "no cost before": trend_sentence(two((0, 10), (1, 5))),
        "no cost": trend_sentence(two((1, 10), (0, 5))),
        "two channels": trend_sentence(pd.concat([two((1, 1), (1, 1))] * 2)),
        **{f"incomplete from {day}": trend_sentence(three, immature_from=day) for day in
           ("2023-09-18", "2023-09-17", "2023-09-11", "2023-09-10")},
    } == snapshot  # fmt: skip
