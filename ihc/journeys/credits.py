"""Is an engine's answer whole? Only then it is stored; every order ends credited, unattributed or failed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.arrays.lookup import PAIR, get_pair_indexer, isin, join, lookup
from ihc.schemas.refunds import is_purchase
from ihc.schemas.tables import CREDITS, PHASES, SHARES, as_text, require_columns

REFUND = "a refund"  # the reason of credited refunds, by which they are told from orders
TOLERANCE = 0.005  # how far an order's credit may sum from 1
ROUNDING = 0.00005  # of one session's credit in an answer of the API, that has four decimals


def tolerance(sessions: int) -> float:
    """How far the credit of a journey of so many sessions may sum from 1."""
    return max(TOLERANCE, ROUNDING * sessions)


def check_credits(credits: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Find the conversions whose credits cannot be stored.

    In: an engine's `conv_id, session_id, ihc` and the `journeys` it was asked for.
    Out: `conv_id, reason`, one row a failed conversion: its sessions are not exactly the journey's, a credit is
    negative or no number, or its sum is further from 1 than `tolerance`.
    """
    require_columns(credits, CREDITS, "credits")
    lacking = journeys.loc[get_pair_indexer(journeys, credits) < 0, "conv_id"]
    is_foreign = (get_pair_indexer(credits, journeys) < 0) | credits.duplicated(PAIR)
    is_fit = np.isfinite(credits["ihc"]) & (credits["ihc"] >= 0)
    number, names = pd.factorize(pd.concat([credits["conv_id"], lacking], ignore_index=True))
    given, missing = number[: len(credits)], number[len(credits) :]
    tests = pd.DataFrame({"conv_id": pd.Series(names, dtype="str")})
    for name, numbers in (("missing", missing), ("foreign", given[is_foreign]), ("bad", given[~is_fit])):
        tests[name] = np.bincount(numbers, minlength=len(names))
    tests["total"] = np.bincount(given, weights=credits["ihc"].where(is_fit, 0.0), minlength=len(names))
    tests["sessions"] = np.bincount(number, minlength=len(names))
    return _reasons(tests)


def sound_credits(credits: pd.DataFrame, journeys: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the credits that can be stored. Out: those, and `conv_id, outcome, reason` of the orders that failed."""
    failed = check_credits(credits, journeys).assign(outcome="failed")[["conv_id", "outcome", "reason"]]
    return credits[~isin(credits["conv_id"], failed["conv_id"])].reset_index(drop=True), failed


def _reasons(tests: pd.DataFrame) -> pd.DataFrame:
    """The orders that fail, by `conv_id`, with the first reason that holds."""
    is_off = (tests["total"] - 1).abs() > tests["sessions"].map(tolerance)
    failed = tests[(tests[["missing", "foreign", "bad"]] > 0).any(axis=1) | is_off].sort_values("conv_id")
    reasons = np.select(
        [failed["missing"] > 0, failed["foreign"] > 0, failed["bad"] > 0],
        [
            "sessions of the journey without a credit: " + failed["missing"].astype("str"),
            "credits for sessions not in the journey, or given twice: " + failed["foreign"].astype("str"),
            "credits that are negative or no number: " + failed["bad"].astype("str"),
        ],
        default="the credits sum to " + failed["total"].map("{:.4f}".format).astype("str") + ", not 1",
    )
    return failed[["conv_id"]].assign(reason=pd.array(reasons, dtype="str")).reset_index(drop=True)


def with_phases(credits: pd.DataFrame, phases: pd.DataFrame) -> pd.DataFrame:
    """Add `initializer, holder, closer [share]` to credits (`conv_id, session_id`); NaN where `phases` has none."""
    return join(credits, phases, PHASES)


def with_credits(journeys: pd.DataFrame, credits: pd.DataFrame) -> pd.DataFrame:
    """The sessions of `journeys` that have credit, with what `credits` (`with_phases`) says of it, in their order."""
    found = join(journeys, credits, SHARES)
    return found[found["ihc"].notna()].reset_index(drop=True)


def usable_answers(journeys: pd.DataFrame, answers: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the answers that hold for the journeys as they are.

    In: `journeys` with the engine's columns, and `answers` with `conv_id, session_id, initializer, holder, closer, ihc
    [share]`, rows in any order, ids and shares also as they stand in a CSV file. Out: the usable answers, with ids as
    texts and shares as numbers, and `conv_id, reason` of the others: their conversion is not in the journeys, they do
    not have exactly its sessions, or their shares are no shares or do not sum to 1 (the holder's may all be 0).

    Raises InputError for a missing column, and for ids whose last digits are lost.
    """
    require_columns(journeys, ("conv_id", "session_id"), "journeys")
    require_columns(answers, ("conv_id", "session_id", *SHARES), "answers")
    ids = {name: as_text(answers[name]) for name in ("conv_id", "session_id")}
    shares = {name: pd.to_numeric(answers[name], errors="coerce").astype("float64") for name in SHARES}
    typed = answers.assign(**ids, **shares)
    is_known = isin(typed["conv_id"], journeys["conv_id"])
    known = typed[is_known]
    strange = typed.loc[~is_known, ["conv_id"]].drop_duplicates()
    strange = strange.assign(reason="no order with a session in the database has this id")
    unfit = check_credits(known, journeys[isin(journeys["conv_id"], known["conv_id"])])
    left_out = pd.concat([strange, unfit, _unfit_phases(known)], ignore_index=True)
    left_out = left_out.drop_duplicates("conv_id").sort_values("conv_id", ignore_index=True)
    return known[~isin(known["conv_id"], left_out["conv_id"])].reset_index(drop=True), left_out


def _unfit_phases(answers: pd.DataFrame) -> pd.DataFrame:
    """The conversions of which a phase holds no shares, or shares that do not sum to 1, nor to 0 as a holder's may."""
    grouped = answers.groupby("conv_id")[list(PHASES)]
    is_share = grouped.min().ge(0) & grouped.max().le(1 + ROUNDING)
    sums = grouped.sum()
    is_whole = (sums - 1).abs().le(grouped.size().map(tolerance), axis="index")
    is_whole["holder"] |= sums["holder"] == 0
    is_fit = (is_share & is_whole & grouped.count().eq(grouped.size(), axis="index")).all(axis="columns")
    reason = "a phase's shares are no shares, or do not sum to 1"
    return pd.DataFrame({"conv_id": is_fit.index[~is_fit].astype("str"), "reason": reason}, dtype="str")


def outcomes_of(conversions: pd.DataFrame, journeys: pd.DataFrame, ends: pd.DataFrame) -> pd.DataFrame:
    """Say how each of `conversions` ended.

    In: the run's `conversions`, their `journeys`, and the engine's `ends` (`conv_id, outcome, reason`) where there is
    something to say.
    Out: `conv_id, outcome [credited, unattributed, failed or waiting], reason`, one row a conversion. The reason of
    credited refunds is `REFUND`.
    """
    conv_id = conversions["conv_id"].reset_index(drop=True)
    usual = np.where(isin(conv_id, journeys["conv_id"]), "credited", "unattributed")
    outcome = lookup(conv_id, ends, "conv_id", "outcome").astype("str").fillna(pd.Series(usual, dtype="str"))
    reason = lookup(conv_id, ends, "conv_id", "reason").astype("str").fillna("")
    reason = reason.mask((outcome == "credited") & ~is_purchase(conversions), REFUND)
    return pd.DataFrame({"conv_id": conv_id, "outcome": outcome, "reason": reason})


def provenance(outcomes: pd.DataFrame, *orders: pd.Series[str]) -> pd.DataFrame:
    """Say which engine and parameters the stored credits of some orders come from.

    In: stored `outcomes` with `conv_id, outcome, reason, engine, parameters, lookback_days`, and the ids of the orders,
    in one or more columns.
    Out: `engine, parameters, lookback_days [days; NaN: sessions of any age], orders [count; without refunds]`, most
    orders first.
    """
    is_meant = isin(outcomes["conv_id"], pd.concat(orders))
    credited = outcomes[is_meant & (outcomes["outcome"] == "credited")]
    by = ["engine", "parameters", "lookback_days"]
    counts = credited.assign(orders=(credited["reason"] != REFUND).astype("int64"))
    sources = counts.groupby(by, dropna=False)["orders"].sum().reset_index()
    return sources.sort_values("orders", ascending=False, kind="stable", ignore_index=True)


def vanished(runs: pd.DataFrame, run_id: str) -> int:
    """How many stored orders a run found gone from the tables [count]. In: stored `runs` with `run_id, vanished`."""
    return int(runs.loc[runs["run_id"] == run_id, "vanished"].sum())
