"""The JSON of requests: every session as the API wants it, whatever the data holds, of one request or of many."""

import json

import numpy as np
import orjson
import pandas as pd
import pytest
from helpers.frames import UNTRUSTED, journey
from hypothesis import given
from hypothesis import strategies as st

from ihc.api.batching import Requests, pack_requests
from ihc.api.bodies import AT_ONCE, FIELDS, Bodies, request_bodies
from ihc.models.redistribution import parse_redistribution

TWO = journey((0, "Search", 1, 0), (26.5, "Mail", 0, 1))  # 2023-09-01 00:00:00 and 2023-09-02 02:30:00
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)


def bodies_of(*requests):
    return request_bodies(Requests.of(requests), None)


def sessions_of(*requests):
    """The sessions that are sent of each request."""
    return [json.loads(body)["customer_journeys"] for body in bodies_of(*requests)]


def test_a_request_holds_its_journeys_and_nothing_else_of_the_shop():
    (body,) = bodies_of(TWO)
    first = {
        "conversion_id": "k",
        "session_id": "s1",
        "timestamp": "2023-09-01 00:00:00",
        "channel_label": "Search",
        "holder_engagement": 1,
        "closer_engagement": 0,
        "conversion": 0,
        "impression_interaction": 0,
    }
    second = first | {"session_id": "s2", "timestamp": "2023-09-02 02:30:00", "channel_label": "Mail"}
    second |= {"holder_engagement": 0, "closer_engagement": 1, "conversion": 1}
    assert body == orjson.dumps({"customer_journeys": [first, second]})


def test_a_redistribution_is_sent_along():
    phase = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}
    entries = dict.fromkeys(("initializer", "holder", "closer"), phase)
    for body in map(json.loads, request_bodies(Requests.of([TWO, TWO]), parse_redistribution(entries, "It"))):
        assert list(body) == ["customer_journeys", "redistribution_parameter"]
        assert body["redistribution_parameter"] == entries


def test_no_request_has_no_body():
    assert request_bodies(pack_requests(TWO.head(0)), None) == []


def test_each_request_has_its_own_sessions_in_their_order():
    # 3 + 2 + 1 sessions; the requests are pieces of one frame, or frames of their own.
    journeys = pd.concat(
        [journey(*[(hour, "Search", 0, 0) for hour in range(count)], conv_id=f"k{count}") for count in (3, 2, 1)]
    )
    packed = pack_requests(journeys, max_journeys=1)
    sent = sessions_of(*packed, TWO, packed[0])
    assert [[session["session_id"] for session in each] for each in sent] == [
        ["s1", "s2", "s3"],
        ["s1", "s2"],
        ["s1"],
        ["s1", "s2"],
        ["s1", "s2", "s3"],
    ]
    assert [{session["conversion_id"] for session in each} for each in sent] == [{"k3"}, {"k2"}, {"k1"}, {"k"}, {"k3"}]


@pytest.mark.parametrize("name", UNTRUSTED, ids=range(len(UNTRUSTED)))
def test_names_from_the_data_arrive_as_they_are(name):
    ((session, _),) = sessions_of(TWO.assign(channel_name=name, session_id=name, conv_id=name))
    assert (session["channel_label"], session["session_id"], session["conversion_id"]) == (name, name, name)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_texts_are_written_as_json_has_them(texts):
    rows = pd.concat([TWO.head(1)] * len(texts), ignore_index=True)
    for column, values in zip(("conv_id", "session_id", "channel_name"), zip(*texts, strict=True), strict=True):
        rows[column] = pd.array(values, dtype="str")
    expected = [dict(zip(FIELDS, row, strict=True)) for row in rows[[*FIELDS.values()]].itertuples(index=False)]
    expected = [session | {"timestamp": str(session["timestamp"])} for session in expected]
    assert bodies_of(rows) == [orjson.dumps({"customer_journeys": expected})]


@pytest.mark.parametrize("kind", ["object", "category", "string"])
def test_texts_may_be_of_any_type_of_pandas(kind):
    typed = TWO.astype({"channel_name": kind, "session_id": kind})
    assert bodies_of(typed) == bodies_of(TWO)


def test_flags_may_be_fractions_truths_or_unknown():
    flags = TWO.assign(holder_engagement=[0.25, np.nan], closer_engagement=[True, False], conversion=[0.0, 1e-17])
    ((first, second),) = sessions_of(flags)
    assert [first[name] for name in ("holder_engagement", "closer_engagement", "conversion")] == [0.25, True, 0.0]
    assert [second[name] for name in ("holder_engagement", "closer_engagement", "conversion")] == [None, False, 1e-17]


@pytest.mark.parametrize("kind", ["str", "object", "category", "string"])
@pytest.mark.parametrize("names", [["Search", None], [None, None]])
def test_a_name_that_is_missing_is_sent_as_null_and_its_session_with_it(names, kind):
    (sent,) = sessions_of(TWO.assign(channel_name=pd.Series(names).astype(kind)))
    assert [(session["session_id"], session["channel_label"]) for session in sent] == [("s1", names[0]), ("s2", None)]


def test_a_moment_that_is_missing_is_sent_as_null_and_its_session_with_it():
    (sent,) = sessions_of(TWO.assign(timestamp=pd.to_datetime([None, "2023-09-02 02:30:00"])))
    assert [session["timestamp"] for session in sent] == [None, "2023-09-02 02:30:00"]


def test_fractions_of_a_second_are_left_out():
    late = TWO.assign(timestamp=pd.to_datetime(["2023-09-01 10:00:00.999999", "2023-09-01 10:00:01.000000"]))
    (sent,) = sessions_of(late)
    assert [session["timestamp"] for session in sent] == ["2023-09-01 10:00:00", "2023-09-01 10:00:01"]


def test_bodies_are_the_same_in_any_order_of_asking():
    # Two blocks and a piece, asked for from the end, from the beginning, and to and fro.
    count = 2 * AT_ONCE + 3
    requests = Requests.of([TWO.assign(session_id=[f"a{number}", f"b{number}"]) for number in range(count)])
    expected, bodies = request_bodies(requests, None), Bodies(requests, None)
    assert len(expected) == count
    for number in [*reversed(range(count)), *range(count), 0, AT_ONCE, 1, count - 1]:
        assert bodies[number] == expected[number]
