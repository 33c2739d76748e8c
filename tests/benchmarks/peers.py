"""Peers: the same work with common approaches or other packages, with the same input and output as our stage."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from types import ModuleType
from typing import Any

import pandas as pd

from ihc.api.batching import FIELDS
from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.database.tables import RESULTS
from ihc.schemas.tables import COLUMNS, CREDITS, JOURNEYS, Tables

ORDER = ["conv_timestamp", "conv_id", "timestamp", "session_id"]
BATCH = 500  # conversions per query
QUERY = """
SELECT conv_id, session_id, user_id, {moment} AS timestamp, channel_name, holder_engagement, closer_engagement,
    impression_interaction, {order} AS conv_timestamp, revenue
FROM session_sources JOIN conversions USING (user_id)
WHERE {moment} <= {order} {more}
ORDER BY conv_timestamp, conv_id, timestamp, session_id
"""
MOMENT, PLACED = "event_date || ' ' || event_time", "conv_date || ' ' || conv_time"
RENAMED = {column: field for field, column in FIELDS.items()}


def read_by_pandas(database: Path) -> list[pd.DataFrame]:
    """Read the three tables with `pd.read_sql`."""
    with closing(sqlite3.connect(database)) as connection:
        return [pd.read_sql(f"SELECT * FROM {table}", connection) for table in COLUMNS]


def journeys_by_sql(database: Path) -> pd.DataFrame:
    """Query SQLite, indexed by user, for the sessions of 500 conversions at a time."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(f"SELECT conv_id FROM conversions ORDER BY {PLACED}, conv_id").fetchall()
        ids = [conv_id for (conv_id,) in found]
        parts = []
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            more = f"AND conv_id IN ({', '.join('?' * len(batch))})"
            query = QUERY.format(moment=MOMENT, order=PLACED, more=more)
            parts.append(pd.read_sql(query, connection, params=batch, parse_dates=["timestamp", "conv_timestamp"]))
    return _marked(pd.concat(parts, ignore_index=True))


def journeys_by_merge(sessions: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """Merge all sessions of a user with all conversions, and filter."""
    visits = sessions.assign(timestamp=pd.to_datetime(sessions["event_date"] + " " + sessions["event_time"]))
    orders = conversions.assign(
        conv_timestamp=pd.to_datetime(conversions["conv_date"] + " " + conversions["conv_time"])
    )
    both = visits.merge(orders, on="user_id")
    return _marked(both[both["timestamp"] <= both["conv_timestamp"]].sort_values(ORDER, ignore_index=True))


def _duckdb_query() -> str:
    moment, order = f"CAST({MOMENT} AS TIMESTAMP)", f"CAST({PLACED} AS TIMESTAMP)"
    return QUERY.format(moment=moment, order=order, more="")


def journeys_by_duckdb(sessions: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """Join and sort in DuckDB, converted to pandas with `df`."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("session_sources", sessions)
        connection.register("conversions", conversions)
        return _marked(connection.sql(_duckdb_query()).df())


def journeys_by_duckdb_and_arrow(sessions: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """The same, converted to pandas through Arrow, which `df` does not use."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("session_sources", sessions)
        connection.register("conversions", conversions)
        return _marked(connection.sql(_duckdb_query()).to_arrow_table().to_pandas())


def journeys_by_polars(sessions: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """Join and sort in Polars, lazily."""
    import polars as pl

    def moments(frame: pd.DataFrame, day: str, time: str, name: str) -> Any:
        joined = (pl.col(day) + " " + pl.col(time)).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
        return pl.from_pandas(frame).lazy().with_columns(joined.alias(name))

    visits = moments(sessions, "event_date", "event_time", "timestamp")
    orders = moments(conversions, "conv_date", "conv_time", "conv_timestamp")
    both = visits.join(orders, on="user_id").filter(pl.col("timestamp") <= pl.col("conv_timestamp")).sort(ORDER)
    is_last = (pl.col("conv_id") != pl.col("conv_id").shift(-1)).fill_null(value=True)
    return both.with_columns(is_last.cast(pl.Int8).alias("conversion")).select(JOURNEYS).collect().to_pandas()


def _marked(journeys: pd.DataFrame) -> pd.DataFrame:
    is_last = journeys["conv_id"] != journeys["conv_id"].shift(-1)
    return journeys.assign(conversion=is_last.astype("int8"))[list(JOURNEYS)]


def bodies_by_json(requests: list[pd.DataFrame]) -> list[bytes]:
    """Make the JSON of each packed request with `to_dict` and `json.dumps`."""
    return [_body(request).encode() for request in requests]


def _body(request: pd.DataFrame) -> str:
    sent = request[list(RENAMED)].rename(columns=RENAMED)
    sent["timestamp"] = sent["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S")
    return json.dumps({"customer_journeys": sent.to_dict("records")})


def channel_attribution() -> ModuleType:
    """Import ChannelAttribution without its output."""
    with contextlib.redirect_stdout(io.StringIO()):
        import ChannelAttribution
    return ChannelAttribution


def heuristics_by_channel_attribution(texts: pd.DataFrame) -> pd.DataFrame:
    """First, last and linear touch with ChannelAttribution, from prepared path texts."""
    return channel_attribution().heuristic_models(texts, "path", "conversions", sep=">", flg_pro=False)


def markov_by_channel_attribution(texts: pd.DataFrame, precision: float = 0.05) -> pd.DataFrame:
    """Removal effects with ChannelAttribution's simulation, to its `precision` (`conv_par`)."""
    found = channel_attribution().markov_model(
        texts, "path", "conversions", var_null="nulls", sep=">", conv_par=precision, out_more=True, verbose=False,
        flg_pro=False,
    )  # fmt: skip
    return found["removal_effects"]


def markov_precisely_by_channel_attribution(texts: pd.DataFrame) -> pd.DataFrame:
    """The same, until repetitions differ by at most 0.5 %."""
    return markov_by_channel_attribution(texts, precision=0.005)


def markov_by_marketing_attribution_models(touchpoints: pd.DataFrame) -> pd.DataFrame:
    """Removal effects with the package marketing-attribution-models. In: `path, timestamp, channel_name, won`."""
    from mam.core import MAM

    model = MAM(
        touchpoints, "format_1", channels_colname="channel_name", journey_with_conv_colname="won",
        datetime_colname="timestamp", user_id_colname="path",
    )  # fmt: skip
    found = model.run_markov(transition_to_same_state=True).metadata["removal_effect"]
    return found.rename_axis("channel_name").reset_index()


def reporting_by_merging(tables: Tables, credits: pd.DataFrame) -> pd.DataFrame:
    """Sum cost and credit by channel and day with merges and a groupby."""
    earned = credits.merge(tables.conversions[["conv_id", "revenue"]], on="conv_id")
    earned["ihc_revenue"] = earned["ihc"] * earned["revenue"]
    earned = earned.groupby("session_id", as_index=False)[["ihc", "ihc_revenue"]].sum()
    visits = tables.sessions[["session_id", "channel_name", "event_date"]].merge(tables.costs, "left", on="session_id")
    visits = visits.merge(earned, "left", on="session_id").rename(columns={"event_date": "date"})
    return visits.groupby(["channel_name", "date"], as_index=False)[["cost", "ihc", "ihc_revenue"]].sum()


def rows_for_executemany(credits: pd.DataFrame, outcomes: pd.DataFrame) -> dict[str, list[tuple[Any, ...]]]:
    """The rows stored by a run, for sqlite3."""
    frames = {
        "attribution_customer_journey": credits[list(CREDITS)],
        "attribution_phases": credits[list(RESULTS["attribution_phases"])],
        "attribution_outcomes": outcomes.assign(run_id="run")[list(RESULTS["attribution_outcomes"])],
    }
    return {table: list(zip(*(frame[name].tolist() for name in frame), strict=True)) for table, frame in frames.items()}


def new_database(folder: Path) -> Path:
    """Make an empty database with a new name."""
    database = folder / f"{token_hex(4)}.db"
    create_tables(Database(database))
    return database


def store_by_executemany(folder: Path, rows: dict[str, list[tuple[Any, ...]]]) -> Path:
    """Store prepared rows in the tables of a new database."""
    database = new_database(folder)
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, values in rows.items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
    return database
