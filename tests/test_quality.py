import numpy as np
import pandas as pd
from frames import UNTRUSTED, conversions, costs, sessions
from pandas.testing import assert_frame_equal

from ihc.quality import channel_name_variants, quality_findings, table_shapes
from ihc.schemas import Tables

SHOP = Tables(
    sessions(
        [
            ("a", "u", "2023-09-01 10:00:00", "Paid Search"),
            ("b", "u", "2023-09-02 10:00:00", "paid search"),
            ("c", "v", "2023-09-03 10:00:00", "PaidSearch "),
            ("d", "v", "2023-09-04 10:00:00", " "),
            ("e", "x", "2023-09-05 10:00:00", "Mail"),
        ]
    ),
    conversions(
        [
            ("k", "u", "2023-09-02 12:00:00", 100.0),
            ("minus", "u", "2023-09-02 13:00:00", -4.0),
            ("free", "u", "2023-09-02 14:00:00", 0.0),
            ("lonely", "w", "2023-09-02 12:00:00", 5.5),
            ("early", "v", "2023-09-02 12:00:00", 2.5),
        ]
    ),
    costs([("a", 4.0), ("b", None), ("c", 1.25), ("e", 2.5), ("gone", 3.0), ("lost", 0.5)]),
)
EMPTY = Tables(sessions(), conversions(), costs())


def test_shapes_give_rows_users_days_and_sums():
    expected = pd.DataFrame(
        {
            "table": ["session_sources", "conversions", "session_costs"],
            "rows": [5, 5, 6],
            "users": pd.array([3, 3, None], dtype="Int64"),
            "first_day": ["2023-09-01", "2023-09-02", ""],
            "last_day": ["2023-09-05", "2023-09-02", ""],
            "sum": [np.nan, 104.0, 11.25],
        }
    )
    assert_frame_equal(table_shapes(SHOP), expected)


def test_shapes_of_empty_tables_have_no_days():
    shapes = table_shapes(EMPTY)
    assert shapes["rows"].tolist() == [0, 0, 0]
    assert shapes["first_day"].tolist() == ["", "", ""]
    np.testing.assert_array_equal(shapes["sum"], [np.nan, 0, 0])


def test_each_finding_has_its_count_amount_and_examples():
    found = quality_findings(SHOP).set_index("finding")
    expected = {
        "orders without any session": (2, 8.0, "'lonely', 'early'"),
        "orders with negative revenue": (1, -4.0, "'minus'"),
        "orders with revenue 0": (1, np.nan, "'free'"),
        "sessions without a cost row": (1, np.nan, "'d'"),
        "cost rows that are NULL": (1, np.nan, "'b'"),
        "cost rows whose session does not exist": (2, 3.5, "'gone', 'lost'"),
        "sessions in no journey": (3, 3.75, "'c', 'd', 'e'"),
        "channel names that differ only by case or spaces": (3, np.nan, "'Paid Search', 'PaidSearch ', 'paid search'"),
        "sessions with a blank channel name": (1, np.nan, "'d'"),
    }
    assert list(found.index) == list(expected)
    for finding, (count, amount, examples) in expected.items():
        np.testing.assert_equal(tuple(found.loc[finding, ["count", "amount", "examples"]]), (count, amount, examples))
    assert (found["consequence"] != "").all()


def test_a_clean_shop_has_the_same_rows_with_a_count_of_0():
    clean = Tables(SHOP.sessions.iloc[:1], conversions([("k", "u", "2023-09-01 10:00:00", 1.0)]), costs([("a", 1.0)]))
    found = quality_findings(clean)
    assert len(found) == 9
    assert found["count"].sum() == 0
    assert set(found["examples"]) == {""}


def test_empty_tables_have_no_findings():
    found = quality_findings(EMPTY)
    assert found["count"].tolist() == [0] * 9
    assert found["amount"].fillna(0).tolist() == [0] * 9


def test_long_and_many_ids_are_cut():
    visits = sessions([(f"{number}" * 30, "u", "2023-09-01 10:00:00", "Mail") for number in range(1, 6)])
    examples = quality_findings(Tables(visits, conversions(), costs())).set_index("finding")["examples"]
    assert examples["sessions in no journey"] == f"'{'1' * 23}…', '{'2' * 23}…', '{'3' * 23}…' and 2 more"


def test_channel_name_variants_are_those_that_differ_only_by_case_or_spaces():
    names = ["Mail", "mail", "M ail", "Search", "Straße", "STRASSE", *UNTRUSTED]
    visits = sessions([(str(number), "u", "2023-09-01 10:00:00", name) for number, name in enumerate(names)])
    assert channel_name_variants(visits) == ["M ail", "Mail", "STRASSE", "Straße", "mail"]


def test_the_tables_are_left_alone():
    before = [frame.copy(deep=True) for frame in SHOP]
    quality_findings(SHOP)
    table_shapes(SHOP)
    for frame, old in zip(SHOP, before, strict=True):
        assert_frame_equal(frame, old)
