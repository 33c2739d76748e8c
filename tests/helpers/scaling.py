"""Helpers for cluster tests: shops as Parquet files, a single pass in memory, and comparison of results."""

from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import Client, LocalCluster
from pandas.testing import assert_frame_equal

from helpers.frames import conversions, costs, sessions
from ihc.analysis.reconciliation import reconcile
from ihc.analysis.reporting import channel_reporting, channel_summary, model_comparison, with_ratios
from ihc.analysis.sensitivity import phase_credits
from ihc.journeys.build import build_journeys, non_converting_paths, without_new_session
from ihc.journeys.credits import outcomes_of
from ihc.models.ihc import attribute
from ihc.models.redistribution import parse_redistribution
from ihc.models.registry import models_for
from ihc.scale.job import Input, Job
from ihc.scale.output import open_output
from ihc.scale.parquet import find_files, layout_of, read_parquet
from ihc.scale.parts import Plan, Reports
from ihc.schemas.tables import COLUMNS, Tables, check_tables, inside

NAMES = ("sessions", "conversions", "costs")
GIVES = parse_redistribution(
    {
        phase: {
            "direction": "any_session",
            "receive_threshold": 0.0,
            "redistribution_channel_labels": ["Search", "Direct"],
        }
        for phase in ("initializer", "holder", "closer")
    },
    "test",
)
TIES = Tables(
    sessions(
        [
            ("b", "u", "2023-09-01 10:00:00", "Search"),
            ("a", "u", "2023-09-01 10:00:00", "Mail"),
            ("c", "u", "2023-09-01 10:00:00", "Direct"),
            ("d", "v", "2023-09-02 10:00:00", "Mail"),
            ("e", "w", "2023-09-02 11:00:00", "Social"),
        ]
    ),
    conversions(
        [
            ("l", "u", "2023-09-01 10:00:00", 10.0),
            ("k", "u", "2023-09-01 10:00:00", -3.5),
            ("lonely", "x", "2023-09-01 10:00:00", 7.0),
            ("early", "v", "2023-09-01 10:00:00", 1.0),
        ]
    ),
    costs([("a", 0.1), ("b", None), ("c", 0.2), ("gone", 5.0), ("e", 0.7)]),
)


@contextmanager
def workers_here():
    """A client of a cluster in this process."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


class Folder(NamedTuple):
    """A shop's tables as Parquet files, one folder per table."""

    path: Path

    def glob(self, name):
        return str(self.path / name / "*.parquet")

    def options(self):
        return [text for name in NAMES for text in (f"--{name}", self.glob(name))]

    def files(self):
        return Input(*(find_files(self.glob(name), name) for name in NAMES))

    def read(self):
        """The whole tables in memory, in file order."""
        return [read_whole(table, own) for table, own in zip(COLUMNS, self.files(), strict=True)]

    def job(self, output, parts, plan, journeys=False):
        return Job(self.files(), plan, open_output(str(output)), parts, journeys)


def read_whole(table, files):
    """A table in memory, in file order."""
    layouts = [layout_of(table, files.fs, path) for path in files.paths]
    return read_parquet(table, files, layouts).compute(scheduler="sync").reset_index(drop=True)


def written(folder, tables, files=2, row_group_size=7, casts=None):
    """Write each table to this number of files, in row order; `casts`: Parquet type by column."""
    for name, frame in zip(NAMES, tables, strict=True):
        (folder / name).mkdir(parents=True)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        for column, kind in (casts or {}).items():
            if column in table.column_names:
                place = table.column_names.index(column)
                table = table.set_column(place, column, kind(table[column]))
        ends = np.linspace(0, len(frame), files + 1).astype(int)
        for number in range(files):
            part = table.slice(ends[number], ends[number + 1] - ends[number])
            pq.write_table(part, folder / name / f"{number}.parquet", row_group_size=row_group_size)
    return Folder(folder)


def in_one_pass(raw, plan: Plan) -> tuple[pd.DataFrame, pd.DataFrame, Reports]:
    """The result of the library on whole tables: credits, outcomes and report tables."""
    tables: Tables = check_tables(*raw)
    rules = plan.window | plan.journey_rules
    journeys = build_journeys(*tables[:2], **rules)
    idle = non_converting_paths(*tables[:2], **rules)
    credits = attribute(journeys, plan.parameters, plan.redistribution)
    orders = tables.conversions[inside(tables.conversions["conv_date"], **plan.window)]
    outcomes = outcomes_of(orders, journeys, without_new_session(*tables[:2], **rules))
    models = {"IHC": credits} | {
        name: model(journeys) for name, model in models_for(journeys, idle, plan.direct).items()
    }
    reporting = channel_reporting(*tables, credits)
    reports = Reports(
        channel_reporting=with_ratios(reporting[inside(reporting["date"], **plan.window)]),
        channel_summary=channel_summary(*tables, credits, **plan.window),
        model_comparison=model_comparison(journeys, models | phase_credits(credits)),
        reconciliation=reconcile(tables, credits, outcomes, reporting, **plan.window),
    )
    return credits, outcomes, reports


def assert_same_bits(found, expected, key):
    """The same rows, bit-identical, in any order."""
    found, expected = (frame.sort_values(key, ignore_index=True) for frame in (found, expected))
    assert_frame_equal(found, expected, check_exact=True)
    for name in expected.select_dtypes("float64"):
        assert (found[name].to_numpy().view("int64") == expected[name].to_numpy().view("int64")).all()


def assert_same_reports(found, expected):
    for name, table in expected._asdict().items():
        own = getattr(found, name).reset_index(drop=True)
        assert_frame_equal(own, table.reset_index(drop=True), check_exact=True, obj=name)


def assert_same_as_in_one_pass(output, reports, raw, plan):
    credits, outcomes, expected = in_one_pass(raw, plan)
    assert_same_bits(pd.read_parquet(output / "credits"), credits, ["conv_id", "session_id"])
    assert_same_bits(pd.read_parquet(output / "outcomes"), outcomes, ["conv_id"])
    assert_same_reports(reports, expected)
