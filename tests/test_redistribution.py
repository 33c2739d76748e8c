import hashlib
import json
from copy import deepcopy

import pytest
from frames import UNTRUSTED

from ihc.errors import SettingsError
from ihc.redistribution import DIRECTIONS, load_redistribution, parse_redistribution
from ihc.schemas import PHASES

PHASE = {"direction": "any_session", "receive_threshold": 0.1, "redistribution_channel_labels": ["Direct", "Mail"]}
ENTRIES = {
    "initializer": PHASE | {"direction": "earlier_sessions_only"},
    "holder": PHASE | {"receive_threshold": 0},
    "closer": PHASE | {"redistribution_channel_labels": []},
}
FINGERPRINT = "a57945a86fab"


def changed(phase="holder", **entries):
    return ENTRIES | {phase: ENTRIES[phase] | entries}


def parsed(entries):
    return parse_redistribution(entries, "It")


def written(folder, content):
    path = folder / "redistribution.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_the_entries_are_what_the_api_takes(tmp_path):
    redistribution = load_redistribution(written(tmp_path, ENTRIES))
    assert redistribution.entries == ENTRIES
    assert list(redistribution.entries["holder"]) == sorted(PHASE)


def test_the_fingerprint_of_a_redistribution_stays_the_same_in_every_version():
    """Should this fail, every journey that was ever answered with a redistribution would be asked again."""
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
        pytest.param(dict(reversed(ENTRIES.items())), id="order of the phases"),
        pytest.param({phase: dict(reversed(ENTRIES[phase].items())) for phase in PHASES}, id="order of the entries"),
        pytest.param(changed(redistribution_channel_labels=["Mail", "Direct"]), id="order of the channels"),
        pytest.param(changed(redistribution_channel_labels=["Mail", "Direct", "Mail"]), id="a channel twice"),
        pytest.param(changed(receive_threshold=0.0), id="0 as 0.0"),
    ],
)
def test_what_means_the_same_has_the_same_fingerprint(same):
    assert parsed(same) == parsed(ENTRIES)
    assert parsed(same).fingerprint == FINGERPRINT


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "entry",
    [
        {"direction": "later_sessions_only"},
        {"receive_threshold": 0.2},
        {"redistribution_channel_labels": ["Direct"]},
        {"redistribution_channel_labels": ["direct", "Mail"]},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_every_entry_of_every_phase(phase, entry):
    assert parsed(changed(phase, **entry)).fingerprint != FINGERPRINT


def test_phases_are_not_taken_for_each_other():
    swapped = ENTRIES | {"initializer": ENTRIES["closer"], "closer": ENTRIES["initializer"]}
    assert parsed(swapped).fingerprint != FINGERPRINT


def test_changing_what_was_given_or_got_changes_nothing():
    given = deepcopy(ENTRIES)
    redistribution = parsed(given)
    given["holder"]["direction"] = "later_sessions_only"
    redistribution.entries["holder"]["direction"] = "later_sessions_only"
    assert redistribution.entries == ENTRIES


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("threshold", [0, 1, 0.5, 1e-9])
def test_every_direction_and_threshold_of_the_api_is_taken(direction, threshold):
    entry = parsed(changed(direction=direction, receive_threshold=threshold)).entries["holder"]
    assert (entry["direction"], entry["receive_threshold"]) == (direction, threshold)


def test_channels_may_have_any_name(tmp_path):
    entries = changed(redistribution_channel_labels=UNTRUSTED)
    assert load_redistribution(written(tmp_path, entries)).entries["holder"]["redistribution_channel_labels"] == (
        sorted(UNTRUSTED)
    )


@pytest.mark.parametrize(
    "entries",
    [
        None,
        [],
        "holder",
        {},
        {"holder": PHASE},
        ENTRIES | {"opener": PHASE},
        dict.fromkeys((*PHASES[:2], "Closer"), PHASE),
    ],
    ids=str,
)
def test_exactly_the_three_phases_must_be_there(entries):
    with pytest.raises(SettingsError, match=r"^It must have exactly the entries initializer, holder, closer"):
        parsed(entries)


@pytest.mark.parametrize(
    "phase",
    [None, [], "any_session", {}, {name: PHASE[name] for name in list(PHASE)[:2]}, PHASE | {"threshold": 0.1}],
    ids=str,
)
def test_exactly_the_three_entries_must_be_in_a_phase(phase):
    with pytest.raises(
        SettingsError, match=r"^It, closer must have exactly the entries direction, receive_threshold, "
    ):
        parsed(ENTRIES | {"closer": phase})


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        *[({"direction": value}, "direction must be one of") for value in ("any", "", None, 1, ["any_session"], {})],
        *[
            ({"receive_threshold": value}, "receive_threshold must be a number from 0 to 1")
            for value in (-0.1, 1.1, 2, 10**400, True, "0.5", None, [], float("nan"), float("inf"))
        ],
        *[
            ({"redistribution_channel_labels": value}, "redistribution_channel_labels must be a list of channel names")
            for value in ("Direct", None, [1], [None], {"Direct": 1}, [["Direct"]])
        ],
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_entry_is_refused_by_phase_and_name(entry, says):
    with pytest.raises(SettingsError, match=f"^It, closer: {says}"):
        parsed(changed("closer", **entry))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"{'holder': 1}", b"[" * 100_000, b'{"initializer": }'],
    ids=lambda content: repr(content[:20]),
)
def test_a_file_that_is_no_json_is_refused_by_name(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(SettingsError, match="cannot be read as JSON") as error:
        load_redistribution(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("path", ["not there.json", "."])
def test_a_file_that_is_not_there_is_refused_by_name(tmp_path, path):
    with pytest.raises(SettingsError, match="cannot be read as JSON"):
        load_redistribution(tmp_path / path)


def test_a_wrong_entry_of_a_file_is_refused_by_file_phase_and_name(tmp_path):
    path = written(tmp_path, changed("holder", direction="sideways"))
    with pytest.raises(SettingsError, match=r"redistribution\.json, holder: direction must be one of earlier_"):
        load_redistribution(path)
