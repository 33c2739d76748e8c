import inspect

import pytest

from ihc import errors
from ihc.errors import IhcError
from ihc.formatting import some

CLASSES = [entry for _, entry in inspect.getmembers(errors, inspect.isclass) if entry.__module__ == "ihc.errors"]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_documented_ihc_error(kind):
    assert issubclass(kind, IhcError)
    assert kind.__doc__


def test_the_tree_in_the_module_docstring_is_complete():
    drawn = {line.strip("│├└─ ").split()[0] for line in errors.__doc__.splitlines() if {"├", "└"} & set(line)}
    assert drawn == {kind.__name__ for kind in CLASSES} - {"IhcError"}


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([], ""),
        (["a"], "'a'"),
        (["a", "b", "c"], "'a', 'b', 'c'"),
        (["a", "b", "c", "d"], "'a', 'b', 'c' and 1 more"),
        ([7, 8.5], "'7', '8.5'"),
        (["two\nlines"], r"'two\nlines'"),
    ],
)
def test_some_names_ids_up_to_its_limit_and_counts_the_rest(ids, text):
    assert some(ids, 3) == text


def test_some_counts_thousands_with_a_comma():
    assert some(range(1_003), 3) == "'0', '1', '2' and 1,000 more"


def test_some_names_five_by_default():
    assert some("abcdef") == "'a', 'b', 'c', 'd', 'e' and 1 more"


@pytest.mark.parametrize(("name", "text"), [("12345678", "'12345678'"), ("123456789", "'1234567…'")])
def test_some_cuts_a_long_id_to_its_width(name, text):
    assert some([name], width=8) == text
