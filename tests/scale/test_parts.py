import pandas as pd
from helpers.frames import curves_of
from helpers.scaling import TIES, assert_same_reports, in_one_pass
from pandas.testing import assert_frame_equal

from ihc.analysis.reporting import DAILY
from ihc.arrays.sums import LEVEL, add_parts
from ihc.scale.parts import CHANNEL, Plan, add, attribute_part, markov_part, part_for, removal_effects_of, reports_of
from ihc.schemas.tables import Tables


def of_users(shop: Tables, users) -> Tables:
    """The rows of some users; costs without a session belong to the first user."""
    visits = shop.sessions[shop.sessions["user_id"].isin(list(users))]
    others = shop.sessions.loc[~shop.sessions["user_id"].isin(list(users)), "session_id"]
    is_own = shop.costs["session_id"].isin(visits["session_id"])
    is_stray = ~is_own & ~shop.costs["session_id"].isin(others) & ("u" in users)
    orders = shop.conversions[shop.conversions["user_id"].isin(list(users))]
    return Tables(
        visits.reset_index(drop=True),
        orders.reset_index(drop=True),
        shop.costs[is_own | is_stray].reset_index(drop=True),
    )


def test_parts_add_up_to_the_report_in_any_order():
    shop = TIES._replace(conversions=TIES.conversions.assign(refund_of=pd.array([None, "l", None, None], dtype="str")))
    asked = Plan(curves_of(), None, "2023-09-01", "2023-09-02", direct=("Mail",))
    *_, expected = in_one_pass(shop, asked)
    tables = [of_users(shop, users) for users in ("u", "vwx")]
    found = [attribute_part(own, asked) for own in tables]
    parts = [part_for(own, one, asked) for own, one in zip(tables, found, strict=True)]
    for order in (parts, parts[::-1]):
        whole = add(order)
        effects = removal_effects_of(whole)
        revenue = add_parts([markov_part(one.journeys, effects) for one in found], ["channel_name"])
        assert_same_reports(reports_of(whole, revenue, asked), expected)


def test_parts_that_together_exceed_the_channels_of_a_chain_omit_markov(monkeypatch):
    monkeypatch.setattr("ihc.scale.parts.MOST_STATES", 3)
    monkeypatch.setattr("ihc.models.registry.MOST_STATES", 3)
    shop, asked = of_users(TIES, "uw"), Plan(curves_of())
    tables = [of_users(shop, user) for user in "uw"]
    parts = [part_for(own, attribute_part(own, asked), asked) for own in tables]
    assert [removal_effects_of(part) is None for part in (*parts, add(parts))] == [False, False, True]
    assert_same_reports(reports_of(add(parts), None, asked), in_one_pass(shop, asked)[2])


def test_orders_with_invalid_credits_fail_and_are_counted(monkeypatch):
    def broken(journeys, *_):
        return journeys[["conv_id", "session_id"]].assign(initializer=0.0, holder=0.0, closer=0.0, ihc=2.0)

    monkeypatch.setattr("ihc.scale.parts.attribute", broken)
    asked = Plan(curves_of())
    found = attribute_part(TIES, asked)
    assert found.credits.empty
    assert found.outcomes.set_index("conv_id")["outcome"].to_dict() == {
        "k": "failed", "l": "failed", "lonely": "unattributed", "early": "unattributed",
    }  # fmt: skip
    part = part_for(TIES, found, asked)
    effects = removal_effects_of(part)
    lines = reports_of(part, markov_part(found.journeys, effects), asked).reconciliation.set_index("line")
    assert lines.loc["less: failed", ["count", "amount"]].tolist() == [-1, -10]
    assert lines.loc["less: failed refunds: 1", ["count", "amount"]].tolist() == [0, 3.5]


def test_a_single_part_is_a_sum_too():
    asked = Plan(curves_of())
    part = part_for(TIES, attribute_part(TIES, asked), asked)
    whole = add([part])
    keys = {
        "reporting": [*DAILY, LEVEL],
        "counts": CHANNEL,
        "comparison": [*CHANNEL, LEVEL],
        "figures": ["figure", LEVEL],
    }
    for name, key in keys.items():
        found, expected = (getattr(one, name).sort_values(key, ignore_index=True) for one in (whole, part))
        assert_frame_equal(found, expected, check_like=True)
    assert whole.orders == part.orders
