import pandas as pd
import pytest

from ihc.errors import InputError
from ihc.experiments.scenarios import GAINS, LOSES, OWN, POOLED, PRIOR, UNSETTLED, responses, what_if
from ihc.models.incremental import ANYWAY

SUMMARY = pd.DataFrame(
    [
        ("Search", 1000.0, 20.0, 2000.0),
        ("Mail", 100.0, 10.0, 500.0),
        ("Direct", 0.0, 5.0, 300.0),
        ("Total", 1100.0, 35.0, 2800.0),
    ],
    columns=["channel_name", "cost", "ihc", "ihc_revenue"],
)


def known(**returns):
    """In: the lowest and highest return of each channel."""
    rows = [(name, OWN, low, high) for name, (low, high) in returns.items()]
    return pd.DataFrame(rows, columns=["channel_name", "evidence", "iROAS_low", "iROAS_high"])


def calibrated(tested):
    rows = [
        ("Search", 0.2, 0.8),
        ("Mail", 1.0, 4.0),
        ("Direct", None, None),
        (ANYWAY, None, None),
        ("Total", None, None),
    ]
    table = pd.DataFrame(rows, columns=["channel_name", "iROAS_low", "iROAS_high"]).astype({"iROAS_low": "float64"})
    return table.assign(experiments=[int(name in tested) for name in table["channel_name"]])


MODEL = pd.DataFrame(
    {
        "channel_name": ["Search", "Mail", ANYWAY],
        "incremental_orders_low": [2.0, 1.0, 0.0],
        "incremental_orders_high": [4.0, 3.0, 9.0],
    }
)


def test_a_channel_without_an_experiment_has_the_range_of_each_model_too():
    found = responses(calibrated({"Search"}), {"Model": MODEL}, SUMMARY)
    assert found[["channel_name", "evidence"]].to_numpy().tolist() == [
        ["Search", OWN],
        ["Mail", POOLED],
        ["Mail", "Model"],
    ]
    # 1 and 3 orders x 50 per order / 100 of spend
    assert found.iloc[-1][["iROAS_low", "iROAS_high"]].tolist() == [0.5, 1.5]


def test_before_the_first_experiment_the_prior_counts():
    assert responses(calibrated(set()), {}, SUMMARY)["evidence"].tolist() == [PRIOR, PRIOR]


def test_a_move_is_calculated_from_the_ends_of_both_ranges():
    move = what_if(known(Search=(0.2, 0.8), Mail=(2.0, 4.0)), SUMMARY, "Search", "Mail", 0.1)
    # 100 moves. Search loses 100 x (0.5 x 0.2 to 1 x 0.8) = 10 to 80, Mail gains 100 x (0.5 x 2 to 1 x 4) = 100 to 400.
    assert (move.low, move.high) == pytest.approx((20, 390))
    assert move.table["spend_change"].tolist() == pytest.approx([-100, 100, 0])
    assert move.table["revenue_low"].tolist() == pytest.approx([-80, 100, 20])
    assert move.outcome == GAINS


def test_the_widest_range_over_all_evidence_counts():
    wide = pd.concat([known(Search=(0.2, 0.8), Mail=(2.0, 4.0)), known(Mail=(-1.0, 1.0)).assign(evidence="Model")])
    move = what_if(wide, SUMMARY, "Search", "Mail", 0.1)
    assert (move.low, move.high) == pytest.approx((-100 - 80, 390))
    assert move.outcome == UNSETTLED
    assert move.widest == "Mail"


def test_a_move_to_a_channel_that_returns_less_loses():
    move = what_if(known(Search=(3.0, 4.0), Mail=(0.1, 0.5)), SUMMARY, "Search", "Mail", 0.1)
    assert (move.low, move.high) == pytest.approx((5 - 400, 50 - 150))
    assert move.outcome == LOSES


@pytest.mark.parametrize("ranges", [(0.5, 1.0, 1.0, 4.0), (-1.0, 1.0, 0.5, 9.0), (0.0, 0.1, 0.0, 9.0)])
def test_a_range_with_a_loss_is_never_a_gain(ranges):
    move = what_if(known(Search=ranges[:2], Mail=ranges[2:]), SUMMARY, "Search", "Mail")
    assert move.low <= 0 <= move.high
    assert move.outcome == UNSETTLED


@pytest.mark.parametrize(
    ("source", "target", "share", "says"),
    [
        ("Direct", "Mail", 0.1, "Direct has no spend on these days; channels with spend: 'Mail', 'Search'"),
        ("Mail", "Radio", 0.1, "Radio has no spend"),
        ("Mail", "Mail", 0.1, "Both channels are Mail"),
        ("Mail", "Search", 0.0, "share of spend to move is 0.0"),
        ("Mail", "Search", float("nan"), "share of spend to move is nan"),
        ("Mail", "Search", 10, "share of spend to move is 10; give a number above 0 and up to 1"),
    ],
)
def test_an_impossible_move_is_an_error(source, target, share, says):
    with pytest.raises(InputError, match=says):
        what_if(known(Search=(0.2, 0.8), Mail=(1.0, 4.0)), SUMMARY, source, target, share)


def test_a_channel_without_evidence_is_an_error():
    with pytest.raises(InputError, match="Nothing is known about the return of Mail"):
        what_if(known(Search=(0.2, 0.8)), SUMMARY, "Search", "Mail")
