import numpy as np
import pandas as pd
import pytest
from helpers.frames import FIXED
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.analysis.break_even import ABOVE, BELOW, NO_SPEND, UNCLEAR
from ihc.errors import InputError
from ihc.experiments import iroas
from ihc.experiments.iroas import calibrate, calibrated_days, measured, widening
from ihc.experiments.results import COLUMNS
from ihc.models.incremental import ANYWAY

NAN = float("nan")


def summary(*rows):
    """In: `(channel_name, cost, ihc, ihc_revenue)`."""
    frame = pd.DataFrame(rows, columns=["channel_name", "cost", "ihc", "ihc_revenue"])
    whole = pd.DataFrame([("Total", *frame[["cost", "ihc", "ihc_revenue"]].sum())], columns=frame.columns)
    return pd.concat([frame, whole], ignore_index=True)


def days(*rows):
    return pd.DataFrame(rows, columns=["channel_name", "date", "cost", "ihc", "ihc_revenue"])


def experiment(name="Search", revenue=NAN, error=10.0, spend=NAN, orders=NAN, start="2025-03-01", end="2025-03-02"):
    return pd.DataFrame([(name, start, end, "geo", revenue, orders, error, spend)], columns=COLUMNS)


def found_by(*rows):
    """In: `(channel_name, spend, attributed_revenue, incremental_revenue, standard_error)`."""
    columns = ["channel_name", "spend", "attributed_revenue", "incremental_revenue", "standard_error"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:], "float64"))


def row(table, name):
    return table[table["channel_name"] == name].iloc[0]


DAYS = days(
    ("Search", "2025-03-01", 100.0, 4.0, 400.0),
    ("Search", "2025-03-02", 100.0, 1.0, 100.0),
    ("Search", "2025-03-03", 100.0, 9.0, 900.0),
    ("Mail", "2025-03-01", 0.0, 1.0, 50.0),
)
SHOP = summary(("Search", 300.0, 14.0, 1400.0), ("Mail", 0.0, 1.0, 50.0))


def test_an_experiment_is_compared_with_the_attributed_revenue_of_its_days():
    found = measured(experiment(revenue=150.0, error=100.0), DAYS, SHOP).iloc[0]
    # spend 200 and attributed revenue 500 on two days; 150 +- 1.96 x 100 = -46 to 346, so 500 is outside
    assert found[["spend", "attributed_revenue", "ROAS", "iROAS"]].tolist() == [200, 500, 2.5, 0.75]
    assert found["iROAS_low"] == pytest.approx(-46 / 200, abs=1e-3)
    assert found["iROAS_high"] == pytest.approx(346 / 200, abs=1e-3)
    assert not found["agrees"]


def test_an_experiment_with_part_of_the_spend_has_that_part_of_the_attributed_revenue():
    found = measured(experiment(revenue=150.0, error=100.0, spend=50.0), DAYS, SHOP).iloc[0]
    assert found[["spend", "attributed_revenue"]].tolist() == [50, 125]  # 50 / 200 x 500
    assert found["agrees"]


def test_incremental_orders_are_worth_the_attributed_revenue_per_order():
    found = measured(experiment(orders=2.0, error=1.0), DAYS, SHOP).iloc[0]
    assert found[["incremental_revenue", "standard_error"]].tolist() == [200, 100]  # 500 / 5 per order


def test_orders_of_a_channel_without_attributed_orders_have_no_worth():
    shop = summary(("Radio", 300.0, 0.0, 0.0))
    rows = [("Radio", day, 150.0, 0.0, 0.0) for day in ("2025-03-01", "2025-03-02")]
    with pytest.raises(InputError, match="experiment on Radio from 2025-03-01 has incremental_orders"):
        measured(experiment("Radio", orders=2.0), days(*rows), shop)


def test_days_without_data_are_replaced_by_those_of_the_report():
    found = measured(experiment(revenue=1.0, spend=30.0, start="2024-01-01", end="2024-01-31"), DAYS, SHOP).iloc[0]
    assert found["attributed_revenue"] == 140  # 30 / 300 x 1400


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("Search", "2024-01-01", "2024-01-31"),
        ("Search", "2025-02-01", "2025-03-02"),
        ("Search", "2025-03-02", "2025-03-04"),
        ("Mail", "2025-03-02", "2025-03-03"),
    ],
)
def test_the_spend_of_days_without_data_is_not_guessed(name, start, end):
    says = rf"on {name} from {start} to {end} has days without .*have 2025-03-01 to 2025-03-03\): give its spend"
    with pytest.raises(InputError, match=says):
        measured(experiment(name, revenue=1.0, start=start, end=end), DAYS, SHOP)


def test_a_channel_without_spend_has_no_iroas():
    found = measured(experiment("Mail", revenue=10.0, error=1.0), DAYS, SHOP).iloc[0]
    assert found["attributed_revenue"] == 50
    assert found[["ROAS", "iROAS", "iROAS_low"]].isna().all()


def test_no_experiment_gives_no_row():
    assert measured(experiment()[:0], DAYS, SHOP).empty


def test_without_experiments_iroas_is_the_prior():
    found = row(calibrate(SHOP, found_by()), "Search")
    assert found["calibrated_revenue"] == pytest.approx(0.5 * 300 + 0.25 * 1400)
    assert found["factor"] == pytest.approx(500 / 1400)
    assert found["verdict"] == UNCLEAR


def test_spend_counts_at_break_even():
    found = row(calibrate(SHOP, found_by(), roas=4), "Search")
    assert found["calibrated_revenue"] == pytest.approx(0.5 * 4 * 300 + 0.25 * 1400)


def test_a_precise_experiment_decides_its_channel():
    table = calibrate(SHOP, found_by(("Search", 300, 1400, 90, 1)))
    found = row(table, "Search")
    assert found["calibrated_revenue"] == pytest.approx(90, abs=0.1)
    assert found["iROAS_high"] - found["iROAS_low"] == pytest.approx(2 * 1.96 / 300, rel=0.01)
    assert (found["verdict"], found["experiments"]) == (BELOW, 1)
    assert row(calibrate(SHOP, found_by(("Search", 300, 1400, 600, 1))), "Search")["verdict"] == ABOVE


def test_channels_without_an_experiment_learn_from_the_others():
    shop = summary(("A", 100.0, 10.0, 1000.0), ("B", 100.0, 10.0, 1000.0))
    prior = row(calibrate(shop, found_by()), "B")
    low = row(calibrate(shop, found_by(("A", 100, 1000, 0, 1))), "B")
    high = row(calibrate(shop, found_by(("A", 100, 1000, 1000, 1))), "B")
    assert low["calibrated_revenue"] < prior["calibrated_revenue"] < high["calibrated_revenue"]
    assert low["experiments"] == 0
    assert low["calibrated_revenue_high"] - low["calibrated_revenue_low"] < (
        prior["calibrated_revenue_high"] - prior["calibrated_revenue_low"]
    )


def test_an_experiment_with_other_spend_counts_by_its_own_attribution():
    # half of the spend caused half of the revenue: the same as the whole
    half = calibrate(SHOP, found_by(("Search", 150, 700, 45, 0.5)))
    whole = calibrate(SHOP, found_by(("Search", 300, 1400, 90, 1)))
    assert row(half, "Search")["iROAS"] == pytest.approx(row(whole, "Search")["iROAS"], abs=1e-3)


def test_experiments_that_contradict_each_other_widen_the_interval_of_their_channel():
    # iROAS 0.2 and 1.8, each with error 0.1: mean 1, squares 64 + 64, ratio sqrt(128 / 1)
    opposite = found_by(("Search", 100, 500, 20, 10), ("Search", 100, 300, 180, 10), ("Mail", 0, 50, 5, 1))
    assert widening(opposite).tolist() == pytest.approx([128**0.5, 128**0.5, 1])
    found = row(calibrate(SHOP, opposite), "Search")
    assert found["verdict"] == UNCLEAR
    assert found["iROAS_low"] < 0.2 < 1.8 < found["iROAS_high"]


def test_experiments_that_agree_with_each_other_keep_their_errors():
    same = found_by(("Search", 100, 500, 100, 10), ("Search", 200, 300, 210, 20), ("Shop", 100, 300, 900, 10))
    assert widening(same).tolist() == [1, 1, 1]
    assert widening(found_by()).empty


def test_the_posterior_for_one_spread_is_that_of_bayes_rule(monkeypatch):
    # One channel with spend 2 and revenue 4, tau = 1: prior mean 0.5 x 2 + 0.25 x 4 = 2 and variance
    # (0.5 x 2)^2 + (0.25 x 4)^2 + 1 x (2^2 + 4^2) = 22. A test of the same spend finds 5 with variance 11:
    # mean 2 + 22 / 33 x 3 = 4, variance 22 x 11 / 33 = 22 / 3.
    monkeypatch.setattr(iroas, "SPREADS", np.array([1.0]))
    found = row(calibrate(summary(("A", 2.0, 1.0, 4.0)), found_by(("A", 2, 4, 5, np.sqrt(11)))), "A")
    assert found["calibrated_revenue"] == pytest.approx(4)
    assert found["calibrated_revenue_high"] - 4 == pytest.approx(1.959964 * np.sqrt(22 / 3))


def test_what_is_left_would_have_come_anyway():
    table = calibrate(SHOP, found_by(("Search", 300, 1400, 90, 1)))
    rest = row(table, ANYWAY)["calibrated_revenue"]
    assert table["channel_name"].tolist() == ["Search", "Mail", ANYWAY, "Total"]
    assert table["calibrated_revenue"].iloc[:2].sum() + rest == pytest.approx(1450)
    assert table["calibrated_revenue"].iloc[-1] == 1450


def test_an_experiment_on_a_channel_outside_the_report_informs_the_others():
    learned = row(calibrate(SHOP, found_by(("Radio", 100, 500, 0, 1))), "Search")
    assert learned["calibrated_revenue"] < row(calibrate(SHOP, found_by()), "Search")["calibrated_revenue"]
    assert learned["experiments"] == 0


def test_a_channel_with_spend_and_no_attributed_revenue_has_iroas_but_no_factor():
    shop = summary(("Radio", 100.0, 0.0, 0.0), ("Search", 300.0, 14.0, 1400.0))
    found = row(calibrate(shop, found_by(("Radio", 100, 0, 250, 1))), "Radio")
    assert found["iROAS"] == pytest.approx(2.5, abs=0.01)
    assert np.isnan(found["factor"])


def test_a_channel_without_spend_has_calibrated_revenue_but_no_verdict():
    found = row(calibrate(SHOP, found_by()), "Mail")
    assert found["calibrated_revenue"] == pytest.approx(0.25 * 50)
    assert found["verdict"] == NO_SPEND
    assert np.isnan(found["iROAS"])


amounts = st.floats(0, 1e6)


@settings(FIXED, max_examples=20)
@given(
    st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.floats(-1e6, 1e6), st.floats(0.01, 1e6)), max_size=4),
    st.floats(0.1, 10),
)
def test_the_parts_add_up_and_intervals_contain_their_estimate(channels, found, roas):
    shop = summary(*((f"c{number}", cost, revenue / 50, revenue) for number, (cost, revenue) in enumerate(channels)))
    known = [(f"c{at % len(channels)}", *channels[at % len(channels)], *figures) for at, *figures in found]
    table = calibrate(shop, found_by(*known), roas=roas)
    whole = shop["ihc_revenue"].iloc[-1]
    scale = max(1.0, table["calibrated_revenue"].abs().max())
    assert table["calibrated_revenue"].iloc[:-1].sum() == pytest.approx(whole, abs=1e-9 * scale)
    bounded = table.iloc[:-1]
    assert (bounded["calibrated_revenue_low"] <= bounded["calibrated_revenue"]).all()
    assert (bounded["calibrated_revenue"] <= bounded["calibrated_revenue_high"]).all()


def test_each_day_keeps_its_revenue():
    table = calibrate(SHOP, found_by(("Search", 300, 1400, 140, 1e-3)))
    found = calibrated_days(DAYS, table)
    search = found[found["channel_name"] == "Search"]
    assert search["calibrated_revenue"].tolist() == pytest.approx([40, 10, 90], abs=0.01)  # factor 0.1
    sums = found.groupby("date")[["ihc_revenue", "calibrated_revenue"]].sum()
    assert sums["calibrated_revenue"].tolist() == pytest.approx(sums["ihc_revenue"].tolist())
    assert (found["channel_name"] == ANYWAY).sum() == 3


def test_a_channel_without_attributed_revenue_is_spread_by_its_spend():
    shop = summary(("Radio", 100.0, 0.0, 0.0))
    table = calibrate(shop, found_by(("Radio", 100, 0, 200, 1e-3)))
    found = calibrated_days(days(("Radio", "d1", 25.0, 0.0, 0.0), ("Radio", "d2", 75.0, 0.0, 0.0)), table)
    radio = found[found["channel_name"] == "Radio"]
    assert radio["calibrated_revenue"].tolist() == pytest.approx([50, 150], abs=0.01)
    assert found.groupby("date")["calibrated_revenue"].sum().tolist() == pytest.approx([0, 0])
