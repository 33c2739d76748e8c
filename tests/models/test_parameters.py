import pickle
from copy import deepcopy

import numpy as np
import pytest

from ihc.errors import ParametersError
from ihc.models.parameters import DEFAULT, Curve, load_parameters, parameters_json, parse_parameters

ENTRIES = {
    "name": "mine",
    "initializer": {"hours": [0, 10, 110], "membership": [0, 0, 1]},
    "closer": {"hours": [0, 100], "membership": [1, 0]},
    "phase_weights": {"initializer": 0.2, "holder": 0.5, "closer": 0.3},
    "channel_weights": {"initializer": {"Search": 1.5}, "holder": {}, "closer": {"Mail": 0.5}},
    "provenance": {"made": "by hand"},
}


def changed(path, value):
    """The entries with `value` at `path`, e.g. "closer.hours"."""
    entries = deepcopy(ENTRIES)
    *outer, last = path.split(".")
    inner = entries
    for key in outer:
        inner = inner[key]
    inner[last] = value
    return entries


def test_a_curve_is_linear_between_its_knots_and_constant_outside():
    curve = Curve((0.0, 10.0, 110.0), (0.0, 0.0, 1.0))
    # From 10 to 110 hours it rises by 1/100 an hour.
    np.testing.assert_allclose(curve(np.array([0, 5, 10, 35, 60, 110, 500])), [0, 0, 0, 0.25, 0.5, 1, 1])


def test_the_entries_of_a_file_become_parameters():
    entries = deepcopy(ENTRIES)
    parameters = parse_parameters(entries)
    assert entries == ENTRIES
    assert parameters.name == "mine"
    assert parameters.initializer == Curve((0.0, 10.0, 110.0), (0.0, 0.0, 1.0))
    assert parameters.closer == Curve((0.0, 100.0), (1.0, 0.0))
    assert dict(parameters.phase_weights) == {"initializer": 0.2, "holder": 0.5, "closer": 0.3}
    assert {phase: dict(weights) for phase, weights in parameters.channel_weights.items()} == ENTRIES["channel_weights"]
    assert dict(parameters.provenance) == {"made": "by hand"}
    assert parameters.channels == {"Search", "Mail"}
    assert len(parameters.fingerprint) == 12
    assert parameters.label == f"mine ({parameters.fingerprint})"
    with pytest.raises(TypeError):
        parameters.channel_weights["holder"]["Search"] = 2.0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("initializer.hours", [0, 10, 111]),
        ("initializer.membership", [0, 0, 0.9]),
        ("closer.hours", [0, 100.001]),
        ("closer.membership", [1, 0.1]),
        ("phase_weights", {"initializer": 0.3, "holder": 0.4, "closer": 0.3}),
        ("channel_weights.initializer.Search", 1.50001),
        ("channel_weights.holder", {"Search": 1.5}),
        ("channel_weights.closer", {}),
    ],
)
def test_the_fingerprint_changes_with_every_number(path, value):
    assert parse_parameters(changed(path, value)).fingerprint != parse_parameters(ENTRIES).fingerprint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "yours"),
        ("provenance", {}),
        ("closer.hours", [0.0, 100.0]),
        ("phase_weights", {"closer": 0.3, "holder": 0.5, "initializer": 0.2}),
    ],
)
def test_the_fingerprint_does_not_depend_on_name_provenance_or_spelling(path, value):
    assert parse_parameters(changed(path, value)).fingerprint == parse_parameters(ENTRIES).fingerprint


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("name", " ", "name must be a non-empty text"),
        ("name", 7, "name must be a non-empty text"),
        ("surplus", 1, "has unknown entries: surplus"),
        ("initializer", [], "initializer must be a JSON object, not list"),
        ("initializer.weight", 1, "initializer must have hours and membership, and nothing else"),
        ("initializer.hours", "0 10 110", "initializer.hours must hold numbers only"),
        ("initializer.hours", [0, True, 110], "initializer.hours must hold numbers only"),
        ("initializer.hours", [0, None, 110], "initializer.hours must hold numbers only"),
        ("initializer.hours", [0, 10, float("inf")], "initializer.hours must hold finite numbers only"),
        ("initializer.membership", [0, 0, float("nan")], "initializer.membership must hold finite numbers only"),
        ("initializer.hours", [0, 10, 10**400], "initializer.hours must hold finite numbers only"),
        ("initializer.hours", [0, 10], "needs as many membership values as hours"),
        ("closer", {"hours": [0], "membership": [1]}, "and at least two"),
        ("initializer.hours", [1, 10, 110], "must start at 0"),
        ("initializer.hours", [0, 10, 10], "rise from knot to knot"),
        ("initializer.membership", [0.2, 0.1, 1], "must stay in [0, 1] and never fall"),
        ("initializer.membership", [0, 0, 1.01], "must stay in [0, 1]"),
        ("initializer.membership", [-0.01, 0, 1], "must stay in [0, 1]"),
        ("initializer.membership", [1, 1, 1], "must be below 1 at 0 hours"),
        ("closer.membership", [1, 1.0001], "must stay in [0, 1] and never rise"),
        ("closer.membership", [0.9, 0], "closer.membership must be 1 at 0 hours"),
        ("phase_weights", {"initializer": 0.5, "closer": 0.5}, "phase_weights must name initializer, holder, closer"),
        ("phase_weights.holder", 0.6, "and sum to 1"),
        ("phase_weights", {"initializer": 0.5, "holder": 0, "closer": 0.5}, "phase_weights must be above 0"),
        ("channel_weights", {"initializer": {}}, "channel_weights must have an entry for each of"),
        ("channel_weights.holder", [], "channel_weights.holder must be a JSON object"),
        ("channel_weights.holder", {"Search": 0}, "channel_weights.holder must be above 0"),
        ("channel_weights.holder", {"Search": "1"}, "channel_weights.holder must hold numbers only"),
        ("provenance", "by hand", "provenance must be a JSON object, not str"),
    ],
)
def test_an_invalid_entry_is_refused_by_name(path, value, says):
    with pytest.raises(ParametersError) as refusal:
        parse_parameters(changed(path, value))
    assert says in str(refusal.value)


def test_missing_entries_are_named():
    with pytest.raises(ParametersError, match="lacks channel_weights, closer, initializer, name, phase_weights, prov"):
        parse_parameters({})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        (b"", "is not JSON"),
        (b"[]", "the file must be a JSON object, not list"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"name": "mine"}', "lacks channel_weights, closer"),
        (b'{"name": ' + b"1" * 5_000 + b"}", "mine.json"),
    ],
    ids=["missing", "empty", "a list", "cut off", "too deep", "not UTF-8", "incomplete", "a number of 5,000 digits"],
)
def test_an_invalid_file_is_refused_with_its_path(tmp_path, content, says):
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParametersError) as refusal:
        load_parameters(path)
    assert str(path) in str(refusal.value)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    "entries", [ENTRIES, changed("name", "[ \n بحث"), changed("channel_weights.holder", {'"': 2.0})]
)
def test_a_set_survives_writing_and_reading(entries, tmp_path):
    parameters, path = parse_parameters(entries), tmp_path / "set.json"
    path.write_text(parameters_json(parameters), "utf-8-sig")  # as an editor may leave it
    for again in (load_parameters(path), load_parameters(str(path)), pickle.loads(pickle.dumps(parameters))):
        assert again == parameters
        assert (again.label, dict(again.provenance)) == (parameters.label, dict(parameters.provenance))


def test_the_written_form_has_one_line_per_curve_like_the_shipped_set():
    assert '    "hours": [0.0, 10.0, 110.0],\n' in parameters_json(parse_parameters(ENTRIES))
    assert parameters_json(load_parameters()) == DEFAULT.read_text("utf-8")
    assert load_parameters().provenance


@pytest.mark.parametrize(
    ("provenance", "hours"),
    [
        ({"seen_until_hours": {"closer": 72.5}}, 72.5),
        ({}, np.inf),
        ({"seen_until_hours": "long"}, np.inf),
        ({"seen_until_hours": {"closer": "long"}}, np.inf),
        ({"seen_until_hours": {"initializer": 3}}, np.inf),
    ],
)
def test_the_data_range_of_a_curve_comes_from_the_provenance_or_is_unknown(provenance, hours):
    assert parse_parameters(changed("provenance", provenance)).seen_until("closer") == hours
