import numpy as np
import pandas as pd
import pytest
from helpers.commands import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ihc.analysis.sensitivity import IHC
from ihc.errors import InputError
from ihc.lab import validation
from ihc.lab.validation import GENERATORS, MEASURES, kendall_tau, mean_scores, normalised_error, scores, validate
from ihc.lab.world import Purchases, Visits, World, tables_of, truth_of
from ihc.models.heuristics import linear
from ihc.models.incremental import incremental_table
from ihc.models.registry import EQUAL, LAST_NON_DIRECT, MODELS, IncrementalModel
from ihc.report.files import read_csv

NAN = float("nan")
WITHOUT_DIRECT = [name for name in MODELS if name != LAST_NON_DIRECT]  # of channels of which none is direct
INCREMENTAL = ["Learned Shapley", "Path Shapley", "Time to event"]
NAMES = ("A", "B", "C")


def world_of(orders, incremental, spend, names=NAMES):
    """One session and one order of 10 per customer; the channels have these orders, incremental orders and spend."""
    channel = np.repeat(np.arange(3), orders)
    customer, engaged = np.arange(len(channel)), np.ones(len(channel), dtype=bool)
    visits = Visits(customer, customer / 10, channel, engaged, engaged)
    cost, revenue = (np.array(spend, dtype="float64") / orders)[channel], np.full(len(channel), 10.0)
    place = np.concatenate([np.arange(count) for count in orders])
    remains = (channel[:, None] != np.arange(3)) | (place[:, None] >= incremental)
    truth = truth_of(names, np.array(spend, dtype="float64"), remains, revenue)
    return World(tables_of(visits, Purchases(customer, customer / 10 + 0.01, revenue), names, cost), truth)


def test_the_measures_of_a_small_shop():
    """All models agree, as each journey has one session.

    Shares of credit 0.4, 0.4, 0.2; true shares 20, 5, 0 of 25: 0.8, 0.2, 0. Error (0.4 + 0.2 + 0.2) / 3. Pairs: A and B
    are tied in credit, A over C and B over C agree: 2 / sqrt(2 x 3). Attributed minus incremental revenue: 200, 350,
    200 of 400 spent on A and B; C costs nothing. ROAS 400 / 150 and 400 / 250: both above 1 by far, iROAS 200 / 150 and
    50 / 250: one of two verdicts is right. Intervals of 40 of 100 orders (± 10) and 20 of 100 (± 8) contain none of 20,
    5, 0.
    """
    found = scores(world_of([40, 40, 20], [20, 5, 0], [150, 250, 0])).set_index("model")
    assert list(found.index) == [IHC, *WITHOUT_DIRECT, *INCREMENTAL, EQUAL]
    for model in [IHC, *WITHOUT_DIRECT]:
        measured = found.loc[model, list(MEASURES)].tolist()
        assert measured == pytest.approx([0.8 / 3, 2 / np.sqrt(6), 550 / 400, 0.5, 0])
    # Of 0.8, 0.2, 0 each a third: (0.4667 + 0.1333 + 0.3333) / 3.
    assert found.loc[EQUAL, "share_error"] == pytest.approx(0.9333 / 3, abs=1e-4)
    assert found.loc[EQUAL, list(MEASURES[1:])].isna().all()


def test_models_are_right_where_all_orders_are_incremental():
    found = scores(world_of([40, 35, 25], [40, 35, 25], [100, 0, 1000])).set_index("model")
    for model in [IHC, *WITHOUT_DIRECT]:
        assert found.loc[model, list(MEASURES)].tolist() == pytest.approx([0, 1, 0, 1, 1])


def test_without_spend_there_are_no_returns_and_with_shares_only_the_shares_are_covered():
    world = world_of([40, 35, 25], [40, 35, 25], [0, 0, 0])
    truth = world.truth.assign(cost=NAN, incremental_orders=NAN, incremental_revenue=NAN, iROAS=NAN)
    truth["share"] = [0.4, 0.1, 0.5]
    found = scores(world._replace(truth=truth)).set_index("model")
    assert found.loc[IHC, ["roas_error", "verdicts_right"]].isna().all()
    assert found.loc[IHC, "coverage"] == pytest.approx(1 / 3)


def test_last_non_direct_touch_is_measured_where_a_channel_is_direct():
    world = world_of([10, 10, 10], [5, 5, 0], [0, 0, 0], ("A", "B", "Direct"))
    assert LAST_NON_DIRECT in scores(world)["model"].tolist()


def test_a_channel_without_sessions_is_neither_covered_nor_not():
    """Half of the orders of A, B and C are incremental, so that no interval contains the truth; D had no visit."""
    world = world_of([40, 40, 20], [20, 20, 10], [0, 0, 0])
    unseen = pd.DataFrame([{**world.truth.iloc[0], "channel_name": "D", "incremental_orders": 0.0, "share": 0.0}])
    found = scores(world._replace(truth=pd.concat([world.truth, unseen], ignore_index=True)))
    assert found.set_index("model").loc[IHC, "coverage"] == 0


def test_models_with_incremental_totals_are_measured_by_them(monkeypatch):
    """Incremental orders 30, 5, 0 where 20, 5, 0 are true: shares 6/7 and 1/7 for 0.8 and 0.2.

    An order is worth 10: 100 too much of 400 spent. ROAS 300 / 150 and 50 / 250, with intervals of 2 orders: above and
    below break-even, as the iROAS 200 / 150 and 50 / 250. The interval 28 to 32 does not contain 20, the others do.
    """

    def totals():
        orders = np.array([30.0, 5, 0, 65])
        return incremental_table(pd.Series(NAMES), orders, [orders - 2, orders + 2])

    model = IncrementalModel(linear, totals)
    monkeypatch.setattr(validation, "incremental_models", lambda *_: {"Known": model})
    found = scores(world_of([40, 40, 20], [20, 5, 0], [150, 250, 0])).set_index("model").loc["Known"]
    error = 2 * (6 / 7 - 0.8) / 3
    assert found[list(MEASURES)].tolist() == pytest.approx([error, 1, 100 / 400, 1, 2 / 3])


@pytest.mark.parametrize(
    ("one", "other", "tau"),
    [
        ([1, 2, 3], [10, 20, 30], 1),
        ([1, 2, 3], [3, 2, 1], -1),
        ([1, 2, 3, 4], [1, 3, 2, 4], 4 / 6),  # five of six pairs agree, one does not
        ([1, 1, 2], [1, 2, 3], 2 / np.sqrt(2 * 3)),
        ([1, 1], [1, 2], NAN),
    ],
)
def test_kendalls_tau_counts_pairs(one, other, tau):
    found = kendall_tau(np.array(one, dtype="float64"), np.array(other, dtype="float64"))
    assert found == pytest.approx(tau, nan_ok=True)


FIGURES = arrays("float64", 6, elements=st.integers(0, 9).map(float))


@settings(deadline=None)  # importing scipy takes a second
@given(FIGURES, FIGURES)
def test_kendalls_tau_is_that_of_scipy(one, other):
    stats = pytest.importorskip("scipy.stats")
    assert kendall_tau(one, other) == pytest.approx(stats.kendalltau(one, other).statistic, nan_ok=True)


@given(FIGURES, FIGURES)
def test_the_error_of_shares_is_symmetric_and_ignores_the_scale(one, other):
    error = normalised_error(one, other)
    assert 0 <= error <= 2 / 6 + 1e-12
    assert error == pytest.approx(normalised_error(other, one * 3))


def test_the_scores_are_by_generator_then_seed_and_the_means_by_model(monkeypatch):
    def scored(error):
        figures = dict(zip(MEASURES, (error, 0.5, NAN, 1.0, 0.0), strict=True))
        return pd.DataFrame([{"model": IHC, **figures}, {"model": EQUAL, **figures, "share_error": 0.3}])

    monkeypatch.setattr(validation, "GENERATORS", {"Small": lambda seed: seed / 10, "Large": lambda seed: seed * 1.0})
    monkeypatch.setattr(validation, "scores", scored)
    every = validate([1, 3])
    assert every.loc[:4, ["generator", "seed", "model"]].to_numpy().tolist() == [
        ["Small", 1, IHC], ["Small", 1, EQUAL], ["Small", 3, IHC], ["Small", 3, EQUAL], ["Large", 1, IHC]
    ]  # fmt: skip
    table = mean_scores(every)
    assert table[["generator", "model"]].to_numpy().tolist() == [
        ["Small", IHC], ["Small", EQUAL], ["Large", IHC], ["Large", EQUAL]
    ]  # fmt: skip
    assert table["seeds"].tolist() == [2] * 4
    assert table["share_error"].tolist() == pytest.approx([0.2, 0.3, 2.0, 0.3])
    assert table["share_error_low"].tolist() == pytest.approx([0.1, 0.3, 1.0, 0.3])
    assert table["share_error_high"].tolist() == pytest.approx([0.3, 0.3, 3.0, 0.3])
    assert table.loc[0, ["rank_correlation", "verdicts_right", "coverage"]].tolist() == [0.5, 1.0, 0.0]
    assert table["roas_error"].isna().all()


def errors_by_seed(**errors):
    """The rows of `validate` for one generator, with an error of each model and seed."""
    rows = [
        {"generator": "Shop", "seed": seed, "model": model.replace("_", " "), "share_error": error}
        for model, values in errors.items()
        for seed, error in enumerate(values, 1)
    ]
    return pd.DataFrame(rows).assign(**dict.fromkeys(MEASURES[1:], NAN))


def test_noise_is_the_standard_error_of_the_difference_within_the_seeds():
    """A is nearest. B is 0.01 and 0.03 further: standard deviation 0.01 x sqrt 2, / sqrt 2 = 0.01.

    Both differ by 0.1 from seed to seed, which is no noise. From equal shares: A -0.2 and -0.1 (0.05), B -0.19 and
    -0.07 (0.06).
    """
    table = mean_scores(errors_by_seed(A=[0.1, 0.2], B=[0.11, 0.23], Equal_shares=[0.3, 0.3])).set_index("model")
    assert table["noise_to_nearest"].tolist() == pytest.approx([0, 0.01, 0.05])
    assert table["noise_to_equal"].tolist() == pytest.approx([0.05, 0.06, 0])


def test_one_seed_has_no_noise():
    table = mean_scores(errors_by_seed(A=[0.1], Equal_shares=[0.3]))
    assert table[["noise_to_nearest", "noise_to_equal"]].isna().all(axis=None)


def test_without_a_seed_there_is_nothing_to_validate():
    with pytest.raises(InputError, match="at least one seed"):
        validate([])


def documented(name):
    return read_csv(ROOT / "docs" / "explanation" / name)


def test_the_documented_tables_have_every_generator_and_model_and_agree():
    table, every = documented("validation.csv"), documented("validation_seeds.csv")
    assert table["generator"].drop_duplicates().tolist() == list(GENERATORS)
    for generator, rows in table.groupby("generator"):
        models = MODELS if generator == "Shop" else WITHOUT_DIRECT
        assert rows["model"].tolist() == [IHC, *models, *INCREMENTAL, EQUAL]
    assert table["seeds"].ge(20).all()
    pd.testing.assert_frame_equal(table, mean_scores(every))


@pytest.mark.slow
def test_a_validation_made_again_is_the_documented_one():
    every, again = documented("validation_seeds.csv"), validate([1])
    pd.testing.assert_frame_equal(every[every["seed"] == 1].reset_index(drop=True), again, rtol=1e-4, atol=1e-6)
