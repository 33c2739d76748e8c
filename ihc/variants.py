"""The settings that are tried to see what depends on them: models, lookbacks, redistributions; phases as models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.baselines import DIRECT, direct_channels
from ihc.engine import attribute
from ihc.errors import InputError, some
from ihc.ids import PAIR
from ihc.journeys import LONGEST_LOOKBACK
from ihc.models import Model, models_with
from ihc.parameters import Parameters
from ihc.redistribution import Redistribution, move, parse_redistribution
from ihc.schemas import CREDITS, PHASES, SHARES, require_columns
from ihc.touchpoints import channel_codes, in_time_order

IHC = "IHC"
LOOKBACKS: tuple[float | None, ...] = (None, 30.0, 7.0)  # days; None: as far back as the run's journeys reach
COMPARED = (IHC, "Last touch", "Linear", "Position-based")
NOTHING = 1e-6  # a phase of an order below this is a rounding of none
AS_IS, OWN, DIRECT_GIVES = "none", "as in the run", "direct gives its credit away"

Variant = Callable[[pd.DataFrame, Redistribution | None], pd.DataFrame]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def variants_of(
    parameters: Parameters, names: Sequence[str] = COMPARED, direct: Collection[str] = DIRECT
) -> dict[str, Variant]:
    """The models to try, by name, each as a function of `journeys` and a redistribution.

    IHC carries a redistribution out on its phases, any other model of `MODELS` on its credit, see `redistributed`.
    `direct`: the names of channels that are direct traffic.
    Raises InputError for a name that is none of these.
    """
    known: dict[str, Variant] = {IHC: lambda journeys, rules: attribute(journeys, parameters, rules)}
    known |= {name: partial(_with_rules, model) for name, model in models_with(direct).items()}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"There is no model {some(unknown)}; there are {', '.join(known)}.")
    return {name: known[name] for name in names}


def _with_rules(model: Model, journeys: pd.DataFrame, rules: Redistribution | None) -> pd.DataFrame:
    return redistributed(model(journeys), journeys, rules)


def lookbacks_to_try(lookback_days: float | None, tried: Sequence[float | None] = LOOKBACKS) -> list[float | None]:
    """The lookbacks [days] to try where the run itself has `lookback_days`: those that are shorter, after its own."""
    reach = np.inf if lookback_days is None else lookback_days
    return [None, *(days for days in dict.fromkeys(tried) if days is not None and days < reach)]


def redistributions_to_try(
    channels: Iterable[str], own: Redistribution | None = None, direct: Collection[str] = DIRECT
) -> dict[str, Redistribution | None]:
    """The redistributions to try: the run's `own` and none, or else none and that of the direct traffic, if any."""
    if own:
        return {OWN: own, AS_IS: None}
    given_away = direct_given_away(channels, direct)
    return {AS_IS: None} | ({DIRECT_GIVES: given_away} if given_away else {})


def direct_given_away(channels: Iterable[str], direct: Collection[str] = DIRECT) -> Redistribution | None:
    """Let direct traffic give its credit to the other sessions of the journey; None where no channel is direct."""
    found = direct_channels(channels, direct)
    if not found:
        return None
    entry = {
        "direction": "any_session",
        "receive_threshold": 0.0,
        "redistribution_channel_labels": found,
    }
    return parse_redistribution(dict.fromkeys(PHASES, entry), "The redistribution of direct traffic")


def redistributed(credits: pd.DataFrame, journeys: pd.DataFrame, rules: Redistribution | None) -> pd.DataFrame:
    """Carry a redistribution out on credit that has no phases.

    The channels that give in any phase give their credit away; direction and threshold are those of the phases that
    list channels if they agree, else `any_session` and 0. Receivers share in proportion to their own credit, so where
    the others of the journey have none, as under a model of a single touch, the credit stays.

    In: `credits` (`conv_id, session_id, ihc`), a row for each row of `journeys`, in its order. Out: the same rows, the
    sum of `ihc` per conversion as it was. Raises InputError where the rows are others.
    """
    if rules is None:
        return credits
    values = aligned(credits, journeys, "credits")
    points = in_time_order(journeys, "channel_name")
    codes, names = channel_codes(journeys["channel_name"])
    gives = names.isin(list(rules.channels)).to_numpy()[codes][points.row]
    moved = np.empty(len(values))
    moved[points.row] = move(values[points.row], gives, points.path, *_common(rules))
    return credits.assign(ihc=moved)


def _common(rules: Redistribution) -> tuple[str, float]:
    """The direction and the threshold of all phases that list channels, or the most generous ones."""
    entries = [entry for entry in rules.entries.values() if entry["redistribution_channel_labels"]]
    directions = {entry["direction"] for entry in entries}
    thresholds = {entry["receive_threshold"] for entry in entries}
    return (
        directions.pop() if len(directions) == 1 else "any_session",
        thresholds.pop() if len(thresholds) == 1 else 0.0,
    )


def aligned(credits: pd.DataFrame, journeys: pd.DataFrame, what: str) -> Floats:
    """The values of `ihc`, once their rows are known to be those of `journeys`."""
    require_columns(credits, CREDITS, what)
    if not credits[PAIR].reset_index(drop=True).equals(journeys[PAIR].reset_index(drop=True)):
        raise InputError(f"{what[0].upper()}{what[1:]} must have a row for each row of journeys, in its order.")
    values = credits["ihc"].to_numpy("float64")
    if not np.isfinite(values).all():
        raise InputError(f"{what[0].upper()}{what[1:]} must have a number in each row of ihc.")
    return values


def within_lookback(journeys: pd.DataFrame, lookback_days: float | None) -> pd.DataFrame:
    """Leave out older sessions, as `build_journeys` does. In: `journeys`; out: the rows that stay, as they are.

    A session that is exactly `lookback_days` [24 h each] older than its conversion stays; a conversion whose sessions
    are all older has no row any more. Raises InputError for a `lookback_days` outside of 0 to 100,000.
    """
    return journeys[is_within(journeys, lookback_days)]


def is_within(journeys: pd.DataFrame, lookback_days: float | None) -> Booleans:
    """Mark the rows that `within_lookback` keeps."""
    if lookback_days is None:
        return np.ones(len(journeys), dtype=bool)
    if not 0 < lookback_days <= LONGEST_LOOKBACK:
        raise InputError(f"A lookback is {lookback_days} days: give above 0 and up to {LONGEST_LOOKBACK:,}, or None.")
    age = journeys["conv_timestamp"].to_numpy() - journeys["timestamp"].to_numpy()
    mask: Booleans = age <= np.timedelta64(round(lookback_days * 86_400_000_000), "us")
    return mask


def phase_credits(credits: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Take each phase for a model of its own, to stand beside the others in `model_comparison`.

    In: `credits` (`conv_id, session_id, initializer, holder, closer, ihc`; a phase may be NaN where another program
    stored the credit). Out: by the phase's heading `conv_id, session_id, ihc [share]`. An order that has no session in
    a phase has its credit of `ihc` there, so that every model spreads the same revenue. Raises InputError for a missing
    column.
    """
    require_columns(credits, (*PAIR, *SHARES), "credits")
    order = pd.factorize(credits["conv_id"])[0]
    models = {}
    for phase in PHASES:
        share = credits[phase].fillna(0.0).to_numpy("float64")
        is_absent = np.bincount(order, weights=share)[order] < NOTHING
        models[phase.capitalize()] = credits[PAIR].assign(ihc=np.where(is_absent, credits["ihc"], share))
    return models
