"""Channel reporting: cost, credit, CPO and ROAS per channel and day, always as ratios of sums."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ihc.arrays.lookup import (
    PAIR,
    are_equal,
    distinct_pairs,
    factorize,
    get_indexer,
    get_pair_indexer,
    isin,
    join,
    lookup,
)
from ihc.arrays.sums import sum_by, sums_of, total
from ihc.arrays.types import Booleans
from ihc.errors import InputError
from ihc.schemas.refunds import is_purchase, purchases
from ihc.schemas.spend import is_daily, without_session
from ihc.schemas.tables import (
    COLUMNS,
    CONVERSIONS,
    COSTS,
    CREDITS,
    EVENT,
    PHASES,
    SESSIONS,
    SHARES,
    Tables,
    inside,
    moments,
    plain_names,
    require_columns,
)

TOTAL = "Total"
DAILY, SUMS = ("channel_name", "date"), ("cost", "ihc", "ihc_revenue")
COUNTS = ("sessions", "influenced_conversions")
MATERIAL = 0.01  # the least share of all cost for a meaningful ROAS
NO_CREDIT = 1e-6  # [orders] a sum of credits below this counts as 0


def total_name(channels: pd.Series[str]) -> str:
    """Return the name of the total row; a longer one if a channel is itself called `Total`."""
    return f"{TOTAL} of all channels" if plain_names(channels).eq(TOTAL.casefold()).any() else TOTAL


def ratio(numerator: pd.Series[float], denominator: pd.Series[float]) -> pd.Series[float]:
    """Divide; NaN [shown as empty] if the denominator is 0."""
    return numerator / denominator.where(denominator != 0)


def with_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Add CPO = cost / ihc [currency per order] and ROAS = ihc_revenue / cost [1] to sums at any grain."""
    return frame.assign(CPO=ratio(frame["cost"], frame["ihc"]), ROAS=ratio(frame["ihc_revenue"], frame["cost"]))


def conversion_credits(sessions: pd.DataFrame, conversions: pd.DataFrame, credits: pd.DataFrame) -> pd.DataFrame:
    """Add channel, day and revenue to each credit.

    In: the tables and `credits` (`conv_id, session_id, ihc`). Out: `conv_id, session_id, visit [position of its row in
    sessions], channel_name, date [the session's], revenue [of the order or refund], ihc [orders; 0 for a refund],
    ihc_revenue [currency]`; a credit whose order or session is not in the tables is left out.
    """
    earned, is_there = _earnings(sessions, conversions, credits)
    visit = earned["visit"].to_numpy()
    columns = {name: credits[name].array if is_there.all() else credits[name].array[is_there] for name in PAIR}
    columns |= {"visit": visit, "channel_name": sessions["channel_name"].array.take(visit)}
    columns |= {"date": sessions["event_date"].array.take(visit)}
    return pd.DataFrame(columns | {name: earned[name] for name in ("revenue", "ihc", "ihc_revenue")}, copy=False)


def _earnings(
    sessions: pd.DataFrame, conversions: pd.DataFrame, credits: pd.DataFrame
) -> tuple[pd.DataFrame, Booleans]:
    """Return what each credit earns: `visit, revenue, ihc, ihc_revenue`, as in `conversion_credits`.

    Out: also which credits have a row: those whose order and session are in the tables.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    require_columns(credits, CREDITS, "credits")
    order = get_indexer(credits["conv_id"], conversions["conv_id"])
    visit = get_indexer(credits["session_id"], sessions["session_id"])
    share = credits["ihc"].to_numpy("float64")
    is_there = (order >= 0) & (visit >= 0)
    if not is_there.all():
        order, visit, share = order[is_there], visit[is_there], share[is_there]
    revenue = conversions["revenue"].to_numpy("float64")[order]
    counts = is_purchase(conversions)
    ihc = share if counts.all() else np.where(counts[order], share, 0.0)
    columns = {"visit": visit, "revenue": revenue, "ihc": ihc, "ihc_revenue": share * revenue}
    return pd.DataFrame(columns, copy=False), is_there


def shares_of(earned: pd.DataFrame) -> pd.Series[float]:
    """Return each row's share [1] of its order or refund. In: `conversion_credits`."""
    counts = is_purchase(earned)
    return earned["ihc"].where(counts, earned["ihc_revenue"] / earned["revenue"].where(~counts))


def exported_credits(tables: Tables, credits: pd.DataFrame, phases: pd.DataFrame) -> pd.DataFrame:
    """List the credit of each order by session, for export.

    In: the tables, `credits` (`conv_id, session_id, ihc`) and `phases` (`conv_id, session_id, initializer, holder,
    closer`), which may lack some credits. Out: `conv_id, session_id, channel_name, date [the session's], initializer,
    holder, closer, ihc [share], ihc_revenue [currency]`; orders as in `credits`, their sessions by time.
    """
    earned = conversion_credits(tables.sessions, tables.conversions, credits)
    at = moments(tables.sessions, EVENT).to_numpy()[earned["visit"]]
    earned = earned.take(np.lexsort((at, factorize(earned["conv_id"])))).reset_index(drop=True)
    rows = join(earned.assign(ihc=shares_of(earned)), phases, PHASES)
    columns = ["conv_id", "session_id", "channel_name", "date", *SHARES, "ihc_revenue"]
    return rows[columns].astype(dict.fromkeys(PAIR, "str"))


def influenced(credits: pd.DataFrame) -> pd.Series[int]:
    """Count the distinct orders with each channel in their journey. In: `conv_id, channel_name`. Out: by channel."""
    channel, names = pd.factorize(credits["channel_name"], sort=True)
    counts = np.bincount(distinct_pairs(factorize(credits["conv_id"]), channel)[1], minlength=len(names))
    return pd.Series(counts, index=pd.Index(names, name="channel_name", dtype="str"), name="conv_id")


def session_costs(sessions: pd.DataFrame, costs: pd.DataFrame) -> pd.Series[float]:
    """Return the cost [currency] of each session, with the index of `sessions`; 0 without a cost row."""
    require_columns(costs, COLUMNS[COSTS], "costs")
    if are_equal(sessions["session_id"], costs["session_id"]):
        return costs["cost"].astype("float64").fillna(0.0).set_axis(sessions.index)
    return lookup(sessions["session_id"], costs, "session_id", "cost").astype("float64").fillna(0.0)


def cost_without_session(sessions: pd.DataFrame, costs: pd.DataFrame) -> float:
    """Return the total cost [currency] of rows whose session does not exist; it has no channel or day."""
    is_stray = ~isin(costs["session_id"], sessions["session_id"]) & ~is_daily(costs)
    return total(costs.loc[is_stray, "cost"])


def visits_of(sessions: pd.DataFrame, costs: pd.DataFrame, earned: pd.DataFrame) -> pd.DataFrame:
    """Compute the cost and earnings of each session, the basis of all sums by channel and day.

    In: two of the tables, and `visit, ihc, ihc_revenue` of the `conversion_credits` of these sessions. Out: one row per
    row of `sessions`, with its index: `channel_name, date, cost [currency; 0 without a cost row], ihc [orders],
    ihc_revenue [currency]`, both NaN if no order gives the session credit, and `sessions [count]`, 1. Rows for daily
    spend without any session follow, as in `without_session`: they have 0 sessions and no credit.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    visit = earned["visit"].to_numpy("int64")
    has_credit = np.bincount(visit, minlength=len(sessions)) > 0
    ihc, revenue = sums_of(visit, [earned[name].to_numpy("float64") for name in ("ihc", "ihc_revenue")], len(sessions))
    visits = pd.DataFrame(
        {
            "channel_name": sessions["channel_name"],
            "date": sessions["event_date"],
            "cost": session_costs(sessions, costs),
            "ihc": np.where(has_credit, ihc, np.nan),
            "ihc_revenue": np.where(has_credit, revenue, np.nan),
            "sessions": np.ones(len(sessions), dtype="int8"),
        }
    )
    spend = without_session(costs)
    if spend.empty:
        return visits
    alone = pd.DataFrame(
        {
            "channel_name": spend["spend_channel"],
            "date": spend["spend_date"],
            "cost": spend["cost"],
            "ihc": np.nan,
            "ihc_revenue": np.nan,
            "sessions": np.zeros(len(spend), dtype="int8"),
        }
    )
    return pd.concat([visits, alone], ignore_index=True)


def renamed(visits: pd.DataFrame, earned: pd.DataFrame, names: pd.Series[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace the channel names of `visits_of` and `conversion_credits`. In: one name per row of `visits`."""
    visits = visits.assign(channel_name=names.array)
    return visits, earned.assign(channel_name=names.array.take(earned["visit"].to_numpy()))


def channel_reporting(
    sessions: pd.DataFrame, conversions: pd.DataFrame, costs: pd.DataFrame, credits: pd.DataFrame
) -> pd.DataFrame:
    """Sum cost, credit and attributed revenue per channel and day.

    Parameters
    ----------
    sessions : DataFrame
        The table of sessions: `session_id, user_id, event_date, event_time, channel_name, holder_engagement,
        closer_engagement, impression_interaction [0/1]`.
    conversions : DataFrame
        The table of conversions: `conv_id, user_id, conv_date, conv_time, revenue [currency]`.
    costs : DataFrame
        The table of costs: `session_id, cost [currency]`.
    credits : DataFrame
        The credits of an attribution engine: `conv_id, session_id, ihc [share]`.

    Returns
    -------
    DataFrame
        One row per channel and day with any session or spend: `channel_name, date [the sessions'], cost [currency; of
        all sessions of the channel and day, each once, and of daily spend], ihc [orders; Σ credit], ihc_revenue
        [currency; Σ credit x revenue]`. Refunds reduce `ihc_revenue` and do not count in `ihc`.

    Raises
    ------
    InputError
        For a missing column.

    See Also
    --------
    channel_summary : The totals per channel, with CPO and ROAS.

    """
    return by_channel_and_day(visits_of(sessions, costs, _earnings(sessions, conversions, credits)[0]))


def by_channel_and_day(visits: pd.DataFrame) -> pd.DataFrame:
    """Sum cost and earnings of sessions by channel and day. In: `visits_of`. Out: as `channel_reporting`."""
    return sum_by(visits, DAILY, SUMS)


def channel_summary(
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    costs: pd.DataFrame,
    credits: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Sum each channel over the days from `start_date` to `end_date`, with CPO and ROAS.

    Parameters
    ----------
    sessions : DataFrame
        The table of sessions: `session_id, user_id, event_date, event_time, channel_name, holder_engagement,
        closer_engagement, impression_interaction [0/1]`.
    conversions : DataFrame
        The table of conversions: `conv_id, user_id, conv_date, conv_time, revenue [currency]`.
    costs : DataFrame
        The table of costs: `session_id, cost [currency]`.
    credits : DataFrame
        The credits of an attribution engine: `conv_id, session_id, ihc [share]`.
    start_date, end_date : str or date, optional
        The days of the sessions [YYYY-MM-DD, inclusive]. Default: all days.

    Returns
    -------
    DataFrame
        One row per channel, highest `ihc_revenue` first, and the total last, see `total_name`: `channel_name,
        sessions [count], influenced_conversions [distinct orders with the channel in their journey], cost [currency],
        ihc [orders], ihc_revenue [currency], share_of_credit, share_of_cost [1], CPO [currency per order], ROAS [1]`.

    Raises
    ------
    InputError
        For a missing column or an invalid date.

    Notes
    -----
    CPO = Σ cost / Σ ihc and ROAS = Σ ihc_revenue / Σ cost, also in the total: ratios of sums, never means of ratios.
    They are NaN if the denominator is 0.

    Examples
    --------
    >>> import pandas as pd
    >>> import ihc
    >>> flags = {"holder_engagement": 1, "closer_engagement": 1, "impression_interaction": 0}
    >>> sessions = pd.DataFrame(
    ...     {
    ...         "session_id": ["s1", "s2"],
    ...         "user_id": "u",
    ...         "event_date": ["2023-09-01", "2023-09-02"],
    ...         "event_time": "12:00:00",
    ...         "channel_name": ["Search", "Mail"],
    ...     }
    ... ).assign(**flags)
    >>> conversions = pd.DataFrame(
    ...     {"conv_id": ["c"], "user_id": "u", "conv_date": "2023-09-02", "conv_time": "13:00:00", "revenue": 80.0}
    ... )
    >>> costs = pd.DataFrame({"session_id": ["s1", "s2"], "cost": [10.0, 5.0]})
    >>> credits = pd.DataFrame({"conv_id": "c", "session_id": ["s1", "s2"], "ihc": [0.75, 0.25]})
    >>> summary = ihc.channel_summary(sessions, conversions, costs, credits)
    >>> summary[["channel_name", "cost", "ihc", "ihc_revenue", "CPO", "ROAS"]]
      channel_name  cost   ihc  ihc_revenue        CPO      ROAS
    0       Search  10.0  0.75         60.0  13.333333  6.000000
    1         Mail   5.0  0.25         20.0  20.000000  4.000000
    2        Total  15.0  1.00         80.0  15.000000  5.333333

    """
    earned = conversion_credits(sessions, conversions, credits)
    return by_channel(visits_of(sessions, costs, earned), earned, start_date=start_date, end_date=end_date)


def by_channel(
    visits: pd.DataFrame,
    earned: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Sum by channel. In: `visits_of` and `conversion_credits` of the same sessions. Out: as `channel_summary`."""
    visits, earned = (rows[inside(rows["date"], start_date, end_date)] for rows in (visits, earned))
    orders = purchases(earned)["conv_id"].nunique()
    return summary_of(by_channel_and_day(visits), channel_counts(visits, earned), orders)


def channel_counts(visits: pd.DataFrame, earned: pd.DataFrame) -> pd.DataFrame:
    """Count sessions and orders. In: as `by_channel`. Out: `channel_name, sessions, influenced_conversions`."""
    counts = visits.groupby("channel_name")[["sessions"]].sum()
    counts["influenced_conversions"] = influenced(purchases(earned)).reindex(counts.index, fill_value=0)
    return counts.reset_index()


def summary_of(reporting: pd.DataFrame, counts: pd.DataFrame, orders: int) -> pd.DataFrame:
    """Sum each channel over its days.

    In: `channel_reporting` and `channel_counts` of the same days, and the number of distinct `orders` with any of these
    channels in their journey. Out: as `channel_summary`.
    """
    summary = counts.merge(sum_by(reporting, ["channel_name"], SUMS), on="channel_name")
    summary = summary.sort_values(["ihc_revenue", "cost", "channel_name"], ascending=[False, False, True])
    whole = {"sessions": summary["sessions"].sum(), "influenced_conversions": orders}
    whole |= {name: total(summary[name]) for name in SUMS}
    row = {"channel_name": total_name(summary["channel_name"]), **whole}
    summary = pd.concat([summary, pd.DataFrame([row])], ignore_index=True)
    return with_ratios(
        summary.astype(dict.fromkeys(COUNTS, "int64")).assign(
            share_of_credit=summary["ihc"] / (whole["ihc"] or np.nan),
            share_of_cost=summary["cost"] / (whole["cost"] or np.nan),
        )
    )


def material(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the channels that are material for ROAS: at least 1 % of all cost, highest cost first.

    In: `channel_summary`, the total in its last row. A channel with almost no cost can have a ROAS in the thousands.
    """
    channels = summary.iloc[:-1]
    return channels[channels["share_of_cost"] >= MATERIAL].sort_values("cost", ascending=False, kind="stable")


def model_comparison(journeys: pd.DataFrame, models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare attributed revenue per channel under each model.

    In: `journeys` and, by model name, `credits` (`conv_id, session_id, ihc`) of the same orders. Out: `channel_name`
    and one column per model [currency], highest revenue of the first model first. Raises InputError without a model.
    """
    if not models:
        raise InputError("model_comparison needs the credits of at least one model.")
    return compared(sum_by(model_revenue(journeys, models), ["channel_name"], list(models)))


def model_revenue(journeys: pd.DataFrame, models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compute the revenue of each session under each model.

    In: as `model_comparison`. Out: one row per row of `journeys`: `channel_name` and one column per model [currency];
    NaN if the model gives no credit.
    """
    columns = {"channel_name": journeys["channel_name"]}
    for name, credits in models.items():
        credit = pd.api.extensions.take(credits["ihc"].array, get_pair_indexer(journeys, credits), allow_fill=True)
        columns[name] = credit * journeys["revenue"]
    return pd.DataFrame(columns)


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Sort channels as in `model_comparison`: highest revenue of the first model first, then by name."""
    by = [table.columns[1], "channel_name"]
    return table.sort_values(by, ascending=[False, True], ignore_index=True)


def relative_to_first(comparison: pd.DataFrame) -> pd.DataFrame:
    """Express each model's revenue relative to the first model's.

    In: `model_comparison`. Out: the same rows and columns; the first model's revenue unchanged [currency], the others
    as the relative difference from it [1; 0.1 is 10 % more; NaN if the first is 0].
    """
    table = comparison.copy()
    first, *others = (name for name in comparison.columns if name != "channel_name")
    base = comparison[first]
    table[others] = (comparison[others].sub(base, axis="index")).div(base.abs().where(base != 0), axis="index")
    return table
