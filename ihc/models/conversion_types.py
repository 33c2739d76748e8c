"""Model parameters by conversion type: a set of their own for some types, and one for all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ihc.arrays.lookup import isin, lookup
from ihc.arrays.types import Integers
from ihc.models.ihc import attribute
from ihc.models.parameters import Parameters, load_parameters
from ihc.models.redistribution import Redistribution
from ihc.schemas.conversion_types import CONVERSION_TYPE, types_of

OTHER_TYPES = "other types"


@dataclass(frozen=True)
class ParameterSets:
    """The set of each type in `by_type`, and `default` for all other conversions."""

    default: Parameters
    by_type: Mapping[str, Parameters] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name and fingerprint of each set with its type, types by name; of one set, its label."""
        if not self.by_type:
            return self.default.label
        own = (f"{self.by_type[name].label} for {name}" for name in sorted(self.by_type))
        return ", ".join([*own, f"{self.default.label} for {OTHER_TYPES}"])

    def of(self, name: str) -> Parameters:
        """The set of a conversion type."""
        return self.by_type.get(name, self.default)

    def of_conversions(self, ids: pd.Series[str], conversions: pd.DataFrame) -> Parameters:
        """The set of conversions of one type; `default` if there are none of these ids."""
        types = types_of(conversions)[isin(conversions["conv_id"], ids)]
        return self.of(types.iloc[0]) if len(types) else self.default

    def used(self, types: Iterable[str]) -> dict[str, Parameters]:
        """The sets that conversions of these types use: types with their own by name, then OTHER_TYPES.

        Without any type, the set of OTHER_TYPES.
        """
        there = set(types)
        own = {name: self.by_type[name] for name in sorted(self.by_type.keys() & there)}
        return own if own and there <= own.keys() else own | {OTHER_TYPES: self.default}

    def with_types(self, journeys: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
        """Add the type of each conversion to its journey, as `attribute_by_type` needs it.

        In: `journeys`, and `conversions` with those of the journeys. Out: `journeys`, with `conversion_type` if there
        are several sets.
        """
        if not self.by_type:
            return journeys
        types = pd.DataFrame({"conv_id": conversions["conv_id"], CONVERSION_TYPE: types_of(conversions)})
        return journeys.assign(**{CONVERSION_TYPE: lookup(journeys["conv_id"], types, "conv_id", CONVERSION_TYPE)})


def load_parameter_sets(files: Mapping[str | None, Path]) -> ParameterSets:
    """Read the sets from files by type; None: the file of all other types [default: the set that ships].

    Types whose set is that of all others have none of their own. Raises ParametersError.
    """
    default = load_parameters(files.get(None))
    own = {name: load_parameters(path) for name, path in files.items() if name is not None}
    return ParameterSets(default, {name: found for name, found in own.items() if found != default})


def attribute_by_type(
    journeys: pd.DataFrame, parameters: Parameters | ParameterSets, redistribution: Redistribution | None = None
) -> pd.DataFrame:
    """Attribute each conversion with the parameters of its type, in one pass per set.

    In: as `attribute`; with several sets, journeys of `ParameterSets.with_types`. Out: as `attribute`. Raises
    InputError as `attribute`.
    """
    sets, number = sets_of(journeys, parameters)
    if len(sets) == 1:
        return attribute(journeys, sets[0], redistribution)
    rows = [np.flatnonzero(number == each) for each in range(len(sets))]
    parts = [attribute(journeys.take(row), own, redistribution) for row, own in zip(rows, sets, strict=True)]
    in_order = np.argsort(np.concatenate(rows), kind="stable")
    return pd.concat(parts, ignore_index=True).take(in_order).reset_index(drop=True)


def sets_of(journeys: pd.DataFrame, parameters: Parameters | ParameterSets) -> tuple[list[Parameters], Integers]:
    """Return the distinct sets that journeys use, at least one, and the number of each row's set.

    In: as `attribute_by_type`.
    """
    if isinstance(parameters, Parameters) or not parameters.by_type:
        only = parameters if isinstance(parameters, Parameters) else parameters.default
        return [only], np.zeros(len(journeys), dtype="int64")
    codes, names = pd.factorize(journeys[CONVERSION_TYPE])
    of_name = [parameters.of(name) for name in names]
    sets: list[Parameters] = []
    for each in of_name or [parameters.default]:
        if each not in sets:
            sets.append(each)
    return sets, np.array([sets.index(each) for each in of_name], dtype="int64")[codes]
