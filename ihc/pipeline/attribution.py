"""Attribute orders with the configured engine and store the credits; both engines return the same frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from ihc.analysis.changes import record_run
from ihc.api.account import ApiAccount
from ihc.api.batching import fingerprints, fit_journeys
from ihc.api.ledger import Known, begin_refresh, end_refresh, open_ledger, read_known
from ihc.api.limits import ApiLimits
from ihc.arrays.lookup import isin, lookup
from ihc.database.inputs import read_conversion_ids, read_tables
from ihc.database.results import (
    Results,
    create_tables,
    store_credits,
    store_reporting,
)
from ihc.errors import ApiError, InputError
from ihc.exhibits.data import ReportData, Source, check_types, of_chosen_type
from ihc.journeys.build import build_journeys, without_new_session
from ihc.journeys.credits import outcomes_of, provenance, sound_credits
from ihc.memory import free_memory
from ihc.models.conversion_types import attribute_by_type
from ihc.models.redistribution import labelled
from ihc.narrative.run import (
    CUT,
    KEPT,
    api_sentence,
    left_out_sentence,
    parameters_sentence,
    provenance_sentence,
    redistribution_sentence,
    stored_sentence,
)
from ihc.pipeline.intermediate import frames_of, share_results, shared_inputs, stored_source
from ihc.pipeline.sample import prepare
from ihc.report.exhibit import Exhibit
from ihc.report.files import write_csv
from ihc.schemas.conversion_types import of_type, types_of
from ihc.schemas.refunds import purchase_ids
from ihc.schemas.tables import SHARES, Tables, inside
from ihc.settings.run import Settings

FRAME = ("conv_id", "session_id", *SHARES)
NOT_CREDITED = ["conv_id", "conv_date", "revenue", "outcome", "reason"]
OUTCOMES = ("conv_id", "outcome", "reason")


class Attribution:
    """The attributed orders of the period, to inspect and store."""

    def __init__(
        self,
        settings: Settings,
        orders: pd.DataFrame,
        journeys: pd.DataFrame,
        answer: Credited,
        restarted: pd.DataFrame,
    ) -> None:
        self.settings = settings
        self._orders = orders.sort_values(["conv_date", "conv_time", "conv_id"])
        self._outcomes = outcomes_of(self._orders, journeys, pd.concat([answer.outcomes, restarted], ignore_index=True))
        self._answer = answer

    @property
    def credits(self) -> Exhibit:
        """The credit of each session, per phase and in total; sums to 1 per order."""
        return Exhibit("credits", "Credits", self._answer.credits, text=self._answer.about)

    @property
    def incomplete(self) -> Exhibit:
        """Conversions that failed or wait, or whose journey was truncated, with the reason."""
        frame = self._answer.outcomes
        text = "" if len(frame) else "No order failed or waits, and no journey was truncated."
        return Exhibit("incomplete", "Failed, waiting or truncated", frame, text=text)

    @property
    def without_credit(self) -> Exhibit:
        """All conversions without credit, with the reason."""
        without = self._orders.merge(self._outcomes[self._outcomes["outcome"] != "credited"], on="conv_id")
        return Exhibit("orders_without_credit", "Orders without credit", without[NOT_CREDITED])

    def store(self) -> Exhibit:
        """Store the credits and the reporting and record the run, each in one transaction.

        Out: a summary, with the settings of all stored credits of these orders. Orders without credit are written to
        `orders_without_credit.csv` in the output folder. Raises DatabaseError.
        """
        settings, database = self.settings, self.settings.database
        write_csv(self.without_credit.frame, settings.output / "orders_without_credit.csv")
        with database.lock(held=settings.held_lock):
            there = read_conversion_ids(database)
            gone = store_credits(database, settings.run(), self._answer.credits, self._outcomes, there)
            results = store_report(settings)
        sources = provenance(results.outcomes, self._orders["conv_id"])
        sentences = [
            stored_sentence(self._outcomes),
            provenance_sentence(sources),
            left_out_sentence(gone, results.unsound),
        ]
        return Exhibit("stored", "Stored", sources, text=" ".join(filter(None, sentences)))


def attribute_shop(settings: Settings, say: Callable[[str], object] = print) -> Attribution:
    """Attribute the orders of the period; API answers are stored as they arrive.

    A missing default database is created as the sample shop. Raises ParametersError, ApiError or DatabaseError.
    """
    database = settings.database
    prepare(settings, say)
    tables = _tables_of(settings)
    check_named_types(settings, tables.conversions)
    conversions = of_type(tables.conversions, settings.conversion_type)
    shop, rules = (tables.sessions, conversions), settings.window | settings.journey_rules
    journeys = build_journeys(*shop, **rules, memory=free_memory())
    with database.lock(held=settings.held_lock):
        create_tables(database)
        answer = compute_credits(settings, journeys, conversions, say)
    orders = conversions[inside(conversions["conv_date"], **settings.window)]
    return Attribution(settings, orders, journeys, answer, without_new_session(*shop, **rules))


def _tables_of(settings: Settings) -> Tables:
    """The tables of the run, or, in a notebook on its own, the part of the database that the dates need."""
    if frames_of(settings):
        return shared_inputs(settings)
    return read_tables(settings.database, **settings.window, every_order=settings.restart_after_order)


def check_named_types(settings: Settings, conversions: pd.DataFrame) -> None:
    """Raise InputError if the shop does not have a conversion type that the settings name.

    In: some of the shop's conversions; all are read only if these lack such a type.
    """
    try:
        check_types(settings, conversions)
    except InputError:
        check_types(settings, read_tables(settings.database).conversions)


def read_source(settings: Settings) -> Source:
    """Read the data for a report of stored credits. Raises DatabaseError, or InputError for invalid tables."""
    return of_chosen_type(settings, stored_source(settings, shared_inputs(settings)))


def store_report(settings: Settings) -> Results:
    """Store cost and attributed revenue by channel and day from the stored credits, and record the run.

    The caller must hold the lock. Raises DatabaseError, or ReconciliationError before anything is stored.
    """
    data = ReportData(settings, of_chosen_type(settings, share_results(settings, shared_inputs(settings))))
    _ = data.reconciliation
    store_reporting(settings.database, data.reporting)
    record_run(settings.database, settings.run(), data.state)
    return data.results


class Credited(NamedTuple):
    """The result of an engine.

    `credits`: `conv_id, session_id, initializer, holder, closer, ihc` of complete conversions; `outcomes`: `conv_id,
    outcome, reason` of those that failed or wait, or whose journey was truncated; `about`: a sentence about the engine.
    """

    credits: pd.DataFrame
    outcomes: pd.DataFrame
    about: str


def compute_credits(
    settings: Settings, journeys: pd.DataFrame, conversions: pd.DataFrame, say: Callable[[str], object] = print
) -> Credited:
    """Compute the credits of `journeys` with the configured engine.

    Only conversions without a stored answer are requested from the API; answers are stored as they arrive. A refund
    gets the credit of its order (see `conversions`), which is computed once. `say` prints the API's progress. Raises
    ParametersError, ApiError or DatabaseError.
    """
    account, rules = settings.account, settings.redistribution_rules
    order_of = _orders_of(journeys, conversions)
    orders = _order_journeys(journeys, order_of)
    credited = _by_api(settings, account, orders, say) if account else _locally(settings, orders, conversions)
    redistribution_note = redistribution_sentence(rules, orders) if rules else ""
    credits, outcomes = (_of_each(frame, order_of) for frame in (credited.credits, credited.outcomes))
    return Credited(credits, outcomes, f"{credited.about} {redistribution_note}".strip())


def _orders_of(journeys: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """The order of each conversion with a journey: `conv_id, order_id`; empty if there are no refunds."""
    ids = conversions["conv_id"]
    has_refunds = not purchase_ids(ids, conversions).equals(ids)
    conv_id = journeys["conv_id"].iloc[: None if has_refunds else 0].drop_duplicates(ignore_index=True)
    return pd.DataFrame({"conv_id": conv_id, "order_id": purchase_ids(conv_id, conversions)})


def _order_journeys(journeys: pd.DataFrame, order_of: pd.DataFrame) -> pd.DataFrame:
    """The journeys with the `conv_id` of their orders, one per order."""
    if order_of.empty:
        return journeys
    first = order_of.drop_duplicates("order_id")["conv_id"]
    kept = journeys[isin(journeys["conv_id"], first)]
    return kept.assign(conv_id=lookup(kept["conv_id"], order_of, "conv_id", "order_id"))


def _of_each(frame: pd.DataFrame, order_of: pd.DataFrame) -> pd.DataFrame:
    """Repeat an engine's rows of each order for all of its conversions. In: `conv_id`, rows of an order together."""
    if order_of.empty:
        return frame
    each = order_of.rename(columns={"conv_id": "each"}).merge(frame, left_on="order_id", right_on="conv_id")
    return each.assign(conv_id=each["each"])[list(frame.columns)]


def _locally(settings: Settings, journeys: pd.DataFrame, conversions: pd.DataFrame) -> Credited:
    sets, rules = settings.load_parameter_sets(), settings.redistribution_rules
    typed = sets.with_types(journeys, conversions)
    credits, failed = sound_credits(attribute_by_type(typed, sets, rules), journeys)
    used, label = sets.used(types_of(conversions).unique()), labelled(sets.label, rules)
    about = parameters_sentence(label, used, journeys, shop=settings.database.name)
    return Credited(credits, failed, about)


def _by_api(settings: Settings, account: ApiAccount, journeys: pd.DataFrame, say: Callable[[str], object]) -> Credited:
    limits = settings.api_limits
    fitting, too_long = fit_journeys(journeys, limits.max_sessions, limits.long_journeys)
    marks = fingerprints(fitting)
    since = begin_refresh(settings.database, account) if limits.refresh else ""
    known = read_known(settings.database, account, marks, since)
    settled = [*known.answers["conv_id"].unique(), *known.rejected["conv_id"]]
    unknown = marks[~marks["conv_id"].isin(settled)]
    stopped = None
    if len(unknown):
        unknown = unknown.assign(is_suspect=unknown["conv_id"].isin(known.failed["conv_id"]))
        stopped = _ask(settings, account, fitting, unknown, say)
        known = read_known(settings.database, account, marks)
    if stopped and known.answers.empty:
        raise type(stopped)(
            f"{stopped} There are no answers yet and nothing was changed: all {len(marks):,} orders wait."
        )
    outcomes = pd.concat(
        [
            _unanswered(marks, known, str(stopped)),
            _long(too_long, limits, known),
            _kept(settings, account, unknown, known, since, stopped),
        ]
    ).drop_duplicates("conv_id", ignore_index=True)
    if since and not stopped:
        end_refresh(settings.database, account)
    about = api_sentence(account.label, len(marks), len(marks) - len(unknown), outcomes)
    return Credited(_in_order(known.answers, fitting), outcomes, about)


def _ask(
    settings: Settings, account: ApiAccount, journeys: pd.DataFrame, unknown: pd.DataFrame, say: Callable[[str], object]
) -> ApiError | None:
    """Request the `unknown` journeys from the API. Out: the error that stopped the run, if any."""
    from ihc.api.client import Budget, Client  # slow imports, not needed without requests
    from ihc.api.dispatch import dispatch

    limits = settings.api_limits
    interval = 1 / limits.requests_per_second if limits.requests_per_second else 0.0
    client = Client(account, Budget(limits.max_requests, interval=interval), seconds=limits.request_seconds)
    to_ask = journeys[journeys["conv_id"].isin(unknown["conv_id"])]
    with open_ledger(settings.database, account, settings.run_id) as ledger:
        return dispatch(to_ask, unknown, client, ledger, limits, say)


def _in_order(answers: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Sort answers in the order of the journeys, so that results do not depend on arrival."""
    return journeys[["conv_id", "session_id"]].merge(answers, on=["conv_id", "session_id"])[list(FRAME)]


def _unanswered(marks: pd.DataFrame, known: Known, stopped: str) -> pd.DataFrame:
    """Conversions without an answer: failed if the ledger says so, otherwise waiting."""
    rest = marks.loc[~marks["conv_id"].isin(known.answers["conv_id"]), ["conv_id"]]
    failed = pd.concat([known.rejected, known.failed])
    outcomes = rest.merge(failed, how="left", on="conv_id")
    return outcomes.assign(
        outcome=outcomes["reason"].isna().map({True: "waiting", False: "failed"}),
        reason=outcomes["reason"].fillna(stopped),
    )[list(OUTCOMES)]


def _long(too_long: pd.DataFrame, limits: ApiLimits, known: Known) -> pd.DataFrame:
    """Conversions with too long journeys: truncated and answered, or skipped, depending on the settings."""
    limit = limits.max_sessions
    if limits.long_journeys == "latest":
        cut = too_long[too_long["conv_id"].isin(known.answers["conv_id"])]
        reason = f"{CUT} to the latest {limit} of " + cut["sessions"].astype("str") + " sessions"
        return cut.assign(outcome="credited", reason=reason)[list(OUTCOMES)]
    skipped = "its journey of " + too_long["sessions"].astype("str") + f" sessions exceeds IHC_MAX_SESSIONS, {limit}"
    return too_long.assign(outcome="failed", reason=skipped)[list(OUTCOMES)]


def _kept(
    settings: Settings, account: ApiAccount, unknown: pd.DataFrame, known: Known, since: str, stopped: ApiError | None
) -> pd.DataFrame:
    """Conversions that a stopped refresh did not reach and that keep an earlier answer."""
    if not since or not stopped:
        return pd.DataFrame(columns=list(OUTCOMES), dtype="str")
    fresh = read_known(settings.database, account, unknown, since).answers["conv_id"]
    kept = unknown[unknown["conv_id"].isin(known.answers["conv_id"]) & ~unknown["conv_id"].isin(fresh)]
    return kept.assign(outcome="credited", reason=f"{KEPT}: {stopped}")[list(OUTCOMES)]
