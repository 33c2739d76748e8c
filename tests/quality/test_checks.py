import numpy as np
import pandas as pd
import pytest
from helpers.frames import FEW, UNTRUSTED, conversions, costs, sessions, shops, shuffled
from helpers.mending import finding, findings, is_listing, listed, mended
from helpers.odd_shops import CHANNELS, ODD_FINDINGS, ODD_SHOP, REFUNDS
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from ihc.formatting import some
from ihc.quality.checks import channel_variants, clean_sentence, mends, quality_findings, shown_findings, table_shapes
from ihc.schemas.tables import Tables, check_tables

EMPTY = Tables(sessions(), conversions(), costs())
CLEAN = Tables(ODD_SHOP.sessions.iloc[:1], conversions([("k", "u", "2023-09-01 10:00:09", 1.0)]), costs([("a", 1.0)]))


def test_shapes_give_rows_users_days_and_sums():
    expected = pd.DataFrame(
        {
            "table": ["session_sources", "conversions", "session_costs"],
            "rows": [6, 6, 6],
            "users": pd.array([3, 3, None], dtype="Int64"),
            "first_day": ["2023-09-01", "2023-09-02", ""],
            "last_day": ["2023-09-06", "2023-09-02", ""],
            "sum": [np.nan, 103.0, 11.25],
        }
    )
    assert_frame_equal(table_shapes(ODD_SHOP), expected)
    nothing = expected.assign(rows=0, users=pd.array([0, 0, None], dtype="Int64"), first_day="", last_day="")
    assert_frame_equal(table_shapes(EMPTY), nothing.assign(sum=[np.nan, 0, 0]), check_dtype=False)


def test_each_finding_has_its_count_amount_share_and_examples():
    whole = findings(ODD_SHOP)
    assert whole["count"].gt(0).tolist() == sorted(whole["count"].gt(0), reverse=True)
    assert shown_findings(whole)["finding"].iloc[0] == "2 orders without a session (untracked orders)"
    assert mends(whole)["check"].tolist() == list(ODD_FINDINGS)
    assert not whole["mend"].str.contains("DELETE|DROP").any()
    found = whole[whole["count"] > 0].set_index("check")
    for check, expected in ODD_FINDINGS.items():
        row = tuple(found.loc[check, ["count", "amount", "of", "share", "examples"]])
        np.testing.assert_equal(row, expected)
    assert (found[["consequence", "aim", "mend"]] != "").all(axis=None)


def test_the_statement_of_a_finding_fixes_it_or_lists_its_rows():
    found = mends(findings(ODD_SHOP))
    is_list = found["mend"].map(is_listing)
    for _, row in found[is_list].iterrows():
        assert row["aim"] == "To list them"
        assert some(listed(ODD_SHOP, row["mend"])) == row["examples"]
    others = found[~is_list].set_index("check")["mend"]
    after = mended(ODD_SHOP, *others)
    assert [check for check in others.index if finding(after, check)] == [REFUNDS]  # of which a column alone was added
    assert "refund_of" in after.conversions


def test_a_shop_without_revenue_and_channels_without_costs_are_not_reported():
    leads = ODD_SHOP._replace(conversions=ODD_SHOP.conversions.assign(revenue=0.0))
    assert finding(leads, "orders with revenue 0") is None
    free = ODD_SHOP.sessions.assign(channel_name=["A", "A", "A", "B", "B", "B"])
    paid = costs([("a", 1.0), ("b", 1.0)])
    assert finding(Tables(free, ODD_SHOP.conversions, paid), "sessions without a cost row")["examples"] == "'c'"


def test_any_blank_channel_name_gets_a_name():
    blanks = pd.array(["Mail", "", "\t", "\u00a0", " \n", " "], dtype="str")
    tables = ODD_SHOP._replace(sessions=ODD_SHOP.sessions.assign(channel_name=blanks))
    found = finding(tables, "sessions with a blank channel name")
    assert (found["count"], found["aim"]) == (5, "To name their channel (none)")
    assert mended(tables, found["mend"]).sessions["channel_name"].tolist() == ["Mail", *["(none)"] * 5]


def test_a_refund_that_names_its_order_is_not_reported():
    named = ODD_SHOP.conversions.assign(refund_of=["", "k", None, None, None, "nobody's"])
    assert finding(ODD_SHOP._replace(conversions=named), REFUNDS) is None
    others = named.assign(refund_of=["", "gone", None, None, None, "k"])  # no order, and another user's
    assert finding(ODD_SHOP._replace(conversions=others), REFUNDS)["count"] == 2
    unnamed = finding(ODD_SHOP._replace(conversions=named.assign(refund_of=" ")), REFUNDS)
    assert (unnamed["count"], unnamed["mend"]) == (2, "Set refund_of to the conv_id of the refunded order.")


def test_orders_in_another_currency_are_reported_and_converted_by_rates():
    orders = conversions(
        [(name, "u", "2023-09-02 12:00:09", amount) for name, amount in zip("klmn", (100, 50, 10_000, 1), strict=True)]
    ).assign(Currency=["EUR", "EUR ", "JPY", None])
    tables = ODD_SHOP._replace(conversions=orders)
    found = finding(tables, "orders in another currency")
    assert found["finding"] == "1 order in another currency than most: 'JPY' instead of 'EUR'"
    assert (found["examples"], found["amount"], found["share"]) == ("'m'", 10_000.0, 10_000 / 10_151)
    after = mended(tables, found["mend"], rate_1=0.006)
    assert after.conversions["revenue"].tolist() == [100, 50, 60, 1]
    assert finding(after, "orders in another currency") is None


def test_impressions_are_reported_as_unverified():
    flagged = ODD_SHOP.sessions.assign(impression_interaction=[1, 0, 0, 0, 0, 0])
    tables = ODD_SHOP._replace(sessions=flagged.astype(ODD_SHOP.sessions.dtypes))
    found = finding(tables, "sessions that are impressions")
    assert (found["examples"], found["amount"], found["share"]) == ("'a'", 4.0, 4 / 11.25)
    assert "how the API treats impressions is unverified" in found["consequence"]
    assert listed(tables, found["mend"]) == ["a"]


def test_a_clean_shop_has_all_checks_and_no_findings():
    found = quality_findings(CLEAN)
    assert found["count"].sum() == 0
    assert shown_findings(found).empty
    assert mends(found).empty
    assert clean_sentence(found).startswith(f"{len(found)} checks found nothing: orders without a session")


def test_channels_that_differ_only_by_case_blanks_punctuation_and_normal_form_are_variants():
    counts = {"Social Paid": 1, "Social - Paid": 2, "google_ads": 3, "Google Ads": 1, "caf\u00e9": 2, "cafe\u0301": 2}
    counts |= {"Affiliate": 1, "Affiliates": 1, "Straße": 1, "STRASSE": 4, "1": 1, "1.0": 1, "": 1, " ": 1, "-": 1}
    counts |= {"कि": 1, "का": 1, "Mail 🔥": 1, "Mail 💧": 1}  # vowels that are marks, and pictures
    assert channel_variants(pd.Series(counts)) == {
        "STRASSE": "STRASSE",
        "google_ads": "google_ads",
        "Social - Paid": "Social - Paid",
        "caf\u00e9": "caf\u00e9",
        "cafe\u0301": "caf\u00e9",
        "Google Ads": "google_ads",
        "Social Paid": "Social - Paid",
        "Straße": "STRASSE",
    }


def test_special_channel_names_are_quoted_in_statements():
    names = [*UNTRUSTED, *(f"{name}!" for name in UNTRUSTED)]
    visits = sessions([(f"s{number}", "u", "2023-09-01 10:00:07", name) for number, name in enumerate(names)])
    tables = Tables(visits, conversions(), costs())
    found = finding(tables, CHANNELS)
    assert found["count"] == len(names)
    assert found["mend"].isprintable()
    assert finding(mended(tables, found["mend"]), CHANNELS) is None


@FEW
@given(shops(), st.integers(0, 99))
def test_row_order_is_irrelevant(shop, seed):
    again = Tables(*(shuffled(frame, seed) for frame in shop))
    columns = ["check", "count", "amount", "share"]
    assert_frame_equal(quality_findings(again)[columns], quality_findings(shop)[columns])


@pytest.mark.parametrize("unknown", [None, ""])
def test_sessions_and_orders_without_a_user_are_counted_and_listed(unknown):
    visits = sessions([("a", "u", "2023-09-01 10:00:07", "Ads"), ("b", unknown, "2023-09-01 10:00:07", "Ads")])
    orders = conversions([("k", unknown, "2023-09-02 10:00:07", 30.0), ("l", unknown, "2023-09-02 10:00:09", 30.0)])
    orders = pd.concat([orders, conversions([("back", unknown, "2023-09-03 10:00:07", -5.0)])], ignore_index=True)
    tables = check_tables(visits, orders.assign(refund_of=[None, None, "k"]), costs([("a", 1.0), ("b", 4.0)]))
    raw = Tables(visits, orders.assign(refund_of=[None, None, "k"]), tables.costs)  # as stored
    buyers, visitors = finding(tables, "orders without a user"), finding(tables, "sessions without a user")
    assert (buyers["count"], buyers["amount"], listed(raw, buyers["mend"])) == (2, 60.0, ["k", "l"])
    assert (visitors["count"], visitors["amount"], listed(raw, visitors["mend"])) == (1, 4.0, ["b"])
    untracked = finding(tables, "orders without a session")
    assert (untracked["count"], listed(raw, untracked["mend"])) == (2, ["k", "l"])
    assert finding(tables, "refunds without")["amount"] == -5.0  # it is not known whose order it refunds
    for check in ("orders of the same user", "user ids", "orders whose user id differs"):
        assert finding(tables, check) is None


def test_there_is_no_check_for_users_if_every_row_has_one():
    names = quality_findings(ODD_SHOP)["check"]
    assert not names.str.endswith("without a user").any()
