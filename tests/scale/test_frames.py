import dask
import dask.dataframe as dd
import pandas as pd
import pytest
from helpers.frames import FIXED, conversions, costs, curves_of, sessions, shops, shops_without_some_users
from helpers.scaling import GIVES, TIES, assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from ihc.analysis.reporting import channel_reporting as in_one_pass
from ihc.errors import InputError
from ihc.journeys.build import build_journeys
from ihc.models.ihc import attribute
from ihc.scale import frames as dask_frames
from ihc.scale.frames import by_user, channel_reporting, costs_by_user, credits, journeys

CURVES = curves_of()
PAIR = ["conv_id", "session_id"]


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads"):
        yield


def spread(shop, parts, partitions=2):
    visits, orders, prices = (dd.from_pandas(frame, npartitions=partitions) for frame in shop)
    return by_user(visits, parts), by_user(orders, parts), costs_by_user(prices, visits, parts)


@settings(FIXED, max_examples=3)
@given(st.one_of(shops(), shops_without_some_users()), st.integers(1, 4), st.sampled_from([None, GIVES]))
def test_any_shop_in_any_partitions_equals_a_single_pass(shop, parts, rules):
    visits, orders, prices = spread(shop, parts)
    found = journeys(visits, orders, end_date="2023-09-04", lookback_days=3)
    expected = build_journeys(*shop[:2], end_date="2023-09-04", lookback_days=3)
    assert_same_bits(own(found.compute()), expected, PAIR)
    credited = credits(found, CURVES, rules)
    assert_same_bits(own(credited.compute()), attribute(expected, CURVES, rules), PAIR)
    reporting = channel_reporting(visits, orders, prices, credited).compute()
    pd.testing.assert_frame_equal(reporting, in_one_pass(*shop, attribute(expected, CURVES, rules)), check_exact=True)


def own(frame):
    return dask_frames.own_types(frame).reset_index(drop=True)


def test_each_user_is_in_one_partition_the_same_of_both_tables():
    visits, orders, _ = spread(TIES, 5)
    places = {}
    for table in (visits, orders):
        for number in range(5):
            for user in table.partitions[number].compute()["user_id"]:
                places.setdefault(user, set()).add(number)
    assert {len(own) for own in places.values()} == {1}
    assert places.keys() == {"u", "v", "w", "x"}


def test_rows_without_a_user_are_spread_and_costs_follow_their_session():
    count = 40
    visits = sessions([(f"s{number}", None, "2023-09-01 10:00:00", "Mail") for number in range(count)])
    orders = conversions([(f"k{number}", None, "2023-09-01 10:00:00", 1.0) for number in range(count)])
    paid = costs([(f"s{number}", 1.0) for number in range(count)])
    parts = [frame.partitions for frame in spread((visits, orders, paid), 4)]
    for number in range(4):
        visit, order, price = (frame[number].compute() for frame in parts)
        assert 0 < len(visit) < count / 2
        assert 0 < len(order) < count / 2
        assert set(price["session_id"]) == set(visit["session_id"])
        assert visit["user_id"].isna().all()


def test_meta_says_what_a_partition_is():
    visits, orders, prices = spread(TIES, 2)
    for frame in (visits, prices, journeys(visits, orders), credits(journeys(visits, orders), CURVES)):
        assert frame._meta.dtypes.to_dict() == frame.partitions[0].compute().dtypes.to_dict()


def test_many_partial_sums_are_added_in_steps(monkeypatch):
    monkeypatch.setattr(dask_frames, "AT_ONCE", 2)
    visits, orders, prices = spread(TIES, 5)
    credited = credits(journeys(visits, orders), CURVES)
    expected = in_one_pass(*TIES, attribute(build_journeys(*TIES[:2]), CURVES))
    pd.testing.assert_frame_equal(
        channel_reporting(visits, orders, prices, credited).compute(), expected, check_exact=True
    )


def test_frames_with_other_numbers_of_partitions_are_refused():
    with pytest.raises(InputError, match="The frames have 2, 3 partitions"):
        journeys(spread(TIES, 2)[0], spread(TIES, 3)[1])


def test_missing_columns_are_refused():
    visits, orders, prices = spread(TIES, 2)
    with pytest.raises(InputError, match="lacks the column 'user_id'"):
        by_user(prices, 2)
    with pytest.raises(InputError, match="lacks the column 'channel_name'"):
        journeys(visits.drop(columns="channel_name"), orders)


@pytest.mark.parametrize(
    "visits",
    [
        # Ids that are numbers in one table and text in the other, categories, and a column name that Dask uses itself.
        TIES.sessions.assign(session_id=range(5), part=9).astype({"channel_name": "category"}),
        TIES.sessions.assign(session_id=range(5)).set_index(pd.Index(range(50, 55), name="part")),
    ],
    ids=["columns", "an index"],
)
def test_other_names_and_types_equal_a_single_pass(visits):
    shop = TIES._replace(sessions=visits, costs=TIES.costs.assign(session_id=["1", "0", "2", "77", "4"]))
    visits, orders, prices = spread(shop, 3)
    found = channel_reporting(visits, orders, prices, credits(journeys(visits, orders), CURVES)).compute()
    plain = shop.sessions.reset_index(drop=True).astype({"session_id": "str", "channel_name": "str"})
    expected = in_one_pass(plain, *shop[1:], attribute(build_journeys(plain, shop.conversions), CURVES))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_dates_that_are_no_texts_are_refused_as_in_one_pass():
    visits, orders, _ = spread(TIES._replace(sessions=TIES.sessions.astype({"event_date": "datetime64[us]"})), 3)
    with pytest.raises(InputError, match="Columns event_date and event_time must be texts"):
        journeys(visits, orders).compute()
