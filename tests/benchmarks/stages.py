"""The stages of a run: input, our function, its peers, and the comparison of results."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd
import peers
import pyarrow as pa
from shop import SIZES, Shop, path_texts

from ihc.analysis.reporting import channel_reporting, channel_summary
from ihc.api.batching import fit_journeys, pack_requests, request_body
from ihc.api.limits import MAX_SESSIONS
from ihc.database.database import Database
from ihc.database.inputs import read_tables
from ihc.database.results import no_phases, no_results, store_credits
from ihc.database.tables import Run
from ihc.exhibits.data import Source, with_codes
from ihc.journeys.build import build_journeys
from ihc.journeys.paths import LOST, WON, ChannelPaths, channel_paths
from ihc.models.heuristics import first_touch, last_touch, linear, touch_totals
from ihc.models.ihc import attribute
from ihc.models.markov import removal_effects
from ihc.models.parameters import load_parameters
from ihc.schemas.tables import COLUMNS, CREDITS

OURS = "ihc"
STORED = "stored"  # folder of the databases written while measuring `store`
FEW = 1_000_000  # maximum number of rows compared one by one
RUN = Run("run", "2026-01-01 00:00:00", "local", "default", None, None, None, "0")

Contender = Callable[..., Any]
Given = tuple[Any, ...]


class Peer(NamedTuple):
    """An alternative implementation of a stage.

    `given`: its arguments, if different from ours. `needs`: an optional package. `largest`: the largest size that
    fits in 16 GB. `same`: raises AssertionError unless its result equals ours; may return a note on the difference.
    """

    work: Contender
    same: Callable[[Any, Any], str | None]
    given: Callable[[Shop], Given] | None = None
    needs: str = ""
    largest: str = ""

    @property
    def is_there(self) -> bool:
        """Whether its package is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def does(self, size: str) -> bool:
        """Whether it can handle this size."""
        return not self.largest or SIZES[size] <= SIZES[self.largest]


class Stage(NamedTuple):
    """A stage: our function, its input, the number of rows [count] for the speed, and its peers."""

    work: Contender
    given: Callable[[Shop], Given]
    rows: Callable[[Shop], int]
    peers: dict[str, Peer]

    def contender(self, name: str, shop: Shop) -> tuple[Contender, Given]:
        """Our function, or a peer's, and its arguments."""
        if name == OURS:
            return self.work, self.given(shop)
        peer = self.peers[name]
        return peer.work, (peer.given or self.given)(shop)


def read_whole(database: Path) -> list[pd.DataFrame]:
    """Read the three tables like `read_tables`, without validation."""
    with Database(database).transaction() as opened:
        return opened.read_whole([*COLUMNS])


def same_frames(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """The same rows in the same order; numbers up to rounding errors."""
    assert list(ours) == list(theirs)
    for name in ours:
        one, other = _arrow(ours[name]), _arrow(theirs[name])
        if pa.types.is_floating(one.type):
            np.testing.assert_allclose(one.to_numpy(False), other.to_numpy(False), rtol=1e-9, err_msg=name)
        else:
            assert one.equals(other.cast(one.type)), name


def _arrow(values: pd.Series) -> pa.Array:
    whole = pa.array(values.array)
    whole = whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole
    return whole.cast(pa.large_string()) if pa.types.is_string(whole.type) else whole


def same_tables(ours: list[pd.DataFrame], theirs: list[pd.DataFrame]) -> None:
    """The same three tables."""
    for one, other in zip(ours, theirs, strict=True):
        same_frames(other.astype(one.dtypes), one)


def make_bodies(journeys: pd.DataFrame) -> list[bytes]:
    """Pack journeys into requests and make their JSON, as a run does."""
    return [request_body(request) for request in pack_requests(journeys)]


def same_bodies(ours: list[bytes], theirs: list[bytes]) -> None:
    """The same JSON, ignoring whitespace."""
    for one, other in zip(ours, theirs, strict=True):
        assert orjson.loads(one) == orjson.loads(other)


def rules_of_thumb(journeys: pd.DataFrame) -> list[pd.DataFrame]:
    """The credits by first, last and linear touch, one row per session."""
    return [model(journeys) for model in (first_touch, last_touch, linear)]


def same_totals(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """The same totals by channel; ChannelAttribution omits channels without any."""
    theirs = theirs.set_index("channel_name").sort_index()
    for name, total in ours.set_index("channel_name").items():
        (column,) = (column for column in theirs if column.startswith(str(name)))
        np.testing.assert_allclose(total, theirs[column].astype("float64"), rtol=1e-6, err_msg=str(name))


def same_paths(ours: ChannelPaths, theirs: pd.DataFrame) -> None:
    """The same number of paths per outcome, and of touchpoints."""
    ends = [int((ours.codes == end).sum()) for end in (WON, LOST)]
    assert ends == [theirs["conversions"].sum(), theirs["nulls"].sum() + 1]
    assert len(ours.codes) - sum(ends) == theirs["path"].str.count(" > ").sum() + len(theirs)


def same_effects(tolerance: float) -> Callable[[pd.DataFrame, pd.DataFrame], str]:
    """Removal effects that differ by at most a share; returns the difference."""

    def same(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
        one, other = (frame.set_index("channel_name")["removal_effect"].sort_index() for frame in (ours, theirs))
        off = float((one - other.astype("float64")).abs().max())
        assert off <= tolerance
        return f"effects off by {off:.1g}"

    return same


def touchpoints(shop: Shop) -> pd.DataFrame:
    """All paths, with and without conversion: `path, timestamp, channel_name, won`."""
    parts = [(shop.journeys(), "conv_id"), (shop.idle(), "user_id")]
    return pd.concat(
        [
            frame[[key, "timestamp", "channel_name"]].rename(columns={key: "path"}).assign(won=key == "conv_id")
            for frame, key in parts
        ],
        ignore_index=True,
    )


def outcomes_of(conversions: pd.DataFrame) -> pd.DataFrame:
    """The outcomes of the credited orders: `conv_id, outcome, reason`."""
    return conversions[["conv_id"]].assign(outcome="credited", reason="")


def store(folder: Path, credits: pd.DataFrame, outcomes: pd.DataFrame) -> Path:
    """Store credits and outcomes in a new database."""
    database = peers.new_database(folder)
    store_credits(Database(database), RUN, credits, outcomes, outcomes)
    return database


def same_databases(ours: Path, theirs: Path) -> None:
    """The same counts and sums; in small databases, the same rows."""
    with closing(sqlite3.connect(ours)) as connection:
        connection.execute("ATTACH ? AS other", [str(theirs)])
        for table in ("attribution_customer_journey", "attribution_phases", "attribution_outcomes"):
            number = {"attribution_customer_journey": "ihc", "attribution_phases": "holder"}.get(table, "0")
            query = "SELECT count(*), count(DISTINCT conv_id), round(total({}), 6) FROM {}.{}"
            one, other = (
                connection.execute(query.format(number, name, table)).fetchone() for name in ("main", "other")
            )
            assert one == other, table
            if one[0] < FEW:
                rest = f"SELECT * FROM main.{table} EXCEPT SELECT * FROM other.{table}"
                assert not connection.execute(rest).fetchall(), table


def _sessions_and_conversions(shop: Shop) -> Given:
    return shop.tables()[:2]


def _to_store(shop: Shop) -> Given:
    return shop.folder / STORED, shop.credits(), outcomes_of(shop.tables().conversions)


def _rows_to_store(shop: Shop) -> Given:
    folder, credits, outcomes = _to_store(shop)
    return folder, peers.rows_for_executemany(credits, outcomes)


def _fitting(shop: Shop) -> Given:
    return (fit_journeys(shop.journeys(), MAX_SESSIONS)[0],)


def _count_sessions(shop: Shop) -> int:
    return SIZES[shop.size]


def _count_touchpoints(shop: Shop) -> int:
    return len(shop.journeys())


def _journeys(shop: Shop) -> Given:
    return (shop.journeys(),)


def _tables_and_credits(shop: Shop) -> Given:
    return shop.tables(), shop.credits()


def _coded_tables_and_credits(shop: Shop) -> Given:
    """The ids as categories, as a run passes them on."""
    results = no_results()._replace(credits=shop.credits()[list(CREDITS)])
    source = with_codes(Source(shop.tables(), results, no_phases(), is_stored=True))
    return source.tables, source.results.credits


def _all_paths(shop: Shop) -> Given:
    return shop.journeys(), shop.idle()


def _count_all(shop: Shop) -> int:
    return len(shop.journeys()) + len(shop.idle())


def _winning_texts(shop: Shop) -> Given:
    texts = shop.path_texts()
    return (texts[texts["conversions"] > 0],)


STAGES = {
    "reading": Stage(
        read_whole,
        lambda shop: (shop.database(),),
        _count_sessions,
        {"pandas.read_sql": Peer(peers.read_by_pandas, same_tables)},
    ),
    "reading and checking": Stage(read_tables, lambda shop: (shop.database(),), _count_sessions, {}),
    "journeys": Stage(
        build_journeys,
        _sessions_and_conversions,
        _count_touchpoints,
        {
            "SQL": Peer(peers.journeys_by_sql, same_frames, lambda shop: (shop.database(),)),
            "merge": Peer(peers.journeys_by_merge, same_frames),
            "DuckDB": Peer(peers.journeys_by_duckdb, same_frames, needs="duckdb"),
            "DuckDB, Arrow": Peer(peers.journeys_by_duckdb_and_arrow, same_frames, needs="duckdb"),
            "Polars": Peer(peers.journeys_by_polars, same_frames, needs="polars"),
        },
    ),
    "requests": Stage(
        make_bodies,
        _fitting,
        _count_touchpoints,
        {
            "to_dict, json": Peer(
                peers.bodies_by_json,
                same_bodies,
                lambda shop: (pack_requests(*_fitting(shop)),),
            )
        },
    ),
    "attribute": Stage(lambda journeys: attribute(journeys, load_parameters()), _journeys, _count_touchpoints, {}),
    "first, last, linear": Stage(rules_of_thumb, _journeys, _count_touchpoints, {}),
    "channel paths": Stage(
        channel_paths,
        _all_paths,
        _count_all,
        {"texts by groupby": Peer(path_texts, same_paths)},
    ),
    "first, last, linear of paths": Stage(
        touch_totals,
        lambda shop: (shop.channel_paths(),),
        _count_all,
        {
            "ChannelAttribution": Peer(
                peers.heuristics_by_channel_attribution, same_totals, _winning_texts, needs="ChannelAttribution"
            )
        },
    ),
    "Markov of paths": Stage(
        removal_effects,
        lambda shop: (shop.channel_paths(),),
        _count_all,
        {
            "ChannelAttribution": Peer(
                peers.markov_by_channel_attribution,
                same_effects(0.05),
                lambda shop: (shop.path_texts(),),
                needs="ChannelAttribution",
            ),
            "ChannelAttribution to 0.5 %": Peer(
                peers.markov_precisely_by_channel_attribution,
                same_effects(0.01),
                lambda shop: (shop.path_texts(),),
                needs="ChannelAttribution",
            ),
            "marketing-attribution-models": Peer(
                peers.markov_by_marketing_attribution_models,
                same_effects(1e-9),
                lambda shop: (touchpoints(shop),),
                needs="mam",
                largest="200k",
            ),
        },
    ),
    "channel_reporting": Stage(
        lambda tables, credits: channel_reporting(*tables, credits),
        _tables_and_credits,
        _count_touchpoints,
        {"merge, groupby": Peer(peers.reporting_by_merging, same_frames)},
    ),
    "channel_reporting, ids as categories": Stage(
        lambda tables, credits: channel_reporting(*tables, credits),
        _coded_tables_and_credits,
        _count_touchpoints,
        {"merge, groupby": Peer(peers.reporting_by_merging, same_frames, _tables_and_credits)},
    ),
    "channel_summary": Stage(
        lambda tables, credits: channel_summary(*tables, credits), _tables_and_credits, _count_touchpoints, {}
    ),
    "storing": Stage(
        store,
        _to_store,
        _count_touchpoints,
        {"executemany": Peer(peers.store_by_executemany, same_databases, _rows_to_store)},
    ),
}
