import pandas as pd
import pytest
from helpers.frames import conversions, costs, sessions
from helpers.mending import finding, findings, mended
from helpers.odd_shops import (
    COMPOSED,
    DECOMPOSED,
    KNOWN,
    NEAR_COSTS,
    NEAR_IDS,
    NEAR_ORDERS,
    NEAR_SHOP,
    shared_id,
)

from ihc.quality.ids import BLANKS, near_ids
from ihc.schemas.tables import Tables


def test_ids_that_match_only_after_normalisation_are_found_and_fixed():
    found, mends = findings(NEAR_SHOP).set_index("check"), []
    for rule, ids in NEAR_IDS.items():
        of_orders = found.loc[f"orders whose user id differs from that of a session only by {rule}"]
        assert (of_orders["count"], of_orders["amount"]) == (len(ids), 25.0 * len(ids))
        of_costs = found.loc[f"cost rows whose session id differs from that of a session only by {rule}"]
        assert (of_costs["count"], of_costs["amount"]) == (len(ids), 3.0 * len(ids))
        mends += [of_orders["mend"], of_costs["mend"]]
    assert all(map(str.isprintable, mends))
    after = mended(NEAR_SHOP, *mends)
    assert after.conversions["user_id"].tolist() == [*KNOWN, "t"]
    assert after.costs["session_id"].tolist() == [*KNOWN, "t", "gone"]
    assert finding(after, NEAR_ORDERS) is finding(after, NEAR_COSTS) is None


def test_a_cost_is_not_a_near_miss_if_the_session_already_has_a_cost_row():
    visits = sessions([("s", "u", "2023-09-01 10:00:07", "Mail")])
    assert finding(Tables(visits, conversions(), costs([("s", 3.0), ("s ", 1.0)])), NEAR_COSTS) is None


def test_one_statement_fixes_many_ids_and_does_not_match_blank_ones():
    visits = sessions([(f"s{n}", f"User-{n} ", "2023-09-01 10:00:07", "Mail") for n in range(30)])
    visits = pd.concat([visits, sessions([("blank", " ", "2023-09-01 10:00:07", "Mail")])], ignore_index=True)
    orders = [(f"k{n}", f"user-{n}", "2023-09-01 12:00:01", 1.0) for n in range(30)]
    tables = Tables(visits, conversions([*orders, ("blank", "", "2023-09-01 12:00:01", 1.0)]), costs())
    found = finding(tables, NEAR_ORDERS)
    assert found["count"] == 30
    assert finding(mended(tables, found["mend"]), "orders without a session")["examples"] == "'blank'"


def test_the_first_sufficient_rule_is_reported():
    found = near_ids(pd.Series(["A ", "b", "0B", "x"]), pd.Series(["A", "a ", "B", "c"]))
    assert found.to_dict("list") == {
        "id": ["A ", "b", "0B"],
        "near": ["A", "B", "B"],
        "rule": ["blanks at the ends", "case", "leading zeros"],
    }
    assert near_ids(pd.Series(["", " ", "000"]), pd.Series(["\u00a0", "0", ".0"])).empty
    assert set("\t\n\u00a0\u200b\u3000\ufeff\u2028\u205f") <= set(BLANKS)


def test_ids_that_need_a_list_are_named_up_to_twenty():
    visits = sessions([(f"s{n}", f"{COMPOSED}{n}", "2023-09-01 10:00:07", "Mail") for n in range(23)])
    orders = conversions([(f"k{n}", f"{DECOMPOSED}{n}", "2023-09-01 12:00:01", 1.0) for n in range(23)])
    tables = Tables(visits, orders, costs())
    found = finding(tables, NEAR_ORDERS)
    assert found["count"] == 23
    assert found["mend"].endswith(" -- and 3 more like these")
    after = mended(tables, found["mend"])
    assert finding(after, NEAR_ORDERS)["count"] == 3


@pytest.mark.parametrize(
    ("user", "is_found"), [("1.23457E+15", True), ("1E+10", True), ("12e5", False), ("3e+x", False), ("a+b", False)]
)
def test_user_ids_in_scientific_notation_lost_digits(user, is_found):
    tables = Tables(
        sessions([("s", user, "2023-09-01 10:00:07", "Mail")]),
        conversions([("k", user, "2023-09-01 12:00:01", 75.0), ("l", "1234567890123456", "2023-09-01 12:00:01", 25.0)]),
        costs([("s", 1.0)]),
    )
    for noun, key, amount in (("sessions", "s", 1.0), ("orders", "k", 75.0)):
        found = finding(tables, f"{noun} with a user id in scientific notation")
        assert (found is not None) == is_found
        if found:
            assert (found["examples"], found["amount"]) == (f"'{key}'", amount)
            assert found["mend"] == "Export the ids again as text."


PLACEHOLDERS = [
    "(not set)",
    "null",
    "NULL",
    "None",
    "anonymous",
    "0",
    "000",
    "0000-0000",
    "Undefined\u00a0",
    "-1",
]


def test_placeholder_users_are_reported_with_journey_rows_and_fixed():
    tables = shared_id(*PLACEHOLDERS, "-")
    found = finding(tables, "user ids")
    # 1 + 2 + 3 rows of each of 11 placeholders, and 1 of the other user.
    assert found["finding"] == (
        "11 user ids that may be shared by several people, with 33 of 34 orders, 33 of 34 sessions and 66 of 67 "
        "journey rows"
    )
    assert (found["count"], found["amount"], found["share"]) == (11, 330.0, 330 / 400)
    after = mended(tables, found["mend"])
    assert finding(after, "user ids") is None
    assert finding(after, "orders without a session (untracked orders)")["count"] == 33


def test_names_similar_to_placeholders_are_not_reported():
    assert finding(shared_id("10", "nullius", "ann", "not set yet", "0a"), "user ids") is None


@pytest.mark.parametrize(
    ("user", "visits", "orders", "is_found"),
    [
        ("shop counter", 10, 10, True),  # ten times as many as the user that comes next
        ("shop counter", 9, 10, False),
        ("shop counter", 10, 9, False),
        ("(not set)", 3, 0, False),  # joins nobody
        ("(not set)", 0, 3, False),
    ],
)
def test_a_user_id_is_shared_by_name_or_by_numbers(user, visits, orders, is_found):
    found = finding(shared_id(user, visits=visits, orders=orders), "user ids")
    assert (found is not None) == is_found


def test_the_only_user_of_a_shop_is_not_reported():
    tables = shared_id("ann", visits=20, orders=20)
    alone = Tables(tables.sessions.iloc[:20], tables.conversions.iloc[:20], tables.costs)
    assert finding(alone, "user ids") is None


def test_shared_user_ids_are_ignored_in_clock_and_duplicate_checks():
    visits = [("a", "(not set)", "2023-09-01 05:00:01", "Mail"), ("b", "(not set)", "2023-09-01 05:00:01", "Search")]
    orders = [(key, "(not set)", "2023-09-01 05:00:00", 1.0) for key in "kl"]
    tables = Tables(sessions(visits), conversions(orders), costs())
    assert finding(tables, "orders followed by a session") is None
    assert finding(tables, "sessions of one buyer in the same second") is None
    assert finding(tables, "orders of the same user") is None
