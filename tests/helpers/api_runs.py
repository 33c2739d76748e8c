"""Dispatching requests to a test API, and checking the result."""

import time

from ihc.api.account import ApiAccount
from ihc.api.batching import fingerprints
from ihc.api.client import Budget, Client
from ihc.api.dispatch import dispatch
from ihc.api.ledger import open_ledger, read_known
from ihc.api.limits import ApiLimits
from ihc.journeys.build import build_journeys
from ihc.models.ihc import attribute
from ihc.models.parameters import load_parameters
from ihc.pipeline.sample import make_sample

KEY = "k3y-of-the-test"
# The work of two notebooks, without the time to start kernels.
ATTRIBUTE = """
from pathlib import Path
from ihc import build_journeys, channel_reporting, read_tables
from ihc.database.results import create_tables, store_credits, store_reporting
from ihc.journeys.credits import outcomes_of
from ihc.pipeline.attribution import compute_credits
from ihc.settings.run import load_settings
settings = load_settings(base=Path.cwd(), database="shop.db", engine="api")
print("started", flush=True)
with settings.database.lock(held=settings.held_lock):
    create_tables(settings.database)
    tables = read_tables(settings.database)
    journeys = build_journeys(tables.sessions, tables.conversions)
    answer = compute_credits(settings, journeys, tables.conversions)
    outcomes = outcomes_of(tables.conversions, journeys, answer.outcomes)
    store_credits(settings.database, settings.run(), answer.credits, outcomes, tables.conversions)
    store_reporting(settings.database, channel_reporting(*tables, answer.credits))
"""


def make_journeys(orders, seed=1):
    tables = make_sample(orders, seed)
    return build_journeys(tables.sessions, tables.conversions)


def shortly(seconds):
    time.sleep(min(seconds, 0.01))


def ask(database, url, journeys, *, suspects=(), calls=None, run_id="run", said=None, **limits):
    """Request unknown conversions as a run does; returns the error that stopped it and the known answers."""
    account = ApiAccount(url, KEY, "default")
    marks = fingerprints(journeys)
    known = set(read_known(database, account, marks).answers["conv_id"])
    marks = marks[~marks["conv_id"].isin(known)].assign(is_suspect=lambda frame: frame["conv_id"].isin(suspects))
    client = Client(account, Budget(calls), sleep=shortly)
    with open_ledger(database, account, run_id) as ledger:
        to_ask = journeys[journeys["conv_id"].isin(marks["conv_id"])]
        stopped = dispatch(
            to_ask, marks, client, ledger, ApiLimits(**limits), (said if said is not None else []).append
        )
    return stopped, read_known(database, account, fingerprints(journeys))


def assert_right(answers, journeys):
    """Each answer equals the local engine's, rounded to four decimals."""
    both = answers.merge(attribute(journeys, load_parameters()), on=["conv_id", "session_id"], suffixes=("", "_local"))
    assert len(both) == len(answers) == len(journeys)
    for name in ("initializer", "holder", "closer", "ihc"):
        assert (both[name] - both[f"{name}_local"]).abs().max() <= 0.0005
