import pytest
from helpers.frames import conversions, costs, sessions
from helpers.mending import finding, mended

from ihc.schemas.tables import Tables

ZERO_UUID = "00000000-0000-0000-0000-000000000000"


def shop(user, visits=3, orders=3):
    """A user with so many sessions an hour apart, each order an hour after one of them, and another user with one."""
    of_user = [(f"s{hour}", user, f"2023-09-01 {hour:02}:00:01", "Mail") for hour in range(visits)]
    purchases = [(f"k{hour}", user, f"2023-09-01 {hour:02}:30:01", 10.0) for hour in range(orders)]
    return Tables(
        sessions([*of_user, ("a", "u", "2023-09-01 05:00:01", "Mail")]),
        conversions([*purchases, ("k", "u", "2023-09-01 06:00:01", 70.0)]),
        costs(),
    )


@pytest.mark.parametrize(
    "user", ["(not set)", "", " ", "null", "NULL", "None", "anonymous", "0", "000", ZERO_UUID, "Undefined\u00a0", "-1"]
)
def test_a_placeholder_with_sessions_and_orders_is_named_with_its_journey_rows_and_mended(user):
    found = finding(shop(user), "user ids")
    # 1 + 2 + 3 rows of the placeholder, and 1 of the other user.
    assert found["finding"] == (
        "1 user id that may stand for many people, with 3 of 4 orders, 3 of 4 sessions and 6 of 7 journey rows"
    )
    assert (found["examples"], found["amount"], found["share"]) == (repr(user), 30.0, 0.3)
    after = mended(shop(user), found["mend"])
    assert finding(after, "user ids") is None
    assert finding(after, "orders without a session (untracked orders)")["count"] == 3


@pytest.mark.parametrize("user", ["10", "nullius", "ann", "-", "not set yet", "0a"])
def test_another_user_is_a_person_unless_by_numbers(user):
    assert (finding(shop(user), "user ids") is None) == (user != "-")


def test_a_placeholder_with_sessions_or_orders_alone_joins_nobody():
    assert finding(shop("(not set)", orders=0), "user ids") is None
    assert finding(shop("(not set)", visits=0), "user ids") is None


@pytest.mark.parametrize(("visits", "orders", "is_found"), [(10, 10, True), (9, 10, False), (10, 9, False)])
def test_a_user_with_ten_times_as_many_sessions_and_orders_as_the_next_is_no_person(visits, orders, is_found):
    assert (finding(shop("shop counter", visits, orders), "user ids") is not None) == is_found


def test_the_only_user_of_a_shop_is_a_person():
    tables = shop("ann", 20, 20)
    alone = Tables(tables.sessions.iloc[:20], tables.conversions.iloc[:20], tables.costs)
    assert finding(alone, "user ids") is None


def test_times_of_a_shared_user_id_say_nothing_about_clocks_and_repeats():
    visits = [("a", "(not set)", "2023-09-01 05:00:01", "Mail"), ("b", "(not set)", "2023-09-01 05:00:01", "Search")]
    orders = [(key, "(not set)", "2023-09-01 05:00:00", 1.0) for key in "kl"]
    tables = Tables(sessions(visits), conversions(orders), costs())
    assert finding(tables, "orders followed by a session") is None
    assert finding(tables, "sessions of one buyer in the same second") is None
    assert finding(tables, "orders of the same user") is None
