"""No more rows than a reader takes in: the channels that matter by name, all others summed up as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pandas as pd

MOST_ROWS = 30


def others(count: int) -> str:
    """What so many channels are called that are summed up as one."""
    return f"other ({count:,} channels)"


class Folding(NamedTuple):
    """The channels that are `named`, the first matters most, and what the `rest` is called; empty without a rest."""

    named: list[str]
    rest: str

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Call each channel that is not named by the name of the rest. In and out: any frame with `channel_name`."""
        if not self.rest:
            return frame
        codes, names = pd.factorize(frame["channel_name"])
        kept = pd.Series(names).where(pd.Series(names).isin(self.named), self.rest)
        return frame.assign(channel_name=kept.array.take(codes))

    def only(self, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out the channels that are not named, of figures that cannot be summed up; all rows without a rest."""
        return table[table["channel_name"].isin(self.named)].reset_index(drop=True) if self.rest else table

    def table(
        self,
        whole: pd.DataFrame,
        make: Callable[..., pd.DataFrame],
        *arguments: Any,
        has_total: bool = False,
        **options: Any,
    ) -> pd.DataFrame:
        """Make a table anew with the rest as one channel, its row behind the named ones.

        In: the `whole` table, which is given back where there is no rest; what to `make` it by, and of what: frames
        with `channel_name`, and others. `has_total`: the total stays in the last row.
        """
        if not self.rest:
            return whole
        is_named = [isinstance(each, pd.DataFrame) and "channel_name" in each for each in arguments]
        folded = [self.of(each) if named else each for each, named in zip(arguments, is_named, strict=True)]
        made = make(*folded, **options).reset_index(drop=True)
        end = len(made) - has_total
        is_rest = made.index.isin(made.index[:end][made["channel_name"].iloc[:end] == self.rest])
        rows = [made[:end][~is_rest[:end]], made[is_rest], made[end:]]
        return pd.concat(rows, ignore_index=True)


def folding(names: Iterable[str], order: Iterable[str], most: int = MOST_ROWS) -> Folding:
    """Choose the channels that are named: the first `most` of the `order` that are among `names`.

    In: the `names` of the channels that there are; all channels in their `order`, as `colours_of` gives it. A rest of
    a single channel is named too.
    """
    there = set(names)
    listed = [name for name in order if name in there]
    if len(listed) <= most + 1:
        return Folding(listed, "")
    return Folding(listed[:most], others(len(listed) - most))
