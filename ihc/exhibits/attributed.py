"""Attributing in memory by the local engine: for a shop without stored credits, and to try other settings."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from ihc.arrays.lookup import isin
from ihc.database.results import Results
from ihc.exhibits.data import Source
from ihc.journeys.build import build_journeys
from ihc.journeys.credits import outcomes_of, provenance, sound_credits
from ihc.memory import free_memory
from ihc.models.ihc import attribute
from ihc.schemas.tables import CREDITS, PHASES, Tables, inside
from ihc.settings.run import Settings

LOCAL = "local"
# What says how orders are attributed: where one of them is given, credits stored with others do not answer.
ATTRIBUTION = ("engine", "conv_type_id", "lookback_days", "parameters", "redistribution")


def attributed(settings: Settings, tables: Tables) -> Source:
    """Attribute all conversions of the tables by the local engine; nothing is stored.

    Raises ParametersError, or InputError where the journeys need more memory than there is.
    """
    lookback = settings.lookback_days
    journeys = build_journeys(tables.sessions, tables.conversions, lookback_days=lookback, memory=free_memory())
    credited = attribute(journeys, settings.load_parameters(), settings.redistribution_rules)
    credits, failed = sound_credits(credited, journeys)
    outcomes = outcomes_of(tables.conversions, journeys, failed).assign(
        run_id=settings.run_id, engine=LOCAL, parameters=settings.source, lookback_days=lookback
    )
    outcomes = outcomes.astype({"lookback_days": "float64"})
    runs = pd.DataFrame({"run_id": pd.Series(dtype="str"), "vanished": pd.Series(dtype="int64")})
    results = Results(credits[list(CREDITS)], outcomes, runs, failed[["conv_id", "reason"]])
    return Source(tables, results, credits[["conv_id", "session_id", *PHASES]], is_stored=False)


def answers(settings: Settings, tables: Tables, stored: Results) -> bool:
    """Whether stored credits are what these settings ask for.

    They are in a run, and with the API, which is asked by runs alone; else where each order of the dates has ended, and
    no other engine, parameters or lookback window are asked for than those that the credits were made with.
    """
    if settings.account or settings.given.run_id:
        return True
    orders = tables.conversions.loc[inside(tables.conversions["conv_date"], **settings.window), "conv_id"]
    if stored.outcomes.empty or not isin(orders, stored.outcomes["conv_id"]).all():
        return False
    if not settings.given.model_fields_set & set(ATTRIBUTION):
        return True
    sources = provenance(stored.outcomes, orders)
    asked = (LOCAL, settings.source, settings.lookback_days)
    made = [
        (row["engine"], row["parameters"], None if pd.isna(row["lookback_days"]) else row["lookback_days"])
        for _, row in sources.iterrows()
    ]
    return made == [asked]


def without_channels(tables: Tables, channels: Collection[str]) -> Tables:
    """The tables without the sessions of some channels."""
    return tables._replace(sessions=tables.sessions[~tables.sessions["channel_name"].isin(list(channels))])
