"""Credit and cost per channel and day; CPO and ROAS, always as ratios of sums."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ihc.arrays.lookup import get_indexer, get_pair_indexer, isin, join, lookup
from ihc.arrays.sums import sum_by, sums, total
from ihc.errors import InputError
from ihc.schemas.refunds import is_purchase, purchases
from ihc.schemas.tables import (
    COLUMNS,
    CONVERSIONS,
    COSTS,
    CREDITS,
    PHASES,
    SESSIONS,
    SHARES,
    Tables,
    inside,
    plain_names,
    require_columns,
)

TOTAL = "Total"
DAILY, SUMS = ("channel_name", "date"), ("cost", "ihc", "ihc_revenue")
COUNTS = ("sessions", "influenced_conversions")
MATERIAL = 0.01  # the share of all cost from which a channel's ROAS says something
NO_CREDIT = 1e-6  # [orders] a sum of credits below this is a rounding of none


def total_name(channels: pd.Series[str]) -> str:
    """What the row of the total is called beside these channels: another name where one of them reads `Total`."""
    return f"{TOTAL} of all channels" if plain_names(channels).eq(TOTAL.casefold()).any() else TOTAL


def ratio(numerator: pd.Series[float], denominator: pd.Series[float]) -> pd.Series[float]:
    """Divide, and leave NaN [shown as empty] where the denominator is 0."""
    return numerator / denominator.where(denominator != 0)


def with_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Add CPO = cost / ihc [currency per order] and ROAS = ihc_revenue / cost [1] to sums of any grain."""
    return frame.assign(CPO=ratio(frame["cost"], frame["ihc"]), ROAS=ratio(frame["ihc_revenue"], frame["cost"]))


def conversion_credits(sessions: pd.DataFrame, conversions: pd.DataFrame, credits: pd.DataFrame) -> pd.DataFrame:
    """Say where and when each credit was earned.

    In: the tables and `credits` (`conv_id, session_id, ihc`).
    Out: `conv_id, session_id, visit [place of its row in sessions], channel_name, date [the session's], revenue [the
    order's or refund's], ihc [orders; 0 of a refund], ihc_revenue [currency]`; a credit whose order or session is not
    in the tables has no row.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    require_columns(credits, CREDITS, "credits")
    order = get_indexer(credits["conv_id"], conversions["conv_id"])
    visit = get_indexer(credits["session_id"], sessions["session_id"])
    is_there = (order >= 0) & (visit >= 0)
    earned = credits.loc[is_there, list(CREDITS)].reset_index(drop=True)
    order, visit = order[is_there], visit[is_there]
    revenue = conversions["revenue"].take(order).to_numpy()
    counts = is_purchase(conversions)[order]
    return pd.DataFrame(
        {
            "conv_id": earned["conv_id"],
            "session_id": earned["session_id"],
            "visit": visit,
            "channel_name": sessions["channel_name"].array.take(visit),
            "date": sessions["event_date"].array.take(visit),
            "revenue": revenue,
            "ihc": earned["ihc"].where(counts, 0.0),
            "ihc_revenue": earned["ihc"] * revenue,
        }
    )


def shares_of(earned: pd.DataFrame) -> pd.Series[float]:
    """The share [1] of its order or refund that each row of `conversion_credits` has."""
    counts = is_purchase(earned)
    return earned["ihc"].where(counts, earned["ihc_revenue"] / earned["revenue"].where(~counts))


def exported_credits(tables: Tables, credits: pd.DataFrame, phases: pd.DataFrame) -> pd.DataFrame:
    """List each order's credit, session by session.

    In: the tables, `credits` (`conv_id, session_id, ihc`) and `phases` (`conv_id, session_id, initializer, holder,
    closer`), of which not every credit needs to have any.
    Out: `conv_id, session_id, channel_name, date [the session's], initializer, holder, closer, ihc [share],
    ihc_revenue [currency]`, in the order of `credits`.
    """
    earned = conversion_credits(tables.sessions, tables.conversions, credits)
    rows = join(earned.assign(ihc=shares_of(earned)), phases, PHASES)
    return rows[["conv_id", "session_id", "channel_name", "date", *SHARES, "ihc_revenue"]]


def influenced(credits: pd.DataFrame) -> pd.Series[int]:
    """Count the distinct orders with each channel in their journey. In: `conv_id, channel_name`; out: by channel."""
    return credits.groupby("channel_name")["conv_id"].nunique()


def session_costs(sessions: pd.DataFrame, costs: pd.DataFrame) -> pd.Series[float]:
    """The cost [currency] of each session, in the order and with the index of `sessions`; 0 where it has none."""
    require_columns(costs, COLUMNS[COSTS], "costs")
    return lookup(sessions["session_id"], costs, "session_id", "cost").astype("float64").fillna(0.0)


def cost_without_session(sessions: pd.DataFrame, costs: pd.DataFrame) -> float:
    """The cost [currency] of all rows of `costs` whose session does not exist: it has neither channel nor day."""
    return total(costs.loc[~isin(costs["session_id"], sessions["session_id"]), "cost"])


def visits_of(sessions: pd.DataFrame, costs: pd.DataFrame, earned: pd.DataFrame) -> pd.DataFrame:
    """Say what each session cost and what it earned, of which everything by channel and day is summed up.

    In: two of the tables, and the `conversion_credits` of these sessions.
    Out: a row for each of `sessions`, with its index: `channel_name, date, cost [currency; 0 where it has none], ihc
    [orders], ihc_revenue [currency]`, both NaN where no order gives the session any credit.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    visit = earned["visit"].to_numpy("int64")
    has_credit = np.bincount(visit, minlength=len(sessions)) > 0
    earnings = {name: sums(visit, earned[name].to_numpy("float64"), len(sessions)) for name in ("ihc", "ihc_revenue")}
    return pd.DataFrame(
        {
            "channel_name": sessions["channel_name"],
            "date": sessions["event_date"],
            "cost": session_costs(sessions, costs),
            **{name: np.where(has_credit, values, np.nan) for name, values in earnings.items()},
        }
    )


def renamed(visits: pd.DataFrame, earned: pd.DataFrame, sessions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give `visits_of` and `conversion_credits` the channel names of `sessions`, the same rows under other names."""
    names = sessions["channel_name"]
    return visits.assign(channel_name=names), earned.assign(channel_name=names.array.take(earned["visit"]))


def channel_reporting(
    sessions: pd.DataFrame, conversions: pd.DataFrame, costs: pd.DataFrame, credits: pd.DataFrame
) -> pd.DataFrame:
    """Add up cost and credit per channel and day.

    In: the three tables and `credits` (`conv_id, session_id, ihc`).
    Out: one row per channel and day that has any session: `channel_name, date [the sessions'], cost [currency; of all
    sessions of the channel and day, each once], ihc [orders; Σ credit], ihc_revenue [currency; Σ credit x revenue]`.

    Raises InputError for a missing column.
    """
    return by_channel_and_day(visits_of(sessions, costs, conversion_credits(sessions, conversions, credits)))


def by_channel_and_day(visits: pd.DataFrame) -> pd.DataFrame:
    """Add up what sessions cost and earned. In: `visits_of`; out: as `channel_reporting`."""
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
    """Sum up each channel over the sessions' days from `start_date` to `end_date` (inclusive, optional).

    In: the three tables and `credits` (`conv_id, session_id, ihc`).
    Out: one row a channel, by falling `ihc_revenue`, and last the total, see `total_name`: `channel_name, sessions
    [count], influenced_conversions [distinct orders with the channel in their journey], cost [currency], ihc [orders],
    ihc_revenue [currency], share_of_credit, share_of_cost [1], CPO [currency per order], ROAS [1]`.
    Ratios are of sums, and NaN where the denominator is 0.

    Raises InputError for a missing column or a wrong date.
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
    """Sum up each channel. In: `visits_of` and `conversion_credits` of the same sessions; out: as `channel_summary`."""
    visits, earned = (rows[inside(rows["date"], start_date, end_date)] for rows in (visits, earned))
    orders = purchases(earned)["conv_id"].nunique()
    return summary_of(by_channel_and_day(visits), channel_counts(visits, earned), orders)


def channel_counts(visits: pd.DataFrame, earned: pd.DataFrame) -> pd.DataFrame:
    """Count what a summary counts. In: as `by_channel`; out: `channel_name, sessions, influenced_conversions`."""
    counts = visits.groupby("channel_name").size().rename("sessions").to_frame()
    counts["influenced_conversions"] = influenced(purchases(earned)).reindex(counts.index, fill_value=0)
    return counts.reset_index()


def summary_of(reporting: pd.DataFrame, counts: pd.DataFrame, orders: int) -> pd.DataFrame:
    """Sum up channels over their days.

    In: `channel_reporting` and `channel_counts` of the same days, and how many distinct `orders` have any of these
    channels in their journey; out: as `channel_summary`.
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
    """The channels that matter for ROAS: those with at least 1 % of all cost, most cost first.

    In: `channel_summary`, the total in its last row. A channel that cost next to nothing has a ROAS of thousands.
    """
    channels = summary.iloc[:-1]
    return channels[channels["share_of_cost"] >= MATERIAL].sort_values("cost", ascending=False, kind="stable")


def model_comparison(journeys: pd.DataFrame, models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Attributed revenue per channel under each model.

    In: `journeys` and, by model name, `credits` (`conv_id, session_id, ihc`) of the same orders.
    Out: `channel_name` and one column a model [currency], by falling revenue of the first model.
    Raises InputError without any model.
    """
    if not models:
        raise InputError("model_comparison needs the credits of at least one model.")
    return compared(sum_by(model_revenue(journeys, models), ["channel_name"], list(models)))


def model_revenue(journeys: pd.DataFrame, models: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What each session of each order earns under each model.

    In: as `model_comparison`. Out: a row for each of `journeys`: `channel_name` and one column a model [currency], NaN
    where the model gives no credit.
    """
    columns = {"channel_name": journeys["channel_name"]}
    for name, credits in models.items():
        credit = pd.api.extensions.take(credits["ihc"].array, get_pair_indexer(journeys, credits), allow_fill=True)
        columns[name] = credit * journeys["revenue"]
    return pd.DataFrame(columns)


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Put the channels in the order of `model_comparison`: by falling revenue of the first model, then by name."""
    by = [table.columns[1], "channel_name"]
    return table.sort_values(by, ascending=[False, True], ignore_index=True)


def relative_to_first(comparison: pd.DataFrame) -> pd.DataFrame:
    """Compare each model's revenue with the first model's.

    In: `model_comparison`. Out: the same rows and columns; the first model's revenue as it is [currency], of the others
    how far theirs is from it [1; 0.1 is 10 % more; NaN where the first has 0].
    """
    table = comparison.copy()
    first, *others = (name for name in comparison.columns if name != "channel_name")
    base = comparison[first]
    table[others] = (comparison[others].sub(base, axis="index")).div(base.abs().where(base != 0), axis="index")
    return table
