"""Amounts and flags of an export: decimal separators, thousands, currencies, signs."""

from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.frames import FIXED
from hypothesis import given
from hypothesis import strategies as st

from ihc.errors import AmbiguousError, SettingsError
from ihc.importing.amounts import read_amounts, read_flags


def amounts(values, **options):
    """The amounts of a column, all of which must be readable."""
    read = read_amounts(pd.Series(values), **options)
    assert dict(read.problems) == {}
    assert read.values.dtype == "float64"
    return list(read.values)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12", 12),
        ("1234.56", 1234.56),
        (" 12.5 ", 12.5),
        (".5", 0.5),
        ("0.125", 0.125),
        ("1,234.56", 1234.56),
        ("1,234,567", 1_234_567),
        ("1,23,456.78", 123_456.78),
        ("12,34,56,789", 123_456_789),
        ("1 234.50", 1234.5),
        ("1'234.50", 1234.5),
        ("1’234’567.50", 1_234_567.5),
        ("12,50", 12.5),
        ("0,125", 0.125),
        (",5", 0.5),
        ("1.234,56", 1234.56),
        ("1.234.567", 1_234_567),
        ("1234,567", 1234.567),
        ("1 234,567", 1234.567),
        ("1\u00a0234,5", 1234.5),
        ("1\u202f234\u202f567,25", 1_234_567.25),
        ("1'234,50", 1234.5),
        ("-12", -12),
        ("+12", 12),
        ("12-", -12),
        ("12.50 -", -12.5),
        ("(12.00)", -12),
        ("($1,234.50)", -1234.5),
        ("\u221212", -12),
        ("€ -12,50", -12.5),
        ("-€12,50", -12.5),
        ("€ 12,50", 12.5),
        ("12,50 EUR", 12.5),
        ("12.50USD", 12.5),
        ("R$ 12,50", 12.5),
        ("1e3", 1000),
        ("-1.5E-3", -0.0015),
        ("'12.50", 12.5),  # a text in spreadsheets
    ],
)
def test_a_text_of_a_usual_form_is_read(text, amount):
    assert amounts([text]) == [amount]


@pytest.mark.parametrize(
    "text",
    [
        *("5 %", "5%", "0x10", "inf", "-Infinity", "nan", "NULL", "true", "١٢", "１２", "1e999", "9" * 400),
        *("12.", ".", ",", "-", "€", "1..2", "1,2,3", "1.234.56", "12,34.5", "1,2345.67", "0,123.5", "1 23", "1 2"),
        *(
            "--1",
            "-1-",
            "(-12)",
            "(12",
            "12)",
            "12 apples",
            "12 abc",
            "USD 12 EUR",
            "€€ 12",
            "1_000",
            "1e3e3",
            "12\x00",
        ),
    ],
)
def test_what_is_no_amount_is_a_problem(text):
    read = read_amounts(pd.Series(["1.50", text]))
    assert read.values[0] == 1.5
    assert pd.isna(read.values[1])
    shown = text if len(text) <= 40 else text[:39] + "…"
    assert dict(read.problems) == {1: f"{shown!r} is no amount"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([12.5, None, np.inf]), [12.5, "is empty", "'inf' is no amount"]),
        (pd.Series([12500000, 1]), [12_500_000, 1]),
        (pd.Series([1.234, 1e22, 5e-324]), [1.234, 1e22, 5e-324]),
        (pd.Series([1, None], dtype="Int64"), [1, "is empty"]),
        (pd.Series([Decimal("1.234"), None, Decimal("Infinity")]), [1.234, "is empty", "'Infinity' is no amount"]),
        (pd.Series([Decimal("1.234")], dtype=pd.ArrowDtype(pa.decimal128(9, 3))), [1.234]),
        (pd.Series([1.234, 5, None], dtype="object"), [1.234, 5, "is empty"]),
        (pd.Series([10**400, 2], dtype="object"), [f"'1{'0' * 38}…' is no amount", 2]),
        (pd.Series([True, False]), ["'true' is no amount", "'false' is no amount"]),
        (pd.Series([True, "1"], dtype="object"), ["'True' is no amount", 1]),
        (pd.Series([b"\xff", [1], "\ud800", 2.5], dtype="object"), [*["is no amount"] * 3, 2.5]),
        (pd.Series([datetime(2025, 3, 1)]), ["'2025-03-01 00:00:00' is no amount"]),
        (pd.Series(["1.5", "", " ", None]), [1.5, "is empty", "is empty", "is empty"]),
        (pd.Series(["1.5", None], dtype="category"), [1.5, "is empty"]),
    ],
)
def test_a_column_of_any_type_is_read_and_the_rest_are_problems(values, expected):
    read = read_amounts(values)
    for row, value in enumerate(expected):
        if isinstance(value, str):
            assert read.problems[row].endswith(value)
            assert pd.isna(read.values[row])
        else:
            assert read.values[row] == value
            assert row not in read.problems.index


def test_the_index_is_kept_even_if_labels_repeat():
    read = read_amounts(pd.Series(["1", "x", None], index=["a", "b", "b"]))
    assert list(read.values.index) == ["a", "b", "b"]
    assert list(read.problems.items()) == [("b", "'x' is no amount"), ("b", "is empty")]


# Decimal separator


@pytest.mark.parametrize("decisive", ["1.234,5", "0,99", "1.234.567", "1 234,567", "1234,567"])
def test_one_value_decides_for_a_decimal_comma(decisive):
    assert amounts(["1.234", decisive, "1,234"])[::2] == [1234, 1.234]


@pytest.mark.parametrize("decisive", ["1,234.5", "0.99", "1,234,567", "1'234.567", "1234.567", "1,23,456", "1.5e3"])
def test_one_value_decides_for_a_decimal_point(decisive):
    assert amounts(["1.234", decisive, "1,234"])[::2] == [1.234, 1234]


@pytest.mark.parametrize("text", ["1,234", "1.234"])
def test_a_separator_that_nothing_decides_is_refused_with_both_readings(text):
    with pytest.raises(AmbiguousError) as refused:
        read_amounts(pd.Series(["12", text], name="Revenue"))
    assert str(refused.value) == (
        f"Column 'Revenue': '{text}' can be 1234 or 1.234: set decimal = '.' or ',' in the mapping."
    )


def test_separators_that_values_contradict_equally_are_refused():
    with pytest.raises(AmbiguousError, match=r"'1\.50' has a decimal point, but '1,50' has a decimal comma"):
        read_amounts(pd.Series(["1.50", "1,50"]))


def test_values_that_contradict_the_others_are_problems():
    read = read_amounts(pd.Series(["1,50", "2,50", "2.75", "1.5e3", "0,99"]))
    reason = "is no amount of the form 1.234,56 (decimal comma)"
    assert dict(read.problems) == {2: f"'2.75' {reason}", 3: f"'1.5e3' {reason}"}


def test_the_decimal_separator_of_the_mapping_decides():
    assert amounts(["1,234"], decimal=",") == [1.234]
    assert amounts(["1,234"], decimal=".") == [1234]
    assert dict(read_amounts(pd.Series(["12.5"]), decimal=",").problems) == {
        0: "'12.5' is no amount of the form 1.234,56 (decimal comma)"
    }


@pytest.mark.parametrize("decimal", [";", "", "..", "point"])
def test_another_decimal_separator_is_refused(decimal):
    with pytest.raises(SettingsError, match=r"set decimal = '.' or ',' in the mapping"):
        read_amounts(pd.Series(["1"]), decimal=decimal)


# Form and currency


@pytest.mark.parametrize(
    ("values", "form", "currencies"),
    [
        (["12", "13"], "plain numbers", ()),
        ([12.5], "plain numbers", ()),
        (["12,50"], "1.234,56 (decimal comma)", ()),
        (["12.50"], "1,234.56 (decimal point)", ()),
        ([], "no amounts", ()),
        (["x", None], "no amounts", ()),
        (["€ 12", "13", "14 EUR", "eur 15"], "plain numbers", ("EUR",)),
        (["£12"], "plain numbers", ("GBP",)),
        (["R$ 12"], "plain numbers", ("BRL",)),
        (["12 zł"], "plain numbers", ("PLN",)),
        (["USD 12", "US$ 13"], "plain numbers", ("USD",)),
        (["$12"], "plain numbers", ("$",)),
        (["12 kr", "13 kr."], "plain numbers", ("kr",)),
        (["12 EUR", "13 USD", "$14"], "plain numbers in $, EUR and USD", ("$", "EUR", "USD")),
        (["12 EUR", "x USD", "13 abc"], "plain numbers", ("EUR",)),
    ],
)
def test_the_form_and_the_currencies_are_named(values, form, currencies):
    read = read_amounts(pd.Series(values, dtype="object"))
    assert (read.form, read.currencies) == (form, currencies)


# Flags


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *(
            (yes, 1.0)
            for yes in ("1", "true", "T", "Yes", "y", "JA", "oui", "si", "Sí", "x", " X ", "1.0", 1, 1.0, True)
        ),
        *((no, 0.0) for no in ("0", "False", "f", "no", "N", "nein", "non", "0.0", 0, 0.0, False)),
        *((empty, 0.0) for empty in ("", " ", None, float("nan"))),
    ],
)
def test_flags_are_read_in_any_usual_form_and_empty_means_no(value, flag):
    read = read_flags(pd.Series([value], dtype="object"))
    assert list(read.values) == [flag]
    assert dict(read.problems) == {}


@pytest.mark.parametrize(
    "values", [pd.Series([1.0, None]), pd.Series([True, None], dtype="boolean"), pd.Series([1, None], dtype="Int64")]
)
def test_flags_of_any_type_are_read(values):
    read = read_flags(values)
    assert list(read.values) == [1.0, 0.0]
    assert (read.form, read.currencies) == ("flags", ())


@pytest.mark.parametrize("value", ["2", 2, -1, 0.5, "maybe", "1e0", "inf", "10"])
def test_what_is_no_flag_is_a_problem(value):
    read = read_flags(pd.Series(["yes", value], dtype="object"))
    assert dict(read.problems) == {1: f"'{value}' is neither yes nor no"}
    assert list(read.values.isna()) == [False, True]


# Invariants

CONVENTIONS = {
    "plain": (lambda amount: f"{amount:.2f}", "."),
    "english": (lambda amount: f"{amount:,.2f}", "."),
    "german": (lambda amount: f"{amount:,.2f}".translate({44: ".", 46: ","}), ","),
    "french": (lambda amount: f"{amount:,.2f} €".translate({44: "\u202f", 46: ","}), ","),
    "swiss": (lambda amount: f"CHF {amount:,.2f}".replace(",", "’"), "."),
    "accounting": (lambda amount: f"({-amount:,.2f})" if amount < 0 else f"{amount:,.2f}", "."),
    "trailing minus": (lambda amount: f"{abs(amount):,.2f}" + ("-" if amount < 0 else ""), "."),
}


@FIXED
@given(st.lists(st.integers(-(10**12), 10**12), min_size=1), st.sampled_from(sorted(CONVENTIONS)))
def test_an_amount_that_is_written_and_read_is_the_same(cents, convention):
    write, decimal = CONVENTIONS[convention]
    numbers = [Decimal(count) / 100 for count in cents]
    texts = [write(number) for number in numbers]
    assert amounts(texts) == amounts(texts, decimal=decimal) == [float(number) for number in numbers]


@FIXED
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_are_unchanged(numbers):
    assert amounts(pd.Series(numbers, dtype="float64")) == numbers
    assert amounts(pd.Series(numbers, dtype="object")) == numbers


CELLS = st.one_of(
    st.text(max_size=20), st.text("0123456789.,'-+()e€$ %\u00a0", max_size=9), st.integers(), st.floats(), st.none()
)


@FIXED
@given(st.lists(CELLS), st.sampled_from([".", ","]))
def test_any_column_is_read_or_each_row_has_a_reason(values, decimal):
    read = read_amounts(pd.Series(values, dtype="object"), decimal=decimal)
    assert list(read.problems.index) == list(np.flatnonzero(read.values.isna()))
    assert np.isfinite(read.values.dropna()).all()
    flags = read_flags(pd.Series(values, dtype="object"))
    assert list(flags.problems.index) == list(np.flatnonzero(flags.values.isna()))
