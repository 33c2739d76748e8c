"""Charts of the sensitivity of ROAS to model, lookback window, redistribution and damaged tracking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ihc.analysis.sensitivity import CROSSES, cell_numbers, is_above
from ihc.arrays.types import Floats
from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, WIDTH, chart, say
from ihc.formatting import fixed, general, percentage, shown
from ihc.lab.stress import HOLDS

FAR = 4.0  # the colour scale ends at this multiple, or fraction, of break-even
MOST_COLUMNS, MOST_MODELS = 12, 4  # per block; more would make figures or names overlap
ROOM = 64  # total characters of the model names in a block
NAME_LIMIT = 24
# Text on coloured cells keeps its colour on a dark page, as the cells do.
ON_PALE, ON_DARK = "#111111", "#fdfdfd"
COLOURS = colormaps["PuOr"]
LUMA = np.array([0.299, 0.587, 0.114])  # brightness of red, green and blue (ITU-R BT.601)


class _Block(NamedTuple):
    """A block of cells: one redistribution, several models, and all lookback windows of each model."""

    redistribution: str
    models: list[str]
    lookbacks: list[float]

    @property
    def columns(self) -> int:
        return len(self.models) * len(self.lookbacks)


@chart
def roas_under_settings_chart(figure: Figure, grid: pd.DataFrame, roas: float = 1.0) -> None:
    """Heat map of ROAS: one block per redistribution, one row per channel, one column per model and lookback window.

    The first cell is the base. Framed cells are on the other side of break-even.
    In: `sensitivity`: `lookback_days [NaN: that of the run], model, redistribution, channel_name, ihc_revenue, ROAS,
    rank [NaN: not drawn]`; `roas` [1, above 0]: break-even.
    """
    matter = grid[grid["rank"].notna()]
    matter = matter.assign(is_above=is_above(matter, roas))
    base = matter[cell_numbers(matter) == 0].sort_values("ihc_revenue", ascending=False, kind="stable")
    if base.empty:
        say(figure, "No channel has enough spend.")
        return
    blocks = _blocks(matter)
    figure.set_size_inches(WIDTH, 0.8 + len(blocks) * (0.75 + 0.22 * len(base)))
    panels = figure.subplots(len(blocks), 1, squeeze=False)[:, 0]
    for axes, block in zip(panels, blocks, strict=True):
        _heat(axes, _in_columns(matter, block), base.set_index("channel_name"), roas)
        _heads(axes, block, ROOM // len(blocks[0].models))
        axes.set_xlim(-0.5, blocks[0].columns - 0.5)
    # Not the label of the figure: the note below a saved chart takes its place.
    panels[-1].set_xlabel(_legend(roas, len(blocks) * blocks[0].columns > 1), fontsize=8, loc="right")


def _blocks(matter: pd.DataFrame) -> list[_Block]:
    names, models, lookbacks = (
        matter[column].drop_duplicates().tolist() for column in ("redistribution", "model", "lookback_days")
    )
    most = min(max(1, MOST_COLUMNS // len(lookbacks)), MOST_MODELS)
    runs = [models[start : start + most] for start in range(0, len(models), most)]
    return [_Block(name, run, lookbacks) for name in names for run in runs]


def _in_columns(matter: pd.DataFrame, block: _Block) -> pd.DataFrame:
    """Select the rows of a block and number their `column`: by model, then by lookback window."""
    rows = matter[(matter["redistribution"] == block.redistribution) & matter["model"].isin(block.models)]
    model = pd.Index(block.models).get_indexer(pd.Index(rows["model"]))
    lookback = pd.Index(block.lookbacks, dtype="float64").get_indexer(pd.Index(rows["lookback_days"]))
    return rows.assign(column=model * len(block.lookbacks) + lookback)


def _heat(axes: Axes, cells: pd.DataFrame, base: pd.DataFrame, roas: float) -> None:
    """Draw the cells of a block with their figures, and frame those on the other side of break-even than the base."""
    values, above = (
        cells.pivot(index="channel_name", columns="column", values=name).reindex(base.index).to_numpy()
        for name in ("ROAS", "is_above")
    )
    marks.name_rows(axes, pd.Series(base.index), NAME_LIMIT)
    edges = np.arange(values.shape[1] + 1) - 0.5, np.arange(values.shape[0] + 1) - 0.5
    shades = _shades(values.astype("float64"), roas)
    axes.pcolormesh(*edges, shades, cmap=COLOURS, vmin=0, vmax=1, edgecolor="white", linewidth=0.8)
    is_dark = COLOURS(shades)[..., :3] @ LUMA < 0.5
    is_other = above.astype(bool) != base["is_above"].to_numpy(dtype=bool)[:, None]
    size = _size(values.shape[1])
    for (row, column), value in np.ndenumerate(values):
        colour = ON_DARK if is_dark[row, column] else ON_PALE
        marks.write_in(axes, column, row, _figure(value), colour, fontsize=size)
        if is_other[row, column]:
            frame = Rectangle((column - 0.43, row - 0.41), 0.86, 0.82, fill=False, edgecolor=colour, linewidth=1.3)
            axes.add_patch(frame)
    axes.spines[:].set_visible(False)


def _size(columns: int) -> float:
    """Return the font size of the figures [pt]; smaller with more than `MOST_COLUMNS` columns."""
    return 7 * min(1.0, MOST_COLUMNS / columns)


def _shades(values: Floats, roas: float) -> Floats:
    """Scale ROAS from 0 (1/`FAR` of break-even or less) to 1 (`FAR` times break-even or more)."""
    times = np.clip(values / roas, 1 / FAR, FAR)
    shades: Floats = (1 + np.log(times) / np.log(FAR)) / 2
    return shades


def _figure(value: float) -> str:
    """Format ROAS in about four characters: 0.05, 12.3, 148, 1.2k."""
    if abs(value) < 9.995:
        return fixed(value, 2)
    if abs(value) < 999.5:
        return fixed(value, 1) if abs(value) < 99.95 else fixed(value)
    return f"{fixed(value / 1e3, 1)}k" if abs(value) < 99_950 else ">99k" if value > 0 else "<-99k"


def _heads(axes: Axes, block: _Block, limit: int) -> None:
    """Write the lookback windows above the cells, then the models, then the redistribution."""
    width = len(block.lookbacks)
    labels = ["run" if pd.isna(days) else f"{days:g} d" for days in block.lookbacks]
    axes.xaxis.tick_top()
    axes.set_xticks(range(block.columns), labels=labels * len(block.models))
    axes.tick_params(axis="x", length=0, labelsize=_size(block.columns), pad=1)
    for place, model in enumerate(block.models):
        axes.annotate(
            shown(model, limit),
            ((place + 0.5) * width - 0.5, 1),
            (0, 13),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
        if place:
            axes.axvline(place * width - 0.5, color=INK, linewidth=0.8)
    axes.set_title(f"Redistribution: {shown(block.redistribution)}", fontsize=9, color=GREY, pad=28)


def _legend(roas: float, is_compared: bool) -> str:
    most, least = general(roas * FAR, 3), general(roas / FAR, 3)
    text = f"ROAS; purple: above {general(roas, 3)}, orange: below; darkest at {most} and {least}"
    compared = (
        "columns: model and lookback window in days (run: as in the run); first column: base",
        "framed: on the other side of break-even than the base",
    )
    return "\n".join([text, *compared]) if is_compared else text


@chart
def roas_range_chart(figure: Figure, stability: pd.DataFrame, roas: float = 1.0) -> None:
    """One row per channel, by ROAS: a line over the ROAS under all settings, and a dot for the base.

    Orange: the channel is above break-even under some settings only.
    In: `rank_stability`: `channel_name, ROAS, ROAS_low, ROAS_high [1], stability`; the break-even `roas` [1].
    """
    rows = stability.sort_values("ROAS", ascending=False, kind="stable")
    axes = marks.row_axes(figure, rows["channel_name"], limit=marks.NARROW, head=1.0, grid=True)
    _draw_ranges(axes, rows, rows["stability"] == CROSSES, roas)
    axes.set_xlabel(f"ROAS (log scale); dashed: break-even {general(roas, 4)}; orange: crosses it", fontsize=9)


@chart
def stress_chart(figure: Figure, table: pd.DataFrame, roas: float = 1.0) -> None:
    """One row per channel: a line over its ROAS in 95% of the worlds, and a dot for the reported ROAS.

    Orange: the verdict holds in fewer than 95% of the worlds.
    In: `stress_verdicts`: `channel_name, ROAS, ROAS_low, ROAS_high [1], holds`; the break-even `roas` [1].
    """
    rows = table.sort_values("ROAS", ascending=False, kind="stable")
    axes = marks.row_axes(figure, rows["channel_name"], limit=marks.NARROW, grid=True)
    _draw_ranges(axes, rows, rows["holds"] < HOLDS, roas)
    marks.text_column(axes, 100, "verdict holds", [f"{percentage(share, 1)} of worlds" for share in rows["holds"]])
    fragile = f"orange: under {percentage(HOLDS)} of worlds"
    axes.set_xlabel(f"ROAS (log scale); dashed: break-even {general(roas, 4)}; {fragile}", fontsize=9)


def _draw_ranges(axes: Axes, rows: pd.DataFrame, is_fragile: pd.Series[bool], roas: float) -> None:
    """Draw one line per row from `ROAS_low` to `ROAS_high` and a dot at `ROAS`; fragile ones are orange."""
    places, shades = range(len(rows)), np.where(is_fragile, ORANGE, BLUE).tolist()
    axes.hlines(places, rows["ROAS_low"], rows["ROAS_high"], color=shades, linewidth=2.5)
    axes.scatter(rows["ROAS"], places, color=shades, s=36, zorder=3)
    marks.roas_scale(axes, roas)
