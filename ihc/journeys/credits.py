"""Validate the answers of an attribution engine and record the outcome of each order.

Only complete answers are stored. Each order ends as credited, unattributed, failed or waiting.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.arrays.lookup import PAIR, get_pair_indexer, isin, join, lookup
from ihc.schemas.refunds import is_purchase
from ihc.schemas.tables import CREDITS, PHASES, SHARES, as_text, require_columns

REFUND = "a refund"  # the reason of credited refunds, which distinguishes them from orders
TOLERANCE = 0.005  # how far the credit of an order may sum from 1
ROUNDING = 0.00005  # of one session's credit in an API answer, which has four decimals


def tolerance(sessions: int) -> float:
    """Return how far the credit of a journey with this many sessions may sum from 1."""
    return max(TOLERANCE, ROUNDING * sessions)


def check_credits(credits: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Find the conversions whose credits cannot be stored.

    In: an engine's `conv_id, session_id, ihc`, and the `journeys` sent to it. Out: `conv_id, reason`, one row per
    failed conversion: its sessions are not exactly those of the journey, a credit is negative or not a number, or the
    sum differs from 1 by more than `tolerance`.
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
    """Split credits into those that can be stored and the orders that failed.

    Out: the valid credits, and `conv_id, outcome, reason` of the failed orders.
    """
    failed = check_credits(credits, journeys).assign(outcome="failed")[["conv_id", "outcome", "reason"]]
    return credits[~isin(credits["conv_id"], failed["conv_id"])].reset_index(drop=True), failed


def _reasons(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the failed orders by `conv_id`, each with the first reason that applies."""
    is_off = (tests["total"] - 1).abs() > tests["sessions"].map(tolerance)
    failed = tests[(tests[["missing", "foreign", "bad"]] > 0).any(axis=1) | is_off].sort_values("conv_id")
    reasons = np.select(
        [failed["missing"] > 0, failed["foreign"] > 0, failed["bad"] > 0],
        [
            "journey sessions without credit: " + failed["missing"].astype("str"),
            "credits for sessions outside the journey, or duplicate credits: " + failed["foreign"].astype("str"),
            "credits that are negative or not a number: " + failed["bad"].astype("str"),
        ],
        default="the credits sum to " + failed["total"].map("{:.4f}".format).astype("str") + ", not 1",
    )
    return failed[["conv_id"]].assign(reason=pd.array(reasons, dtype="str")).reset_index(drop=True)


def with_phases(credits: pd.DataFrame, phases: pd.DataFrame) -> pd.DataFrame:
    """Add `initializer, holder, closer [share]` to credits (`conv_id, session_id`); NaN if `phases` has none."""
    return join(credits, phases, PHASES)


def with_credits(journeys: pd.DataFrame, credits: pd.DataFrame) -> pd.DataFrame:
    """Return the sessions of `journeys` that have credit, in their order, with its columns.

    In: `journeys`, and `credits` with phases, as of `with_phases`.
    """
    found = join(journeys, credits, SHARES)
    return found[found["ihc"].notna()].reset_index(drop=True)


def usable_answers(journeys: pd.DataFrame, answers: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split answers into those that match the current journeys and those that do not.

    In: `journeys` with the engine's columns, and `answers` with `conv_id, session_id, initializer, holder, closer, ihc
    [share]`, rows in any order; ids and shares may be texts, as in a CSV file. Out: the usable answers, with ids as
    texts and shares as numbers, and `conv_id, reason` of the others. An answer is unusable if its conversion is not in
    the journeys, if its sessions are not exactly those of the journey, or if its shares are invalid or do not sum to 1
    (the holder's may all be 0).

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
    """Find conversions with a phase whose shares are invalid or do not sum to 1 (for a holder, 1 or 0)."""
    grouped = answers.groupby("conv_id")[list(PHASES)]
    is_share = grouped.min().ge(0) & grouped.max().le(1 + ROUNDING)
    sums = grouped.sum()
    is_whole = (sums - 1).abs().le(grouped.size().map(tolerance), axis="index")
    is_whole["holder"] |= sums["holder"] == 0
    is_fit = (is_share & is_whole & grouped.count().eq(grouped.size(), axis="index")).all(axis="columns")
    reason = "the shares of a phase are invalid or do not sum to 1"
    return pd.DataFrame({"conv_id": is_fit.index[~is_fit].astype("str"), "reason": reason}, dtype="str")


def outcomes_of(conversions: pd.DataFrame, journeys: pd.DataFrame, ends: pd.DataFrame) -> pd.DataFrame:
    """Return the outcome of each of `conversions`.

    In: the run's `conversions`, their `journeys`, and the engine's `ends` (`conv_id, outcome, reason`), which may be
    partial. Out: `conv_id, outcome [credited, unattributed, failed or waiting], reason`, one row per conversion. The
    reason of credited refunds is `REFUND`.
    """
    conv_id = conversions["conv_id"].reset_index(drop=True)
    usual = np.where(isin(conv_id, journeys["conv_id"]), "credited", "unattributed")
    outcome = lookup(conv_id, ends, "conv_id", "outcome").astype("str").fillna(pd.Series(usual, dtype="str"))
    reason = lookup(conv_id, ends, "conv_id", "reason").astype("str").fillna("")
    reason = reason.mask((outcome == "credited") & ~is_purchase(conversions), REFUND)
    return pd.DataFrame({"conv_id": conv_id, "outcome": outcome, "reason": reason})


def provenance(outcomes: pd.DataFrame, *orders: pd.Series[str]) -> pd.DataFrame:
    """Return the engines and parameters that the stored credits of some orders come from.

    In: stored `outcomes` with `conv_id, outcome, reason, engine, parameters, lookback_days`, and the ids of the orders,
    in one or more columns. Out: `engine, parameters, lookback_days [days; NaN: no lookback window], orders [count;
    without refunds]`, most orders first.
    """
    is_meant = isin(outcomes["conv_id"], pd.concat(orders))
    credited = outcomes[is_meant & (outcomes["outcome"] == "credited")]
    by = ["engine", "parameters", "lookback_days"]
    counts = credited.assign(orders=(credited["reason"] != REFUND).astype("int64"))
    sources = counts.groupby(by, dropna=False)["orders"].sum().reset_index()
    return sources.sort_values("orders", ascending=False, kind="stable", ignore_index=True)


def removed(runs: pd.DataFrame, run_id: str) -> int:
    """Return how many stored orders a run no longer found in the tables [count].

    In: stored `runs` with `run_id, vanished`.
    """
    return int(runs.loc[runs["run_id"] == run_id, "vanished"].sum())
