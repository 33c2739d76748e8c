"""Both engines with the same function; the API is the local engine's server over real sockets."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from helpers.faults import misbehaving
from helpers.frames import FIXED, conversions, journey, refunds, sessions, shops, shuffled
from hypothesis import given, settings
from pandas.testing import assert_frame_equal

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.errors import ApiKeyError, CeilingError, ConversionTypeError, InputError, OutageError
from ihc.journeys.build import build_journeys
from ihc.journeys.credits import check_credits, outcomes_of
from ihc.models.redistribution import DIRECTIONS, load_redistribution
from ihc.pipeline.attribution import compute_credits
from ihc.pipeline.sample import make_sample
from ihc.schemas.tables import PHASES
from ihc.settings.run import load_settings

KEY = "k3y-of-the-test"
COLUMNS = ["conv_id", "session_id", "initializer", "holder", "closer", "ihc"]
VISITS = sessions(
    [
        ("a", "u", "2023-09-01 10:00:00", "Search", 1, 0),
        ("b", "u", "2023-09-05 10:00:00", "Social", 1, 1),
        ("c", "u", "2023-09-06 10:00:00", "Mail", 0, 1),
        ("d", "v", "2023-09-06 11:00:00", "Search", 1, 1),
        ("e", "v", "2023-09-06 12:00:00", "Mail", 1, 1),
        ("f", "w", "2023-09-07 12:00:00", "Mail", 1, 1),
    ]
)
ORDERS = conversions(
    [
        ("k", "u", "2023-09-06 10:30:00", 30.0),
        ("l", "v", "2023-09-06 13:00:00", 20.0),
        ("m", "w", "2023-09-08 00:00:00", 1.0),
    ]
)
JOURNEYS = build_journeys(VISITS, ORDERS)  # k has a, b, c; l has d, e; m has f
LONG = pd.concat(
    [
        JOURNEYS,
        journey(*[(hour * 5, "Search", 1, 1) for hour in range(8)], conv_id="long", prefix="x"),
        journey(*[(hour * 5, "Mail", 1, 1) for hour in range(7)], conv_id="longer", prefix="y"),
    ],
    ignore_index=True,
)


@pytest.fixture(autouse=True)
def _bare(bare_environment):
    """Remove the settings of the environment in which the tests run."""


@pytest.fixture(scope="module")
def shop():
    """290 orders with 900 sessions: five requests of 200 sessions."""
    tables = make_sample(300, 2)
    return build_journeys(tables.sessions, tables.conversions)


@pytest.fixture
def database(tmp_path):
    create_tables(Database(tmp_path / "shop.db"))
    return tmp_path / "shop.db"


@pytest.fixture
def compute(database, monkeypatch):
    """Compute credits as a run on the database does, with settings from options and variables."""

    def compute(journeys, url="", engine="api", said=None, variables=None, orders=None, **options):
        with monkeypatch.context() as environment:
            environment.setenv("IHC_API_KEY", KEY)
            environment.setenv("IHC_API_URL", url)
            for name, value in (variables or {}).items():
                environment.setenv(name, value)
            settings = load_settings(base=database.parent, database=str(database), engine=engine, **options)
        orders = no_refunds(journeys) if orders is None else orders
        return compute_credits(settings, journeys, orders, ([] if said is None else said).append)

    return compute


def no_refunds(journeys):
    return journeys[["conv_id", "user_id", "revenue"]].drop_duplicates()


def assert_close(credits, others):
    assert_frame_equal(credits, others, check_exact=False, atol=0.0005, rtol=0)


def rows(database, query):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def asked_since(api, before):
    """Conversions requested more often than `before`."""
    return sorted((api.asked - before).elements())


def ends_of(result):
    return {row.conv_id: (row.outcome, row.reason) for row in result.outcomes.itertuples()}


def test_both_engines_give_the_same_frame_and_the_same_credits(compute, shop):
    with misbehaving() as (url, api):
        by_api = compute(shop, url)
    locally = compute(shop, engine="local")
    assert list(by_api.credits.columns) == list(locally.credits.columns) == COLUMNS
    assert_frame_equal(by_api.credits[["conv_id", "session_id"]], shop[["conv_id", "session_id"]])
    assert_close(by_api.credits, locally.credits)
    assert check_credits(by_api.credits, shop).empty
    assert by_api.outcomes.empty
    assert locally.outcomes.empty
    assert api.requests == 5


def redistribution_file(folder, *channels):
    """Write a redistribution with a different direction in each phase and a threshold in one; returns its path."""
    directions = dict(zip(PHASES, DIRECTIONS, strict=True))
    listed = {"redistribution_channel_labels": list(channels)}
    entries = {phase: {"direction": directions[phase], "receive_threshold": 0, **listed} for phase in PHASES}
    entries["holder"]["receive_threshold"] = 0.15
    path = folder / "redistribution.json"
    path.write_text(json.dumps(entries))
    return str(path)


def test_both_engines_redistribute_alike(compute, shop, tmp_path):
    options = {"redistribution": redistribution_file(tmp_path, *sorted(shop["channel_name"].unique())[:3])}
    with misbehaving() as (url, _):
        by_api = compute(shop, url, **options)
    locally = compute(shop, engine="local", **options)
    assert_close(by_api.credits, locally.credits)
    assert by_api.outcomes.empty
    assert locally.outcomes.empty
    without = compute(shop, engine="local").credits
    for name in ("initializer", "holder", "closer", "ihc"):
        assert (locally.credits[name] - without[name]).abs().max() > 0.1


@pytest.mark.parametrize("engine", ["local", "api"])
def test_both_engines_warn_about_a_listed_channel_that_never_occurs(compute, server, tmp_path, engine):
    path = redistribution_file(tmp_path, "Mail", "Search", "search")
    about = compute(JOURNEYS, server, engine=engine, redistribution=path).about
    fingerprint = load_redistribution(Path(path)).fingerprint
    assert f", redistribution {fingerprint}" in about
    assert about.endswith(
        "The redistribution has no effect for 1 of its 3 channels, because no session in these journeys has that "
        "channel name: search."
    )


@pytest.fixture(scope="module")
def server():
    with misbehaving() as (url, _):
        yield url


def test_the_order_of_the_answers_is_that_of_the_journeys(compute, server, shop):
    """Some answers are stored before, the others come from four parallel workers."""
    some = shop["conv_id"].unique()[100:200]
    compute(shop[shop["conv_id"].isin(some)], server)
    assert_frame_equal(compute(shop, server).credits[["conv_id", "session_id"]], shop[["conv_id", "session_id"]])


def test_the_engines_describe_themselves_in_a_sentence(compute, server):
    about = compute(JOURNEYS, server, conv_type_id="default").about
    host = server.split("/")[2]
    assert about == (
        f"The IHC Attribution API (conversion type default of {host}) attributes 3 orders; 0 of them were already "
        "answered."
    )
    assert "attributes 3 orders; 3 of them were already answered" in compute(JOURNEYS, server).about
    assert compute(JOURNEYS, engine="local").about.startswith("The local engine uses the parameters default (")


@pytest.mark.parametrize("engine", ["local", "api"])
def test_no_journeys_get_no_credits_in_the_same_columns_and_types(compute, server, engine):
    empty, full = compute(JOURNEYS.iloc[:0], server, engine), compute(JOURNEYS, server, engine)
    assert empty.credits.empty
    assert empty.outcomes.empty
    assert set(empty.outcomes.columns) == {"conv_id", "outcome", "reason"}
    assert empty.credits.dtypes.to_dict() == full.credits.dtypes.to_dict()


def test_without_journeys_no_request_is_sent(compute):
    with misbehaving() as (url, api):
        compute(JOURNEYS.iloc[:0], url)
    assert api.requests == 0


def test_journeys_are_left_alone(compute, server):
    before = JOURNEYS.copy(deep=True)
    for engine in ("local", "api"):
        compute(JOURNEYS, server, engine)
    assert_frame_equal(JOURNEYS, before)


def test_the_local_engine_needs_no_database(compute, database):
    database.unlink()
    assert len(compute(JOURNEYS, engine="local").credits) == 6
    assert not database.exists()


def test_progress_is_printed(compute, server):
    said = []
    compute(JOURNEYS, server, said=said)
    assert said == ["API: 1 request; 3 of 3 orders answered"]


def test_known_answers_need_no_request_and_no_server(compute, shop):
    with misbehaving() as (url, api):
        first = compute(shop, url)
        requests = api.requests
        again = compute(shop, url)
        assert api.requests == requests
    assert_frame_equal(again.credits, first.credits)
    assert "290 orders; 290 of them were already answered" in again.about
    assert_frame_equal(compute(shop, url, max_requests=0).credits, first.credits)


def with_session(column, value):
    changed = JOURNEYS.copy()
    changed.loc[changed["session_id"] == "d", column] = value
    return changed


LATE_SESSION = sessions([("late", "u", "2023-09-04 00:00:00", "Social", 1, 1)])
LATE_ORDER = conversions([("n", "w", "2023-09-09 00:00:00", 5.0)])
CHANGES = {
    "the channel of a session of l": (with_session("channel_name", "Direct"), ["l"]),
    "its moment": (with_session("timestamp", pd.Timestamp("2023-09-06 10:59:59")), ["l"]),
    "its flag": (with_session("holder_engagement", 0), ["l"]),
    "a session of k that arrives late": (build_journeys(pd.concat([VISITS, LATE_SESSION]), ORDERS), ["k"]),
    "an order that arrives late": (build_journeys(VISITS, pd.concat([ORDERS, LATE_ORDER])), ["n"]),
    "a lookback that takes a session from k": (build_journeys(VISITS, ORDERS, lookback_days=2), ["k"]),
    "a revenue": (JOURNEYS.assign(revenue=1.0), []),
    "fewer orders": (JOURNEYS[JOURNEYS["conv_id"] != "k"], []),
}


@pytest.mark.parametrize(("changed", "asked"), CHANGES.values(), ids=CHANGES)
def test_a_change_requests_its_conversion_only_and_undoing_it_requests_nothing(compute, changed, asked):
    with misbehaving() as (url, api):
        whole = compute(JOURNEYS, url)
        before = api.asked.copy()
        result = compute(changed, url)
        assert asked_since(api, before) == asked
        assert_frame_equal(compute(JOURNEYS, url).credits, whole.credits)
        assert_frame_equal(compute(changed, url).credits, result.credits)
        assert asked_since(api, before) == asked
    assert_close(result.credits, compute(changed, engine="local").credits)


def test_refresh_asks_for_everything_again(compute):
    with misbehaving() as (url, api):
        first = compute(JOURNEYS, url)
        again = compute(JOURNEYS, url, refresh=True)
        assert set(api.asked.values()) == {2}
        compute(JOURNEYS, url)
        assert set(api.asked.values()) == {2}
    assert_frame_equal(again.credits, first.credits)
    assert "3 orders; 0 of them were already answered" in again.about


def test_a_refresh_that_was_stopped_says_so(compute):
    with misbehaving() as (url, api):
        before = compute(JOURNEYS, url)
        after = compute(JOURNEYS, url, refresh=True, max_requests=0)
        assert api.requests == 1
        # The next refresh continues with what the first did not reach; the one after that starts again.
        halfway = compute(JOURNEYS[JOURNEYS["conv_id"] == "k"], url, refresh=True, max_requests=0)
        assert ends_of(halfway)["k"][0] == "credited"
        compute(JOURNEYS, url, refresh=True)
        assert set(api.asked.values()) == {2}
        compute(JOURNEYS, url, refresh=True)
        assert set(api.asked.values()) == {3}
    assert_frame_equal(after.credits, before.credits)
    assert (
        "3 orders keep their earlier credit because they were not sent again yet. The run reached the limit"
        in after.about
    )


def test_a_refresh_that_was_stopped_halfway_pays_for_nothing_twice(compute, shop):
    with misbehaving() as (url, api):
        compute(shop, url)
        first = compute(shop, url, refresh=True, max_requests=2)
        kept = sum(reason.startswith("it keeps its earlier answer") for _, reason in ends_of(first).values())
        assert 0 < kept < shop["conv_id"].nunique()
        second = compute(shop, url, refresh=True)
        assert set(api.asked.values()) == {2}
        assert second.outcomes.empty
        assert f"{shop['conv_id'].nunique() - kept} of them were already answered" in second.about


def test_fractions_of_a_second_do_not_matter_to_the_server(compute, server):
    """Session a is 0.5 s after b; the API receives whole seconds, and a is first by id."""
    visits = sessions([("b", "u", "2023-09-01 10:00:00.2", "Search"), ("a", "u", "2023-09-01 10:00:00.7", "Mail")])
    journeys = build_journeys(visits, conversions([("k", "u", "2023-09-01 10:00:01", 9.0)]))
    result = compute(journeys, server)
    assert result.outcomes.empty
    assert_close(result.credits, compute(journeys, engine="local").credits)


def test_another_conversion_type_does_not_take_the_answers_of_the_first(compute):
    with misbehaving() as (url, api):
        compute(JOURNEYS, url)
        with pytest.raises(ConversionTypeError):
            compute(JOURNEYS, url, conv_type_id="another")
        assert api.requests == 2


def test_a_long_journey_is_cut_to_its_latest_sessions_and_that_is_counted(compute):
    with misbehaving() as (url, api):
        result = compute(LONG, url, variables={"IHC_MAX_SESSIONS": "6"})
    assert api.most_sessions <= 6
    assert ends_of(result) == {
        "long": ("credited", "its journey was cut to the latest 6 of 8 sessions"),
        "longer": ("credited", "its journey was cut to the latest 6 of 7 sessions"),
    }
    assert "2 journeys exceeded the limit of the API and were cut to their latest sessions" in result.about
    kept = LONG.groupby("conv_id", sort=False).tail(6)
    assert result.credits["session_id"].tolist() == kept["session_id"].tolist()
    assert_close(result.credits, compute(kept, engine="local").credits)


def test_a_long_journey_that_was_cut_and_then_failed_has_one_end(compute):
    with misbehaving(lambda number, conversions: "400" if "long" in conversions else "") as (url, _):
        result = compute(LONG, url, variables={"IHC_MAX_SESSIONS": "6"})
    ends = ends_of(result)
    assert len(ends) == len(result.outcomes) == 2
    assert ends["long"][0] == "failed"
    assert ends["longer"][0] == "credited"
    orders = conversions([(key, "u", "2023-09-01 10:00:00", 1.0) for key in LONG["conv_id"].unique()])
    assert outcomes_of(orders, LONG, result.outcomes)["outcome"].tolist() == [*["credited"] * 3, "failed", "credited"]


def test_a_long_journey_can_be_skipped_and_fails_with_that_reason(compute):
    with misbehaving() as (url, api):
        result = compute(LONG, url, variables={"IHC_MAX_SESSIONS": "7", "IHC_LONG_JOURNEYS": "skip"})
    assert "long" not in api.asked
    assert ends_of(result) == {"long": ("failed", "its journey of 8 sessions exceeds IHC_MAX_SESSIONS, 7")}
    assert result.credits["conv_id"].unique().tolist() == ["k", "l", "m", "longer"]


def test_all_journeys_may_be_too_long(compute):
    with misbehaving() as (url, api):
        result = compute(LONG.iloc[6:], url, variables={"IHC_MAX_SESSIONS": "2", "IHC_LONG_JOURNEYS": "skip"})
    assert api.requests == 0
    assert result.credits.empty
    assert sorted(ends_of(result)) == ["long", "longer"]


def test_a_long_journey_can_end_the_run_before_anything_is_asked(compute):
    with misbehaving() as (url, api):
        with pytest.raises(InputError, match=r"2 journeys are longer than 6 sessions \(conv_id 'long', 'longer'\)"):
            compute(LONG, url, variables={"IHC_MAX_SESSIONS": "6", "IHC_LONG_JOURNEYS": "raise"})
        assert api.requests == 0


def test_the_local_engine_takes_journeys_of_any_length(compute):
    result = compute(LONG, engine="local", variables={"IHC_MAX_SESSIONS": "6", "IHC_LONG_JOURNEYS": "raise"})
    assert len(result.credits) == len(LONG)


def test_the_api_is_asked_once_for_an_order_and_its_refund(compute):
    visits = sessions([("s1", "u", "2024-05-01 09:00:00", "Ads"), ("s2", "u", "2024-05-01 10:00:00", "Mail")])
    orders = refunds([("k", "u", "2024-05-01 11:00:00", 9.0, None), ("r", "u", "2024-05-09 11:00:00", -9.0, "k")])
    with misbehaving() as (url, api):
        # Only the refund is in the period: its order is requested, but gets no credit itself.
        alone = compute(build_journeys(visits, orders, start_date="2024-05-09"), url, orders=orders)
        assert dict(api.asked) == {"k": 1}
        assert alone.credits["conv_id"].tolist() == ["r", "r"]
        both = compute(build_journeys(visits, orders), url, orders=orders)
        assert dict(api.asked) == {"k": 1}
        failed = compute(build_journeys(visits, orders), url, orders=orders, max_requests=0, refresh=True)
    of_order, of_refund = (both.credits[both.credits["conv_id"] == key].set_index("session_id") for key in ("k", "r"))
    assert_frame_equal(of_refund.drop(columns="conv_id"), of_order.drop(columns="conv_id"))
    assert_frame_equal(alone.credits.reset_index(drop=True), both.credits.tail(2).reset_index(drop=True))
    assert sorted(failed.outcomes["conv_id"]) == ["k", "r"]


def test_orders_beyond_the_request_limit_wait_and_the_next_run_continues(compute, shop):
    orders = no_refunds(shop)
    with misbehaving() as (url, api):
        first = compute(shop, url, max_requests=2)
        assert api.requests == 2
        answered = set(first.credits["conv_id"])
        assert answered == set(api.answered)
        ends = ends_of(first)
        assert set(ends) == set(orders["conv_id"]) - answered
        assert set(ends.values()) == {("waiting", "The run reached the limit of --max-requests.")}
        assert f"{len(ends)} orders wait for the next run: The run reached the limit" in first.about
        outcomes = outcomes_of(orders, shop, first.outcomes)["outcome"].value_counts().to_dict()
        assert outcomes == {"credited": len(answered), "waiting": len(ends)}
        second = compute(shop, url)
        assert set(api.answered.values()) == {1}
    assert second.outcomes.empty
    assert_close(second.credits, compute(shop, engine="local").credits)


def test_a_request_limit_reached_before_any_answer_is_an_error(compute):
    with misbehaving() as (url, api):
        with pytest.raises(CeilingError, match="limit of --max-requests"):
            compute(JOURNEYS, url, max_requests=0)
        assert api.requests == 0


def test_a_request_limit_with_answers_from_an_earlier_run_is_no_error(compute):
    with misbehaving() as (url, _):
        compute(JOURNEYS[JOURNEYS["conv_id"] == "l"], url)
        result = compute(JOURNEYS, url, max_requests=0)
    assert result.credits["session_id"].tolist() == ["d", "e"]
    assert {conv_id: outcome for conv_id, (outcome, _) in ends_of(result).items()} == {"k": "waiting", "m": "waiting"}


def test_a_key_that_is_refused_is_an_error_even_with_earlier_answers(compute):
    with misbehaving(lambda number, conversions: "403" if number else "") as (url, _):
        compute(JOURNEYS[JOURNEYS["conv_id"] == "l"], url)
        with pytest.raises(ApiKeyError):
            compute(JOURNEYS, url)


def test_a_conversion_that_the_api_refuses_fails_with_its_words_and_is_asked_again_apart(compute):
    with misbehaving(lambda number, conversions: "400" if "l" in conversions else "") as (url, api):
        result = compute(JOURNEYS, url)
        says = "The API rejected the request (400: Invalid value in a session)."
        assert ends_of(result) == {"l": ("failed", says)}
        assert result.credits["conv_id"].unique().tolist() == ["k", "m"]
        before = api.asked.copy()
        assert ends_of(compute(JOURNEYS, url)) == {"l": ("failed", says)}
        assert asked_since(api, before) == ["l"]


def test_an_answer_that_is_not_whole_fails_and_is_asked_again_only_on_request(compute):
    with misbehaving(lambda number, conversions: "" if number else "sums to two") as (url, api):
        first = compute(JOURNEYS, url)
        says = "the answer does not match the 3 sessions of the journey: it has 6"
        assert ends_of(first) == {"k": ("failed", says)}
        again = compute(JOURNEYS, url)
        assert api.requests == 1
        assert ends_of(again) == ends_of(first)
        refreshed = compute(JOURNEYS, url, refresh=True)
    assert refreshed.outcomes.empty
    assert_close(refreshed.credits, compute(JOURNEYS, engine="local").credits)


def test_an_answer_stays_if_requesting_it_again_fails(compute):
    with misbehaving(lambda number, conversions: "400" if number else "") as (url, _):
        first = compute(JOURNEYS, url)
        again = compute(JOURNEYS, url, refresh=True)
    assert_frame_equal(again.credits, first.credits)
    assert again.outcomes.empty


def test_a_request_takes_no_longer_than_the_settings_say(compute):
    with (
        misbehaving(wait=2) as (url, api),
        pytest.raises(OutageError, match=r"no complete response within 0\.5 s, the limit"),
    ):
        compute(JOURNEYS[JOURNEYS["conv_id"] == "m"], url, variables={"IHC_REQUEST_SECONDS": "0.5"})
    assert api.requests == 5


def test_requests_are_stored_with_the_id_of_their_run(compute, database, monkeypatch):
    monkeypatch.setenv("IHC_RUN_ID", "run-7")
    with misbehaving() as (url, _):
        compute(JOURNEYS, url)
    assert rows(database, "SELECT run_id, url, conv_type_id, conversions, sessions FROM api_requests") == [
        ("run-7", url, "default", 3, 6)
    ]


def test_the_order_of_the_conversions_changes_no_credit(compute, server, shop):
    ids = shuffled(shop["conv_id"].drop_duplicates(), 3)
    mixed = shop.set_index("conv_id").loc[ids].reset_index()
    result = compute(mixed, server).credits
    assert_frame_equal(result[["conv_id", "session_id"]], mixed[["conv_id", "session_id"]])
    assert_close(result, compute(mixed, engine="local").credits)


def test_both_engines_agree_on_any_shop(compute, server):
    @settings(FIXED, max_examples=15)  # each example uses a server
    @given(shops())
    def agree(shop):
        journeys = build_journeys(shop.sessions, shop.conversions)
        by_api, locally = compute(journeys, server), compute(journeys, engine="local")
        assert_close(by_api.credits, locally.credits)
        assert by_api.outcomes.empty
        assert locally.outcomes.empty
        assert check_credits(by_api.credits, journeys).empty

    agree()
