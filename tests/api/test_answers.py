"""Parsing and checking of responses; `test_client.py` receives them over real sockets."""

import json

import pytest

from ihc.api.answers import check_answer, message_of, parse_json, read_reasons, read_values, stated_status

FIELDS = ("conversion_id", "session_id", "initializer", "holder", "closer", "ihc")
FIRST, SECOND = ("k", "s1", 1, 0.4, 0, 0.5), ("k", "s2", 0, 0.6, 1, 0.5)
SENT = {"k": ["s1", "s2"]}
REASON = "Session/Impression excluded from customer journey since it occurs after the conversion event"


def entry(*row, **more):
    return dict(zip(FIELDS, row, strict=True)) | more


def checked(*entries, sent=None):
    return check_answer(sent or SENT, read_values(entries))


def fault(*rows):
    """Why these rows `(session_id, initializer, holder, closer, ihc)` of a conversion are rejected, if they are."""
    result = check_answer({"k": [row[0] for row in rows]}, {"k": list(rows)})
    assert not result.missing
    assert set(result.whole) | set(result.rejected) == {"k"}
    return result.rejected.get("k", "")


@pytest.mark.parametrize("content", [b"", b"{", b"<html>", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_invalid_json_is_read_as_none(content):
    assert parse_json(content) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
def test_a_value_that_json_does_not_have_rejects_its_journey_alone(number):
    text = json.dumps([entry(*FIRST), entry(*SECOND), entry("l", "s9", 1, 0, 1, 1)]).replace(
        '"ihc": 1}', f'"ihc": {number}}}'
    )
    result = checked(*parse_json(text.encode()), sent=SENT | {"l": ["s9"]})
    assert (list(result.whole), list(result.rejected)) == (["k"], ["l"])


@pytest.mark.parametrize(
    ("stated", "status"),
    [(200, 206), (206, 206), ("403", 403), (None, 206), ("fine", 206), ([], 206), (10**99, 999), (-5, -1), (True, 1)],
)
def test_a_valid_status_in_the_body_is_used(stated, status):
    assert stated_status({"statusCode": stated}, 206) == status
    assert stated_status({}, 206) == 206


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"message": "why"}, "why"),
        ({"Message": "in capitals"}, "in capitals"),
        ({"message": "", "detail": "why"}, "why"),
        ({"error": {"nested": 1}}, "{'nested': 1}"),
        ({}, ""),
        (["why"], ""),
        (None, ""),
    ],
)
def test_the_message_is_found_in_any_of_several_fields(body, says):
    assert message_of(body) == says


def left_out(conversion_id, session_id, reason=REASON):
    trigger = {"conversion_id": conversion_id, "session_id": session_id}
    return {"trigger": trigger, "reason": reason, "statusCode": 206}


@pytest.mark.parametrize(
    ("entries", "reasons"),
    [
        ([], {}),
        ([left_out("k", "s2"), left_out("k", "s3", "another"), left_out("l", "s1")], {"k": REASON, "l": REASON}),
        ([left_out(7, 1)], {"7": REASON}),
        (["one", "two"], {"": "one"}),
        ([{"trigger": {"conversion_id": "k"}}], {"": {"trigger": {"conversion_id": "k"}}}),
        ([{"trigger": ["k"], "reason": "none"}], {"": {"trigger": ["k"], "reason": "none"}}),
        ("sorry", {"": "sorry"}),
    ],
)
def test_the_reasons_of_sessions_without_a_value_are_read_by_conversion(entries, reasons):
    assert read_reasons(entries) == reasons


def test_an_answer_is_whole_in_any_order_of_its_sessions_and_with_more_fields():
    assert checked(entry(*FIRST), entry(*SECOND)) == ({"k": [FIRST[1:], SECOND[1:]]}, {}, [])
    result = checked(entry(*SECOND, note="x"), entry("other", "s1", 7, 7, 7, 7), entry(*FIRST, timestamp=None))
    assert result == ({"k": [SECOND[1:], FIRST[1:]]}, {}, [])


def test_ids_that_came_as_numbers_are_the_texts_that_were_sent():
    assert list(checked(entry(7, 1, 1, 0, 1, 1), sent={"7": ["1"]}).whole) == ["7"]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [None, 1, "text", [], {}],
        [entry("other", "s1", 1, 1, 1, 1)],
        [entry(None, "s1", 1, 1, 1, 1)],
        [{"session_id": "s1", "ihc": 1}],
    ],
)
def test_a_conversion_without_any_value_is_missing(entries):
    assert checked(*entries) == ({}, {}, ["k"])


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([entry(*FIRST)], id="a session missing"),
        pytest.param([entry(*FIRST), entry(*FIRST)], id="one twice instead of the other"),
        pytest.param([entry(*FIRST), entry(*SECOND), entry(*SECOND)], id="a duplicate"),
        pytest.param([entry(*FIRST), entry(*SECOND), entry("k", "s3", 0, 0, 0, 0)], id="a foreign one more"),
        pytest.param([entry(*FIRST), entry("k", "s3", 0, 0.6, 1, 0.5)], id="a foreign one instead"),
        pytest.param([entry(*FIRST), entry("k", None, 0, 0.6, 1, 0.5)], id="a null"),
        pytest.param([entry(*FIRST), entry("k", "S2", 0, 0.6, 1, 0.5)], id="another case"),
    ],
)
def test_an_answer_for_other_sessions_than_sent_is_rejected(entries):
    says = f"the answer does not match the 2 sessions of the journey: it has {len(entries)}"
    assert checked(*entries) == ({}, {"k": says}, [])


@pytest.mark.parametrize("field", FIELDS[2:])
@pytest.mark.parametrize(
    "value", [True, "0.5", None, [], -0.0001, 1.0001, 10**18, float("nan"), float("inf")], ids=repr
)
def test_a_value_that_is_no_number_from_0_to_1_is_rejected_by_name(field, value):
    for first, second in [
        (entry(*FIRST, **{field: value}), entry(*SECOND)),
        (entry(*FIRST), entry(*SECOND, **{field: value})),
    ]:
        assert checked(first, second).rejected["k"].startswith(f"{field} ")


@pytest.mark.parametrize("field", FIELDS[2:])
def test_a_value_that_is_missing_is_rejected_by_name(field):
    without = {name: value for name, value in entry(*SECOND).items() if name != field}
    assert checked(entry(*FIRST), without).rejected == {
        "k": f"{field} is not a number between 0 and 1 in every session"
    }


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("s1", 1, 0, 1, 1)], ""),
        ([("s1", 0, 0, 0, 1)], ""),  # no phase is present at all
        ([("s1", 1, 0, 1, 0)], "ihc sums to 0.0000, not 1"),
        ([("s1", 0.5, 0, 1, 1)], "initializer sums to 0.5000, not 1"),
        ([("s1", 1, 0.01, 1, 1)], "holder sums to 0.0100, not 1"),
        ([("s1", 1, 0, 0.99, 1)], "closer sums to 0.9900, not 1"),
        ([("s1", 1, 0, 1, 1), ("s2", 0, 0, 0, 1)], "ihc sums to 2.0000, not 1"),
        ([("s1", 1, 0, 1, 0.5), ("s2", 1, 0, 0, 0.5)], "initializer sums to 2.0000, not 1"),
        ([("s1", 1, 0, 1, 0.9951)], ""),  # 0.005 are allowed
        ([("s1", 1, 0, 1, 0.9949)], "ihc sums to 0.9949, not 1"),
        ([("s1", 1, 0, 1, 0.6), ("s2", 0, 0, 0, 0.4049)], ""),
        ([("s1", 1, 0, 1, 0.6), ("s2", 0, 0, 0, 0.4051)], "ihc sums to 1.0051, not 1"),
    ],
)
def test_ihc_and_each_phase_that_is_present_sum_to_1(rows, says):
    assert fault(*rows) == says


def test_the_more_sessions_the_more_their_rounding_may_add_up():
    """With 200 sessions of 1/200 each, rounding may lose 0.00005 each: 0.01 in total, but not 0.012."""
    allowed, too_much = 0.9901 / 200, 0.988 / 200
    assert fault(*[(f"s{number}", 0, 0, 0, allowed) for number in range(200)]) == ""
    assert "ihc sums to 0.9880" in fault(*[(f"s{number}", 0, 0, 0, too_much) for number in range(200)])


def test_conversions_are_checked_apart():
    rows = [("s1", 1, 0, 1, 1)]
    result = check_answer(
        {"good": ["s1"], "bad": ["s1"], "gone": ["s1"]}, {"bad": [("s1", 1, 0, 1, 2)], "good": rows, "strange": rows}
    )
    assert (result.whole, list(result.rejected), result.missing) == ({"good": rows}, ["bad"], ["gone"])
