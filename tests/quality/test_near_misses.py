import pandas as pd
import pytest
from helpers.frames import conversions, costs, sessions
from helpers.mending import finding, mended

from ihc.quality.near_misses import BLANKS, near_ids
from ihc.schemas.tables import Tables

ORDERS, COSTS = "orders whose user id differs", "cost rows whose session id differs"
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
PAIRS = [
    ("u1", "u1 ", "blanks at the ends"),
    ("\ufeffu1", "u1", "blanks at the ends"),
    ("u1\u00a0", "\u2003u1", "blanks at the ends"),
    ("ABCDEF", "abcdef", "case"),
    ("\u00c9VA", "\u00e9va", "case"),
    (COMPOSED, DECOMPOSED, "Unicode normal form"),
    ("7", "7.0", "a final .0"),
    ("7", "007", "leading zeros"),
    ("it's \x1b7", "it's \x1b7 ", "blanks at the ends"),
    ("u1", "\u00a0 u1", "blanks at the ends"),
    (" O'Neil", "o'neil", "blanks, case, Unicode normal form, .0 or leading zeros"),
]


def shop(user, buyer):
    visits = sessions([("s", user, "2023-09-01 10:00:07", "Mail"), ("t", "w", "2023-09-01 10:00:07", "Mail")])
    orders = conversions([("k", buyer, "2023-09-01 12:00:01", 75.0), ("l", "w", "2023-09-01 12:00:01", 25.0)])
    return Tables(visits, orders, costs([("s", 1.0), ("t", 1.0)]))


@pytest.mark.parametrize(("user", "buyer", "rule"), PAIRS)
def test_an_order_whose_user_is_written_otherwise_is_found_and_mended(user, buyer, rule):
    tables = shop(user, buyer)
    found = finding(tables, ORDERS)
    assert found["finding"] == f"1 order whose user id differs from that of a session only by {rule}"
    assert (found["examples"], found["amount"], found["share"]) == ("'k'", 75.0, 0.75)
    after = mended(tables, found["mend"])
    assert finding(after, "orders without a session") is None
    assert after.conversions["user_id"].tolist() == [user, "w"]
    assert found["mend"].isprintable()


@pytest.mark.parametrize(("session", "paid", "rule"), PAIRS)
def test_a_cost_whose_session_is_written_otherwise_is_found_and_mended(session, paid, rule):
    visits = sessions([(session, "u", "2023-09-01 10:00:07", "Mail"), ("t", "u", "2023-09-01 10:00:09", "Mail")])
    tables = Tables(visits, conversions(), costs([(paid, 3.0), ("t", 1.0), ("gone", 4.0)]))
    found = finding(tables, COSTS)
    assert found["finding"] == f"1 cost row whose session id differs from that of a session only by {rule}"
    assert (found["amount"], found["share"]) == (3.0, 0.375)
    after = mended(tables, found["mend"])
    assert finding(after, COSTS) is None
    assert finding(after, "cost rows whose session does not exist")["examples"] == "'gone'"


def test_a_cost_is_no_near_miss_where_the_session_has_a_cost_row_already():
    visits = sessions([("s", "u", "2023-09-01 10:00:07", "Mail")])
    tables = Tables(visits, conversions(), costs([("s", 3.0), ("s ", 1.0)]))
    assert finding(tables, COSTS) is None


def test_one_statement_mends_many_ids_that_differ_by_several_rules_and_joins_no_blank_ones():
    visits = sessions([(f"s{n}", f"User-{n} ", "2023-09-01 10:00:07", "Mail") for n in range(30)])
    visits = pd.concat([visits, sessions([("blank", " ", "2023-09-01 10:00:07", "Mail")])], ignore_index=True)
    orders = [(f"k{n}", f"user-{n}", "2023-09-01 12:00:01", 1.0) for n in range(30)]
    tables = Tables(visits, conversions([*orders, ("blank", "", "2023-09-01 12:00:01", 1.0)]), costs())
    found = finding(tables, ORDERS)
    assert found["count"] == 30
    assert finding(mended(tables, found["mend"]), "orders without a session")["examples"] == "'blank'"


def test_an_id_goes_by_the_first_rule_that_is_enough():
    found = near_ids(pd.Series(["A ", "b", "0B", "x"]), pd.Series(["A", "a ", "B", "c"]))
    assert found.to_dict("list") == {
        "id": ["A ", "b", "0B"],
        "near": ["A", "B", "B"],
        "rule": ["blanks at the ends", "case", "leading zeros"],
    }


def test_ids_of_nothing_but_blanks_or_zeros_are_near_nothing():
    assert near_ids(pd.Series(["", " ", "000"]), pd.Series(["\u00a0", "0", ".0"])).empty


def test_many_ids_that_only_a_list_can_mend_are_named_up_to_twenty():
    visits = sessions([(f"s{n}", f"{COMPOSED}{n}", "2023-09-01 10:00:07", "Mail") for n in range(23)])
    orders = conversions([(f"k{n}", f"{DECOMPOSED}{n}", "2023-09-01 12:00:01", 1.0) for n in range(23)])
    tables = Tables(visits, orders, costs())
    found = finding(tables, ORDERS)
    assert found["count"] == 23
    assert found["mend"].endswith(" -- and 3 more alike")
    after = mended(tables, found["mend"])
    assert finding(after, ORDERS)["count"] == 3


@pytest.mark.parametrize("blank", ["\t", "\n", "\u00a0", "\u200b", "\u3000", "\ufeff", "\u2028", "\u205f"])
def test_the_blanks_are_those_of_unicode_and_the_mark_of_a_files_byte_order(blank):
    assert blank in BLANKS


@pytest.mark.parametrize(
    ("user", "is_found"), [("1.23457E+15", True), ("1E+10", True), ("12e5", False), ("3e+x", False), ("a+b", False)]
)
def test_user_ids_in_scientific_notation_lost_digits(user, is_found):
    found = finding(shop(user, "1234567890123456"), "sessions with a user id in scientific notation")
    assert (found is not None) == is_found
    assert finding(shop("x", "x"), "orders with a user id in scientific notation") is None
    of_order = finding(shop("x", user), "orders with a user id in scientific notation")
    assert (of_order is not None) == is_found
    if found:
        assert (found["examples"], found["amount"], found["mend"]) == ("'s'", 1.0, "Export the ids again as text.")
