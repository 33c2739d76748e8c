"""Builders for literal frames, and random shops for property tests."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ihc.models.parameters import Parameters, parse_parameters
from ihc.schemas.tables import COLUMNS, CONVERSIONS, COSTS, FLAGS, JOURNEYS, SESSIONS, Tables

FIXED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
FEW = settings(FIXED, max_examples=10)
ORIGIN = pd.Timestamp("2023-09-01 00:00:00")
OUTCOMES = ("conv_id", "outcome", "reason")

# Names found in real shops or in manipulated tracking links.
UNTRUSTED = [
    "<script>alert(1)</script>",
    "=cmd()",
    "$x_1$",
    "بحث مدفوع",
    "two\nlines",
    "\"double\" & 'single'",
    "back\x08space",
    "x" * 200,
]


def sessions(rows: Iterable[Sequence[Any]] = ()) -> pd.DataFrame:
    """`(session_id, user_id, "YYYY-MM-DD HH:MM:SS", channel_name[, holder, closer])`; flags are 1 unless given."""
    full = [(*row, 1, 1)[:6] if len(row) == 4 else tuple(row) for row in rows]
    return _typed(
        [(key, user, *at.split(" "), channel, *flags, 0) for key, user, at, channel, *flags in full], COLUMNS[SESSIONS]
    )


def conversions(rows: Iterable[Sequence[Any]] = ()) -> pd.DataFrame:
    """`(conv_id, user_id, "YYYY-MM-DD HH:MM:SS", revenue)`."""
    return _typed([(key, user, *at.split(" "), revenue) for key, user, at, revenue in rows], COLUMNS[CONVERSIONS])


def refunds(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """`(conv_id, user_id, "YYYY-MM-DD HH:MM:SS", revenue, refund_of)`; None refunds no order."""
    rows = list(rows)
    return conversions(row[:4] for row in rows).assign(refund_of=pd.array([row[4] for row in rows], dtype="str"))


def clock_change():
    """Sessions and an order in the hour of 2025-10-26 that comes twice in Berlin, with their moments in UTC.

    Summer time ends at 01:00 UTC: 02:30 is 00:30 UTC the first time and 01:30 UTC the second. The order is at 02:15 the
    second time, 01:15 UTC, 45 minutes after session a and before session b. Session c is on the same local day, which
    is the day before in UTC.
    """
    visits = sessions(
        [
            ("a", "u", "2025-10-26 02:30:00", "Search"),
            ("b", "u", "2025-10-26 02:30:00", "Mail"),
            ("c", "u", "2025-10-26 00:30:00", "Social"),
        ]
    )
    orders = conversions([("k", "u", "2025-10-26 02:15:00", 90.0)])
    return (
        visits.assign(event_utc=["2025-10-26 00:30:00", "2025-10-26 01:30:00", "2025-10-25 22:30:00"]),
        orders.assign(conv_utc=["2025-10-26 01:15:00"]),
    )


def costs(rows: Iterable[Sequence[Any]] = ()) -> pd.DataFrame:
    """`(session_id, cost)`; None is a NULL cost."""
    return _typed(rows, COLUMNS[COSTS])


def spend(rows: Iterable[Sequence[Any]] = ()) -> pd.DataFrame:
    """`(date, channel_name, campaign, cost)`, the table `channel_costs`; a campaign and a cost can be None."""
    frame = pd.DataFrame(rows, columns=["date", "channel_name", "campaign", "cost"])
    return frame.astype({"date": "str", "channel_name": "str", "campaign": "str", "cost": "float64"})


def credits_of(rows: Iterable[Sequence[Any]] = ()) -> pd.DataFrame:
    """`(conv_id, session_id, ihc)`."""
    return _typed(rows, ("conv_id", "session_id", "ihc"))


def outcomes(rows: Iterable[Sequence[Any]] = ()) -> pd.DataFrame:
    """`(conv_id, outcome)`."""
    return _typed([(*row, "") for row in rows], OUTCOMES)


def journey(*steps: Sequence[Any], conv_id: str = "k", revenue: float = 100.0, prefix: str = "s") -> pd.DataFrame:
    """One journey with sessions s1, s2, ...; a step is `(hours since the origin, channel_name, holder, closer)`."""
    times = [ORIGIN + pd.Timedelta(hours=step[0]) for step in steps]
    rows = [
        (
            conv_id,
            f"{prefix}{number}",
            f"user of {conv_id}",
            at,
            channel,
            holder,
            closer,
            0,
            number == len(steps),
            max(times),
            revenue,
        )
        for number, (at, (_, channel, holder, closer)) in enumerate(zip(times, steps, strict=True), start=1)
    ]
    return _typed(rows, JOURNEYS)


def converting(*paths: str) -> pd.DataFrame:
    """One journey per path of channels, written like "ABA"."""
    parts = [
        journey(*[(hour, name, 1, 1) for hour, name in enumerate(path)], conv_id=f"k{number}", prefix=f"k{number}s")
        for number, path in enumerate(paths)
    ]
    return pd.concat(parts, ignore_index=True) if parts else journey((0, "A", 1, 1)).iloc[:0]


def idle(*paths: str) -> pd.DataFrame:
    """One user without a conversion per path."""
    rows = [
        (f"u{number}", f"u{number}s{hour}", ORIGIN + pd.Timedelta(hours=hour), name)
        for number, path in enumerate(paths)
        for hour, name in enumerate(path)
    ]
    return pd.DataFrame(rows, columns=["user_id", "session_id", "timestamp", "channel_name"])


def curves_of(
    *,
    initializer: tuple[list[float], list[float]] = ([0, 10, 110], [0, 0, 1]),
    closer: tuple[list[float], list[float]] = ([0, 100], [1, 0]),
    phases: tuple[float, float, float] = (0.2, 0.5, 0.3),
    channels: dict[str, dict[str, float]] | None = None,
) -> Parameters:
    """Parameters with simple curves: m_I(60 h) = m_C(50 h) = 1/2; channels have weight 1 unless given."""
    curves = {"initializer": initializer, "closer": closer}
    names = ("initializer", "holder", "closer")
    return parse_parameters(
        {
            "name": "by hand",
            **{name: {"hours": list(hours), "membership": list(values)} for name, (hours, values) in curves.items()},
            "phase_weights": dict(zip(names, phases, strict=True)),
            "channel_weights": {name: (channels or {}).get(name, {}) for name in names},
            "provenance": {},
        }
    )


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows in another order, with their index."""
    return frame.sample(frac=1, random_state=seed)


def _typed(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    numbers = {"revenue", "cost", "ihc"}
    moments = {"timestamp", "conv_timestamp"}
    whole = {*FLAGS, "conversion"}
    kinds = {
        name: "float64"
        if name in numbers
        else "datetime64[us]"
        if name in moments
        else "int8"
        if name in whole
        else "str"
        for name in columns
    }
    return pd.DataFrame(list(rows), columns=list(columns)).astype(kinds)


CHANNELS = ("Search", "Social", "Mail")
_flag = st.integers(0, 1)


@st.composite
def journeys(draw: st.DrawFn, most: int = 4, step_hours: int = 1) -> pd.DataFrame:
    """Up to `most` journeys of one to five sessions, hours apart, some at the same time."""
    step = st.tuples(st.integers(0, 250).map(lambda hour: hour * step_hours), st.sampled_from(CHANNELS), _flag, _flag)
    parts = [
        journey(*draw(st.lists(step, min_size=1, max_size=5)), conv_id=f"k{number}", revenue=draw(amounts()))
        for number in range(draw(st.integers(1, most)))
    ]
    return pd.concat(parts, ignore_index=True)


def amounts(least: int = -20_000, most: int = 900_000) -> st.SearchStrategy[float]:
    """Money with three decimals, so that cents must be rounded."""
    return st.integers(least, most).map(lambda mills: mills / 1000)


def moments() -> st.SearchStrategy[str]:
    """A time within five days, coarse enough for ties between sessions and orders."""
    return st.builds(
        "2023-09-0{} {:02d}:{:02d}:00".format, st.integers(1, 5), st.integers(0, 23), st.sampled_from([0, 30])
    )


@st.composite
def shops(draw: st.DrawFn) -> Tables:
    """A small shop: users with sessions and orders, costs of some sessions, and costs of sessions that do not exist."""
    user = st.sampled_from(["u1", "u2", "u3"])
    visit = st.tuples(user, moments(), st.sampled_from(CHANNELS), _flag, _flag)
    order = st.tuples(user, moments(), amounts())
    visits = [(f"s{number}", *row) for number, row in enumerate(draw(st.lists(visit, max_size=12)))]
    orders = [(f"k{number}", *row) for number, row in enumerate(draw(st.lists(order, max_size=6)))]
    ids = [row[0] for row in visits] + ["gone1", "gone2"]
    paid = draw(st.lists(st.sampled_from(ids), unique=True))
    prices = [(key, draw(st.one_of(st.none(), amounts(0, 50_000)))) for key in paid]
    return Tables(sessions(visits), conversions(orders), costs(prices))


@st.composite
def shops_with_refunds(draw: st.DrawFn) -> Tables:
    """A small shop in which some negative rows refer to an order: of their user, of another user, or a missing one."""
    shop = draw(shops())
    orders = shop.conversions
    ids = [*orders.loc[orders["revenue"] >= 0, "conv_id"], "gone"]
    named = [draw(st.sampled_from([None, *ids])) if revenue < 0 else None for revenue in orders["revenue"]]
    return shop._replace(conversions=orders.assign(refund_of=pd.array(named, dtype="str")))


@st.composite
def shops_without_some_users(draw: st.DrawFn) -> Tables:
    """A small shop with refunds in which some sessions and orders have no user."""
    sessions, conversions, costs = draw(shops_with_refunds())
    unknown = st.booleans()
    named = [
        frame.assign(user_id=frame["user_id"].mask(pd.Series([draw(unknown) for _ in frame.index], dtype="bool")))
        for frame in (sessions, conversions)
    ]
    return Tables(*named, costs)


def windows() -> st.SearchStrategy[tuple[str | None, str | None]]:
    """A first and last day around those of `shops`; either or both may be None; never reversed."""
    day = st.one_of(st.none(), st.builds("2023-09-0{}".format, st.integers(1, 6)))
    return st.tuples(day, day).filter(lambda days: None in days or days[0] <= days[1])
