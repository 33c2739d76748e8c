import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, UNTRUSTED
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ihc.errors import SettingsError
from ihc.models.redistribution import (
    DIRECTIONS,
    labelled,
    load_redistribution,
    move,
    parse_redistribution,
    redistribute,
    redistribution_schema,
)
from ihc.schemas.tables import PHASES

PHASE = {"direction": "any_session", "receive_threshold": 0.1, "redistribution_channel_labels": ["Direct", "Mail"]}
ENTRIES = {
    "initializer": PHASE | {"direction": "earlier_sessions_only"},
    "holder": PHASE | {"receive_threshold": 0},
    "closer": PHASE | {"redistribution_channel_labels": []},
}
FINGERPRINT = "a57945a86fab"
EARLIER, LATER, ANY = DIRECTIONS


def changed(phase="holder", **entries):
    return ENTRIES | {phase: ENTRIES[phase] | entries}


def parsed(entries):
    return parse_redistribution(entries, "It")


def test_the_entries_are_what_the_api_takes(tmp_path):
    (tmp_path / "redistribution.json").write_text(json.dumps(ENTRIES))
    redistribution = load_redistribution(tmp_path / "redistribution.json")
    assert redistribution.entries == ENTRIES
    assert list(redistribution.entries["holder"]) == sorted(PHASE)
    assert parsed(changed(redistribution_channel_labels=["Search"])).channels == {"Direct", "Mail", "Search"}
    assert parsed(dict.fromkeys(PHASES, ENTRIES["closer"])).channels == frozenset()
    assert labelled("default (1)", redistribution) == f"default (1), redistribution {FINGERPRINT}"
    assert labelled("default (1)", None) == "default (1)"


def test_the_fingerprint_is_stable_across_versions():
    """If this fails, every journey answered with a redistribution would be requested again."""
    text = (
        '{"closer": {"direction": "any_session", "receive_threshold": 0.1, "redistribution_channel_labels": []}, '
        '"holder": {"direction": "any_session", "receive_threshold": 0.0, '
        '"redistribution_channel_labels": ["Direct", "Mail"]}, '
        '"initializer": {"direction": "earlier_sessions_only", "receive_threshold": 0.1, '
        '"redistribution_channel_labels": ["Direct", "Mail"]}}'
    )
    assert parsed(ENTRIES).text == text
    assert parsed(ENTRIES).fingerprint == hashlib.sha256(text.encode()).hexdigest()[:12] == FINGERPRINT


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(ENTRIES.items())),
        {phase: dict(reversed(ENTRIES[phase].items())) for phase in PHASES},
        changed(redistribution_channel_labels=["Mail", "Direct", "Mail"]),
        changed(receive_threshold=0.0),
    ],
    ids=["order of the phases", "order of the entries", "order of the channels and one twice", "0 as 0.0"],
)
def test_equivalent_redistributions_have_the_same_fingerprint(same):
    assert parsed(same) == parsed(ENTRIES)


@pytest.mark.parametrize("phase", PHASES)
def test_the_fingerprint_changes_with_every_entry_of_every_phase(phase):
    for name, value in (
        ("direction", "later_sessions_only"),
        ("receive_threshold", 0.2),
        ("redistribution_channel_labels", ["direct", "Mail"]),
    ):
        assert parsed(changed(phase, **{name: value})).fingerprint != FINGERPRINT


WRONG_PHASES = [
    None,
    [],
    "holder",
    {},
    {"holder": PHASE},
    ENTRIES | {"opener": PHASE},
    dict.fromkeys((*PHASES[:2], "Closer"), PHASE),
]
WRONG_PHASE = [None, [], "any_session", {}, {name: PHASE[name] for name in list(PHASE)[:2]}, PHASE | {"threshold": 0.1}]
WRONG_ENTRIES = [
    *[({"direction": value}, "direction must be one of") for value in ("any", "", None, 1, ["any_session"], {})],
    *[
        ({"receive_threshold": value}, "receive_threshold must be a number from 0 to 1")
        for value in (-0.1, 1.1, 2, 10**400, True, "0.5", None, [], float("nan"), float("inf"))
    ],
    *[
        ({"redistribution_channel_labels": value}, "redistribution_channel_labels must be a list of channel names")
        for value in ("Direct", None, [1], [None], {"Direct": 1}, [["Direct"]])
    ],
]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        *((phases, " must have exactly the entries initializer, holder, closer") for phases in WRONG_PHASES),
        *((ENTRIES | {"closer": phase}, ", closer must have exactly the entries direction, receive_threshold, ")
          for phase in WRONG_PHASE),
        *((changed("closer", **entry), f", closer: {says}") for entry, says in WRONG_ENTRIES),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_an_invalid_redistribution_is_refused_by_phase_and_entry(entries, says):
    with pytest.raises(SettingsError, match=f"^It{says}"):
        parsed(entries)


@pytest.mark.parametrize(
    "content", [None, b"{", b"\xff\xfe\x00", b"[" * 100_000], ids=lambda content: repr(content)[:9]
)
def test_a_file_that_is_not_json_is_refused_by_name(tmp_path, content):
    path = tmp_path / "redistribution.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read as JSON") as error:
        load_redistribution(path)
    assert str(path) in str(error.value)


def test_the_schema_accepts_and_refuses_the_same_entries():
    schema = Draft202012Validator(redistribution_schema())
    taken = [ENTRIES, *(changed(direction=direction, receive_threshold=1) for direction in DIRECTIONS)]
    refused = [*WRONG_PHASES, *(ENTRIES | {"closer": phase} for phase in WRONG_PHASE)]
    # JSON has neither NaN nor infinity.
    refused += [changed("closer", **entry) for entry, _ in WRONG_ENTRIES if entry != {"receive_threshold": np.inf}]
    assert [schema.is_valid(entries) for entries in taken] == [True] * len(taken)
    wrongly = [entries for entries in refused if schema.is_valid(entries)]
    assert [entries["closer"]["receive_threshold"] for entries in wrongly] == pytest.approx([np.nan], nan_ok=True)


# The calculation


def moved(values, gives, direction=ANY, threshold=0.0, journey=None):
    """The values afterwards, of one journey unless its numbers are given; `gives`: a letter a session, G gives."""
    numbers = np.zeros(len(values), dtype="int64") if journey is None else np.array(journey)
    given_away = np.array([letter == "G" for letter in gives])
    return move(np.array(values, dtype="float64"), given_away, numbers, direction, threshold).tolist()


def close(*values):
    return pytest.approx(list(values), abs=1e-12)


@pytest.mark.parametrize("direction", [ANY, EARLIER])
def test_the_published_example(direction):
    shares = {
        "initializer": np.array([1.0, 0, 0, 0]),
        "holder": np.array([0, 0.4322, 0.3807, 0.1871]),
        "closer": np.array([0, 0, 0.2776, 0.7224]),
    }
    channels = pd.Series(["Shopping", "SEO", "Shopping", "Direct"])
    entry = {"direction": direction, "receive_threshold": 0, "redistribution_channel_labels": ["Direct"]}
    found = redistribute(shares, channels, np.zeros(4, dtype="int64"), parsed(dict.fromkeys(PHASES, entry)))
    assert {phase: found[phase].round(4).tolist() for phase in PHASES} == {
        "initializer": [1, 0, 0, 0],
        "holder": [0, 0.5317, 0.4683, 0],
        "closer": [0, 0, 1, 0],
    }


# Five sessions, of which the second gives 0.3 and the fourth 0.2; the others have 0.2, 0.1 and 0.2.
FIVE, SECOND_AND_FOURTH = [0.2, 0.3, 0.1, 0.2, 0.2], ".G.G."


@pytest.mark.parametrize(
    ("direction", "threshold", "after"),
    [
        # 0.5 is given to those who have 0.5: each is doubled.
        (ANY, 0, [0.4, 0, 0.2, 0, 0.4]),
        # The second gives 0.3 to the first; the fourth 0.2 to the first and the third, 2 : 1, from their original
        # values. First 0.2 + 0.3 + 2/15, third 0.1 + 1/15, fifth as it was.
        (EARLIER, 0, [19 / 30, 0, 1 / 6, 0, 0.2]),
        # The second gives 0.3 to the third and the fifth, 1 : 2; the fourth 0.2 to the fifth.
        (LATER, 0, [0.2, 0, 0.1 + 0.1, 0, 0.2 + 0.2 + 0.2]),
        # Only the first is above 0.1 by its own value; the third gets nothing of either.
        (EARLIER, 0.1, [0.7, 0, 0.1, 0, 0.2]),
    ],
)
def test_sessions_receive_in_proportion_to_their_original_value(direction, threshold, after):
    assert moved(FIVE, SECOND_AND_FOURTH, direction, threshold) == close(*after)


def test_a_session_at_the_threshold_receives_nothing_and_one_above_it_does():
    values = [0.25, 0.25, 0.5]
    assert moved(values, "..G", threshold=0.25) == close(0.25, 0.25, 0.5)
    assert moved(values, "..G", threshold=np.nextafter(0.25, 0)) == close(0.5, 0.5, 0)
    assert moved([0, 0.5, 0.5], "..G") == close(0, 1, 0)
    assert moved([1, 0], ".G", threshold=1) == close(1, 0)


def test_a_value_too_small_to_divide_by_receives_nothing():
    assert moved([1e-310, 1], ".G") == [1e-310, 1]
    assert moved([1e-300, 1], ".G") == close(1, 0)
    for direction in DIRECTIONS:
        assert sum(moved([1e-300, 0.5, 1e-307, 0.5, 1e-300], ".G.G.", direction)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_other_journeys_do_not_affect_a_journey(direction):
    shares = np.random.default_rng(1).random((10_000, 5))
    shares = np.concatenate([shares, [FIVE, [0, 0, 1, 0, 0], FIVE]])
    shares /= shares.sum(axis=1, keepdims=True)
    journey = np.repeat(np.arange(len(shares)), 5)
    gives = np.tile([False, True, False, True, False], len(shares))
    gives[-10:-5] = True
    found = move(shares.ravel(), gives, journey, direction, 0.0).reshape(-1, 5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert found[-3].tolist() == found[-1].tolist() == moved(FIVE, SECOND_AND_FOURTH, direction)
    assert found[-2].tolist() == [0, 0, 1, 0, 0]


def test_any_name_can_be_listed_and_must_match_exactly():
    names = [*UNTRUSTED, "A", "a", "A\0", "", " A"]
    channels = pd.Series([*names, "receiver"], dtype="str")
    values = np.full(len(channels), 1 / len(channels))
    for name in names:
        entry = PHASE | {"receive_threshold": 0, "redistribution_channel_labels": [name, "never seen", "\ud800"]}
        listed = parsed(dict.fromkeys(PHASES, entry))
        found = redistribute(dict.fromkeys(PHASES, values), channels, np.zeros(len(channels), "int64"), listed)
        assert [names[place] for place in np.flatnonzero(found["holder"] == 0)] == [name]


def by_the_book(values, gives, direction, threshold):
    """One journey's resulting values, calculated session by session."""
    after = list(values)
    for giver, is_given in enumerate(gives):
        places = {EARLIER: range(giver), LATER: range(giver + 1, len(values)), ANY: range(len(values))}[direction]
        receivers = [place for place in places if not gives[place] and values[place] > threshold]
        if is_given and receivers:
            total = sum(values[place] for place in receivers)
            after[giver] -= values[giver]
            for place in receivers:
                after[place] += values[giver] * values[place] / total
    return after


sessions = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=7)
thresholds = st.sampled_from([0, 0.125, 0.25, 0.5, 1])


@FEW
@given(st.lists(sessions, min_size=1, max_size=4), st.sampled_from(DIRECTIONS), thresholds)
def test_the_vectorised_rule_equals_the_reference_implementation(parts, direction, threshold):
    shares = [[value / max(1, sum(value for value, _ in part)) for value, _ in part] for part in parts]
    gives = [[is_given for _, is_given in part] for part in parts]
    journey = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    before = np.concatenate(shares)
    found = move(before, np.concatenate(gives), journey, direction, threshold)
    expected = [by_the_book(*each, direction, threshold) for each in zip(shares, gives, strict=True)]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        np.bincount(journey, weights=found), np.bincount(journey, weights=before), rtol=0, atol=1e-12
    )
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-12
    assert before.tolist() == [value for part in shares for value in part]
