import pandas as pd
import pytest
from helpers.frames import FEW, conversions, credits_of, curves_of, journey, journeys
from hypothesis import given
from pandas.testing import assert_frame_equal

from ihc.errors import InputError
from ihc.journeys.credits import REFUND, check_credits, outcomes_of, provenance, usable_answers
from ihc.models.ihc import attribute

JOURNEYS = pd.concat(
    [journey((0, "A", 1, 1), (1, "A", 1, 1), conv_id=key, prefix=f"{key}-") for key in ("k", "l")], ignore_index=True
)
WHOLE = [("k", "k-1", 0.25), ("k", "k-2", 0.75), ("l", "l-1", 0.5), ("l", "l-2", 0.5)]


def reasons(rows):
    failed = check_credits(credits_of(rows), JOURNEYS)
    assert failed.columns.tolist() == ["conv_id", "reason"]
    return dict(zip(failed["conv_id"], failed["reason"], strict=True))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (WHOLE[1:], "without credit: 1"),
        (WHOLE[2:], "journey sessions without credit: 2"),
        ([*WHOLE, ("k", "stranger", 0.0)], "outside the journey"),
        ([*WHOLE, ("k", "l-1", 0.0)], "outside the journey"),
        ([*WHOLE, WHOLE[0]], "duplicate credits"),
        ([("k", "k-1", -0.25), ("k", "k-2", 1.25), *WHOLE[2:]], "negative or not a number"),
        ([("k", "k-1", float("nan")), *WHOLE[1:]], "negative or not a number"),
        ([("k", "k-1", float("inf")), *WHOLE[1:]], "negative or not a number"),
        ([("k", "k-1", 0.2), *WHOLE[1:]], "the credits sum to 0.9500, not 1"),
        ([("k", "k-1", 0.0), ("k", "k-2", 0.0), *WHOLE[2:]], "the credits sum to 0.0000, not 1"),
    ],
)
def test_an_order_with_incomplete_credits_fails_alone_with_its_reason(rows, says):
    found = reasons([*rows, ("other", "s", 1.0)])  # not in the request
    assert list(found) == ["k", "other"]
    assert says in found["k"]


def test_complete_credits_within_the_rounding_tolerance_pass_unchanged():
    for sum_of_credits, fails in ((1.0049, False), (0.9951, False), (1.0051, True), (0.9949, True)):
        rows = [("k", "k-1", 0.25), ("k", "k-2", sum_of_credits - 0.25), *WHOLE[2:]]
        given_credits = credits_of(rows)
        assert (not check_credits(given_credits, JOURNEYS).empty) is fails
        assert_frame_equal(given_credits, credits_of(rows))
    with pytest.raises(InputError, match="Credits lacks the column 'ihc'"):
        check_credits(given_credits.drop(columns="ihc"), JOURNEYS)


def answers_of(rows):
    """`(conv_id, session_id, initializer, holder, closer, ihc)`."""
    return pd.DataFrame(rows, columns=["conv_id", "session_id", "initializer", "holder", "closer", "ihc"])


ANSWERS = [
    ("k", "k-1", 0.75, 0.0, 0.25, 0.5),
    ("k", "k-2", 0.25, 0.0, 0.75, 0.5),
    ("l", "l-1", 1.0, 0.4, 0.3333, 0.6),
    ("l", "l-2", 0.0, 0.6, 0.6667, 0.4),
]


def left_out(rows):
    """The reasons by order; all other answers must be unchanged."""
    used, others = usable_answers(JOURNEYS, answers_of(rows))
    assert others.columns.tolist() == ["conv_id", "reason"]
    kept = [row for row in rows if row[0] not in set(others["conv_id"])]
    assert_frame_equal(used, answers_of(kept).astype({"conv_id": "str", "session_id": "str"}), check_dtype=bool(kept))
    return dict(zip(others["conv_id"], others["reason"], strict=True))


NO_SHARES = "the shares of a phase are invalid or do not sum to 1"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (ANSWERS[1:], "journey sessions without credit: 1"),
        ([*ANSWERS, ("k", "stranger", 0.0, 0.0, 0.0, 0.0)], "outside the journey"),
        ([*ANSWERS, ANSWERS[0]], "duplicate credits"),
        ([("k", "k-1", 0.75, 0.0, 0.25, None), *ANSWERS[1:]], "negative or not a number"),
        ([("k", "k-1", 0.75, 0.0, 0.25, 0.4), *ANSWERS[1:]], "the credits sum to 0.9000, not 1"),
        ([("k", "k-1", None, 0.0, 0.25, 0.5), *ANSWERS[1:]], NO_SHARES),
        ([("k", "k-1", float("inf"), 0.0, 0.25, 0.5), *ANSWERS[1:]], NO_SHARES),
        ([("k", "k-1", 0.65, 0.0, 0.25, 0.5), *ANSWERS[1:]], NO_SHARES),
        ([("k", "k-1", 0.75, 0.5, 0.25, 0.5), *ANSWERS[1:]], NO_SHARES),
        ([("k", "k-1", 1.2, 0, 1.0, 0.5), ("k", "k-2", -0.2, 0, 0.0, 0.5), *ANSWERS[2:]], NO_SHARES),
        ([("k", "k-1", 0.0, 0.0, 1.0, 0.5), ("k", "k-2", 0.0, 0.0, 0.0, 0.5), *ANSWERS[2:]], NO_SHARES),
        ([("k", "k-1", 1.0, 0.0, 0.0, 0.5), ("k", "k-2", 0.0, 0.0, 0.0, 0.5), *ANSWERS[2:]], NO_SHARES),
    ],
)
def test_an_answer_that_does_not_match_its_journey_is_left_out_alone_with_its_reason(rows, says):
    found = left_out([*rows, ("other", "s", 1.0, 0.0, 1.0, 1.0)])
    assert says in found.pop("k")
    assert found == {"other": "no order with a session in the database has this id"}


def test_complete_answers_are_used_even_with_a_zero_holder_and_rounding_errors():
    assert left_out(ANSWERS) == {}
    assert left_out([("k", "k-1", 0.7501, 0.0, 0.2502, 0.5), *ANSWERS[1:]]) == {}
    assert list(left_out([("k", "k-1", 0.7551, 0.0, 0.25, 0.5), *ANSWERS[1:]])) == ["k"]


def test_answers_as_texts_are_parsed_and_invalid_numbers_are_left_out():
    numbered = JOURNEYS.assign(conv_id=JOURNEYS["conv_id"].replace({"k": "7", "l": "8"}))
    rows = answers_of(ANSWERS).astype("object").replace({"conv_id": {"k": 7.0, "l": 8.0}})
    rows = rows.assign(conv_id=rows["conv_id"].astype("float64"), ihc=["0.5", " 0.5", "0,6", "0,4"])
    used, others = usable_answers(numbered, rows)
    assert used["conv_id"].tolist() == ["7", "7"]
    assert used["ihc"].tolist() == [0.5, 0.5]
    assert used["holder"].dtype == "float64"
    assert others.to_dict("list") == {"conv_id": ["8"], "reason": ["credits that are negative or not a number: 2"]}


@FEW
@given(journeys())
def test_the_engines_own_answers_are_all_usable(rows):
    before = rows.copy(deep=True)
    used, others = usable_answers(rows, attribute(rows, curves_of()))
    assert len(used) == len(rows)
    assert others.empty
    assert_frame_equal(rows, before)


@pytest.mark.parametrize("table", ["journeys", "answers"])
def test_using_answers_refuses_missing_columns(table):
    frames = {"journeys": JOURNEYS, "answers": answers_of(ANSWERS)}
    frames[table] = frames[table].drop(columns="session_id")
    with pytest.raises(InputError, match=f"{table.title()} lacks the column 'session_id'"):
        usable_answers(**frames)


def test_every_order_ends_credited_unattributed_failed_or_waiting():
    orders = conversions([(key, "u", "2023-09-01 10:00:00", 1.0) for key in ("k", "l", "m", "lonely")])
    orders = orders.set_axis([3] * 4)  # an index of another frame does not matter
    ends = pd.DataFrame(
        [("l", "failed", "the credits sum to 0.9000, not 1"), ("m", "waiting", "no calls left")],
        columns=["conv_id", "outcome", "reason"],
    )
    assert outcomes_of(orders, JOURNEYS, ends).to_dict("records") == [
        {"conv_id": "k", "outcome": "credited", "reason": ""},
        {"conv_id": "l", "outcome": "failed", "reason": "the credits sum to 0.9000, not 1"},
        {"conv_id": "m", "outcome": "waiting", "reason": "no calls left"},
        {"conv_id": "lonely", "outcome": "unattributed", "reason": ""},
    ]


def stored_of(rows):
    columns = ["conv_id", "outcome", "engine", "parameters", "lookback_days"]
    return pd.DataFrame(rows, columns=columns).astype({"lookback_days": "float64"})


def test_provenance_counts_credited_orders_by_engine_parameters_and_lookback_most_first():
    stored = stored_of(
        [
            ("a", "credited", "local", "default (1)", 30),
            ("b", "credited", "local", "default (1)", None),
            ("c", "credited", "local", "default (1)", None),
            ("refund", "credited", "api", "default (1)", None),
            ("d", "unattributed", "local", "other (2)", None),
            ("e", "failed", "local", "other (2)", None),
        ]
    )
    stored["reason"] = ["", "", "", REFUND, "", ""]
    sources = provenance(stored, stored["conv_id"])
    assert sources["orders"].tolist() == [2, 1, 0]
    assert sources["engine"].tolist() == ["local", "local", "api"]
    assert sources["parameters"].tolist() == ["default (1)"] * 3
    assert sources["lookback_days"].isna().tolist() == [True, False, True]
    # Each of the given orders counts once.
    assert provenance(stored, pd.Series(["a", "x"]), pd.Series(["a", "b", "b"]))["orders"].tolist() == [1, 1]


def test_the_reason_of_a_credited_refund_marks_it_as_a_refund():
    orders = conversions([("k", "u", "2023-09-01 10:00:00", 10.0), ("r", "u", "2023-09-02 10:00:00", -4.0)])
    ends = pd.DataFrame({"conv_id": ["k", "r"], "outcome": "credited", "reason": "its journey was cut"})
    assert outcomes_of(orders, JOURNEYS, ends)["reason"].tolist() == ["its journey was cut", REFUND]
    ends = ends.assign(outcome="failed", reason="so")
    assert outcomes_of(orders, JOURNEYS, ends)["reason"].tolist() == ["so", "so"]
