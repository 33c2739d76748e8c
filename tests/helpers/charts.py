"""Every chart with its table, and reading texts and bars from a drawn chart."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.text import Text

from helpers.frames import converting, curves_of, journey
from helpers.grids import grid_of
from ihc.analysis.break_even import ABOVE, BELOW, TOO_FEW, UNCLEAR
from ihc.analysis.paths import channel_roles, commonest_paths, transition_matrix
from ihc.analysis.sensitivity import AS_IS, rank_stability
from ihc.charts import break_even, changes, channels, completeness, maturity, models, paths, periods, sensitivity
from ihc.charts.palette import channel_colours
from ihc.charts.style import styled
from ihc.models.explanation import curve_points, explain
from ihc.models.registry import EQUAL

NAN = float("nan")
NAMES = ["Search", "Mail", "Social"]
COLOURS = {"Search": "#117733", "Mail": "#e69f00"}
DAYS = ["2023-09-01", "2023-09-02", "2023-09-03"]


def of_channels(**columns):
    """One row per channel of NAMES."""
    return pd.DataFrame({"channel_name": NAMES} | columns)


def renamed(frame, names):
    """The frame's rows, repeated to one row per name."""
    rows = frame.iloc[[number % len(frame) for number in range(len(names))]].reset_index(drop=True)
    return rows.assign(channel_name=pd.array(names, dtype="str"))


def journeys_of(*journeys):
    """Journeys of the channels in each list of names."""
    parts = [
        journey(*((hour, name, 1, 1) for hour, name in enumerate(names)), conv_id=f"k{number}")
        for number, names in enumerate(journeys)
    ]
    return pd.concat(parts, ignore_index=True)


def many_cells(names, models=4, lookbacks=3):
    """Cells of a shop with these channels, all different."""
    random = np.random.default_rng(1)
    cells = [(days, f"model {number}", AS_IS) for days in [NAN, *range(1, lookbacks)] for number in range(models)]
    return grid_of(*((cell, dict(zip(names, random.lognormal(0, 2, len(names)), strict=True))) for cell in cells))


ROAS = of_channels(
    cost=[60.0, 39.0, 1.0],
    ROAS=[2.306, 0.5, 0.0],
    ROAS_low=[1.901, 0.25, 0.0],
    ROAS_high=[2.8, 0.99, 0.0],
    verdict=[ABOVE, BELOW, TOO_FEW],
)
ROOM = of_channels(
    cost=[100.0, 12_300.0, 50.0], break_even_cost=[250.0, 1_000.0, 50.0], headroom=[150.0, -11_300.0, 0.0]
)
CALIBRATED = of_channels(
    ROAS=[2.3, 0.5, 40.0],
    iROAS=[1.5, 0.2, 0.9],
    iROAS_low=[1.1, -0.4, -6.0],
    iROAS_high=[1.9, 0.8, 8.0],
    verdict=[ABOVE, BELOW, UNCLEAR],
    experiments=[2, 1, 0],
)
CHANGES = of_channels(
    new_orders=[1200.0, 300.0, 0.0],
    late_sessions=[-200.0, 100.0, 0.0],
    gone_orders=[0.0, 0.0, -50.0],
    ihc_revenue_change=[1000.0, 400.0, -50.0],
)
SUMMARY = of_channels(cost=[100.0, 10.0, 50.0], ihc_revenue=[250.0, 10.0, 5.0])
SHARES = of_channels(
    share_of_credit=[0.7, 0.251, 0.049],
    share_of_credit_low=[0.65, 0.2, 0.012],
    share_of_credit_high=[0.75, 0.3, 0.0994],
    share_of_cost=[0.6, 0.4, 0.0],
)
PHASE_SHARES = of_channels(
    ihc=[1_234.5, 20.0, 0.0], initializer=[0.5, 0.05, NAN], holder=[0.2, 0.065, NAN], closer=[0.3, 0.885, NAN]
)
WEIGHTS = of_channels(
    initializer_weight=[0.807, 1.0, 1.004], holder_weight=[1.0, 1.25, 0.996], closer_weight=[1.0, 1.0, 0.994]
)
SCORES = of_channels(initializer_score=[2.5, 0.0, 0.5], holder_score=[NAN] * 3, closer_score=[1.0, 1.5, 0.5])
IMPACT = of_channels(
    influenced_conversions=[1_200, 300, 1], share_of_conversions=[0.8, 0.2, 0.001], average_impact=[0.75, 0.5, 0.0]
)
DISTRIBUTION = of_channels(
    sessions_in_journeys=[2_000, 4, 1],
    no_credit=[0.0, 0.5, 0.0],
    up_to_10=[0.25, 0.0, 0.0],
    up_to_25=[0.25, 0.0, 0.0],
    up_to_50=[0.0, 0.5, 0.0],
    below_all=[0.25, 0.0, 0.0],
    all_credit=[0.25, 0.0, 1.0],
)
BARS = pd.DataFrame(
    {
        "line": ["orders read", "less: without any session (unattributed)", "plus: some", "less: failed", "credited"],
        "kind": ["total", "step", "step", "step", "total"],
        "start": [0.0, 1_650.0, 1_600.0, 1_700.5, 0.0],
        "end": [1_650.0, 1_600.0, 1_700.5, 1_700.5, 1_700.5],
        "amount": [1_650.0, -50.0, 100.5, 0.0, 1_700.5],
    }
)
IDLE = of_channels(
    cost=[1_000.0, 10.0, 0.0], cost_without_credit=[250.0, 0.04, 0.0], share_without_credit=[0.25, 0.004, NAN]
)
UNATTRIBUTED = pd.DataFrame({"day": DAYS, "unattributed_revenue": [1_200.0, 2_400, 0], "waiting_or_failed_revenue": 7})
LAGS = pd.DataFrame({"lag": [0, 1, 2, 3], "cumulated": [0.4, 0.6, 0.8, 1.0]})
ARRIVAL = pd.DataFrame({"age": [0, 1, 2, 3], "arrived": [0.3, 0.5, 0.75, 1.0]})
RELATIVE = of_channels(IHC=[28_066.0, 950.0, 1.0], **{"First touch": [0.123, -0.5, NAN], "Linear": [0.0, 20.0, -0.004]})
PARAMETERS = curves_of()
POINTS = curve_points(PARAMETERS.initializer)
PHASES = pd.DataFrame({"phase": ["initializer", "holder", "closer"], "phase_weight": [0.2, 0.5, 0.3]})
MOVED = of_channels(ihc_before=[10.0, 5.0, 1.0], ihc_after=[8.0, 7.0, 1.0], ihc_change=[-2.0, 2.0, 0])
STEPS = explain(journey((0, "Search", 1, 1), (110, "Mail", 1, 1), (140, "Social", 1, 1)), PARAMETERS, "k")
CLASSES = pd.DataFrame(
    {
        "length": ["1", "2", "3", "4", "5+"],
        "orders": [1_200, 0, 294, 5, 1],
        "share": [0.8, 0.0, 0.196, 0.0033, 0.0007],
    }
)
SHOP = converting("A", "A", "ABC", "CBA", "ABA", "B")
WEEKLY = pd.DataFrame(
    {
        "channel_name": ["Search", "Search", "Mail", "Mail"],
        "week": ["2023-09-04", "2023-09-11"] * 2,
        "days": [7, 4] * 2,
        "ihc_revenue": [100.0, 50.0, 30.0, 20.0],
    }
)
DAILY = pd.DataFrame(
    {"channel_name": ["Search", "Search", "Mail", "Mail"], "date": DAYS[:2] * 2, "ROAS": [2.5, NAN, 0.0, 1_000.0]}
)
TOTALS = pd.DataFrame({"date": DAYS, "cost": [10.0, 20.0, 30.0], "ihc_revenue": [50.0, 40.0, 8.0]})
MATURITY = pd.DataFrame({"date": DAYS, "ihc_revenue_expected": [50.0, 41.0, 16.0], "is_immature": [False, False, True]})
GRID = grid_of(*(
    ((days, model, redistribution), {"A": 2.0, "B": 0.5})
    for redistribution in (AS_IS, "direct gives")
    for days in (NAN, 7)
    for model in ("IHC", "Linear", "Last touch")
))  # fmt: skip

ERRORS = pd.DataFrame(
    [
        (generator, model, error, error / 2, error * 1.5)
        for generator, step in (("Shop", 0.02), ("Time to event", 0.01), ("Benchmark A", 0.015))
        for error, model in ((2 * step, "IHC"), (step, "Last non-direct touch"), (1.5 * step, EQUAL))
    ],
    columns=["generator", "model", "share_error", "share_error_low", "share_error_high"],
)
STRESSED = pd.DataFrame(
    {
        "channel_name": ["A", "B"],
        "ROAS": [4.0, 1.1],
        "ROAS_low": [2.0, 0.6],
        "ROAS_high": [4.5, 1.2],
        "holds": [1.0, 0.4],
    }
)


def coloured(frame):
    return channel_colours(frame["channel_name"].unique().tolist())


def roas_over_time(daily):
    return periods.roas_over_time_chart(daily, daily["channel_name"].unique().tolist(), coloured(daily), DAYS[1:2])


def common_paths(table):
    names = {name for path in table["path"] for name in path.split(" > ")}
    return paths.commonest_paths_chart(table, channel_colours(sorted(names)))


class Drawn(NamedTuple):
    """A chart's function, its table, and a table for arbitrary channels, if the chart shows channels."""

    draw: Callable
    frame: pd.DataFrame
    of: Callable | None
    limit: int = 26  # characters of a name


def drawn(draw, frame, limit=26):
    return Drawn(draw, frame, partial(renamed, frame), limit)


CHARTS = {
    "roas_by_channel_chart": drawn(partial(break_even.roas_by_channel_chart, colours=COLOURS), ROAS, 22),
    "room_to_break_even_chart": drawn(break_even.room_to_break_even_chart, ROOM, 22),
    "calibrated_roas_chart": drawn(break_even.calibrated_roas_chart, CALIBRATED, 22),
    "changes_by_channel_chart": drawn(changes.changes_by_channel_chart, CHANGES),
    "cost_against_revenue_chart": drawn(channels.cost_against_revenue_chart, SUMMARY),
    "bars_chart": drawn(lambda table: channels.bars_chart(table, "channel_name", "cost", "ihc_revenue"), SUMMARY),
    "credit_against_cost_chart": drawn(partial(channels.credit_against_cost_chart, colours=COLOURS), SHARES, 22),
    "phases_by_channel_chart": drawn(channels.phases_by_channel_chart, PHASE_SHARES, 22),
    "channel_weights_chart": drawn(channels.channel_weights_chart, WEIGHTS, 22),
    "channel_scores_chart": drawn(channels.channel_scores_chart, SCORES, 22),
    "channel_impact_chart": drawn(channels.channel_impact_chart, IMPACT, 22),
    "credit_distribution_chart": drawn(channels.credit_distribution_chart, DISTRIBUTION),
    "waterfall_chart": Drawn(completeness.waterfall_chart, BARS, None),
    "cost_without_credit_chart": drawn(completeness.cost_without_credit_chart, IDLE),
    "unattributed_by_day_chart": Drawn(completeness.unattributed_by_day_chart, UNATTRIBUTED, None),
    "credit_lag_chart": Drawn(partial(maturity.credit_lag_chart, arrival=ARRIVAL), LAGS, None),
    "models_by_channel_chart": drawn(models.models_by_channel_chart, RELATIVE, 22),
    "membership_chart": Drawn(partial(models.membership_chart, label="since the previous session"), POINTS, None),
    "phase_weights_chart": Drawn(models.phase_weights_chart, PHASES, None),
    "redistribution_chart": drawn(models.redistribution_chart, MOVED),
    "explanation_chart": drawn(models.explanation_chart, STEPS, 22),
    "conversions_by_class_chart": Drawn(
        partial(paths.conversions_by_class_chart, column="length", label="sessions in the journey"), CLASSES, None
    ),
    "channel_roles_chart": Drawn(
        paths.channel_roles_chart, channel_roles(SHOP), lambda names: channel_roles(journeys_of(names))
    ),
    "transitions_chart": Drawn(
        paths.transitions_chart, transition_matrix(SHOP), lambda names: transition_matrix(journeys_of(names)), 22
    ),
    # One cell per row leaves 60 characters for a name.
    "commonest_paths_chart": Drawn(
        common_paths,
        commonest_paths(SHOP),
        lambda names: commonest_paths(journeys_of(*([name] for name in names))),
        60,
    ),
    "revenue_by_week_chart": drawn(lambda weekly: periods.revenue_by_week_chart(weekly, coloured(weekly)), WEEKLY, 22),
    "roas_over_time_chart": drawn(roas_over_time, DAILY, 22),
    "roas_trend_chart": Drawn(
        partial(periods.roas_trend_chart, column="date"), TOTALS.assign(ROAS=[5.0, 2, NAN]), None
    ),
    "cost_and_revenue_chart": Drawn(partial(periods.cost_and_revenue_chart, maturity=MATURITY), TOTALS, None),
    "roas_under_settings_chart": Drawn(sensitivity.roas_under_settings_chart, GRID, many_cells, 24),
    "roas_range_chart": Drawn(
        sensitivity.roas_range_chart, rank_stability(GRID), lambda names: rank_stability(many_cells(names)), 22
    ),
    "stress_chart": drawn(sensitivity.stress_chart, STRESSED, 22),
    "share_errors_chart": Drawn(models.share_errors_chart, ERRORS, None),
}  # fmt: skip


def svg(figure):
    stream = BytesIO()
    with styled():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def texts(figure):
    """The texts of the chart, from its SVG."""
    root = ET.fromstring(svg(figure))
    return ["".join(entry.itertext()) for entry in root.iter("{http://www.w3.org/2000/svg}text")]


def labels(axes):
    """The labels within the plot area."""
    return [text.get_text() for text in axes.texts]


def row_names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def spans(axes):
    """Start and length of each bar."""
    return [(bar.get_x(), bar.get_width()) for bar in axes.patches]


def offsets(marks):
    return marks.get_offsets()[:, 0].tolist()


def overlapping(figure):
    """Overlapping pairs of texts (except slanted ones), and texts cut off at the edge."""
    with styled():
        figure.draw_without_rendering()
        outside = _labels_outside(figure)
        written = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        seen = [text for text in written if text not in outside and text.get_rotation() in (0, 90)]
        boxes = [(text.get_text(), text.get_window_extent()) for text in seen]
    edge = figure.bbox.padded(1)
    cut = [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))]
    return cut + [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.shrunk(0.98, 0.9).overlaps(other)]


def _labels_outside(figure):
    """Labels of ticks outside their axis, which are not drawn."""
    outside = set()
    for axes in figure.axes:
        for axis, bounds in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not min(bounds) <= tick.get_loc() <= max(bounds):
                    outside |= {tick.label1, tick.label2}
    return outside
