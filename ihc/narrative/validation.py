"""Sentences on how near the models are to the truth of simulated shops."""

from __future__ import annotations

import pandas as pd

from ihc.formatting import fixed, shown
from ihc.lab.validation import EQUAL, IHC


def validation_sentences(table: pd.DataFrame) -> list[str]:
    """State the nearest model of each generator, the place of IHC, and whether equal shares are nearer. In: `validate`.

    Models with the same error to three decimals share a place.
    """
    return [_sentence(str(name), rows) for name, rows in table.groupby("generator", sort=False)]


def _sentence(generator: str, rows: pd.DataFrame) -> str:
    errors = rows.set_index("model")["share_error"].round(3)
    equal, errors = errors[EQUAL], errors.drop(EQUAL)
    best, ours = errors.min(), errors[IHC]
    nearest = " and ".join(shown(name) for name in errors.index[errors == best])
    is_one = (errors == best).sum() == 1
    text = f"{shown(generator)}: {nearest} {'is' if is_one else 'are'} nearest (error {fixed(best, 3)})"
    if ours > best:
        text += f"; IHC is number {fixed((errors < ours).sum() + 1)} of {fixed(len(errors))} ({fixed(ours, 3)})"
    worse = int((errors > equal).sum())
    return f"{text}. {_beaten(worse, len(errors))} ({fixed(equal, 3)})."


def _beaten(worse: int, models: int) -> str:
    if not worse:
        return "All models are nearer than equal shares"
    verb = "is" if worse == 1 else "are"
    which = "All models" if worse == models else f"{fixed(worse)} of {fixed(models)} models"
    return f"{which} {verb} further from the truth than equal shares"
