"""The progress of a run, where no terminal shows bars."""

from io import StringIO

import pytest
from rich.console import Console
from rich.progress import Progress

from ihc.cli.run import _Steps


def test_each_step_is_told_when_it_begins_and_counted_when_it_is_done():
    console = Console(file=StringIO(), width=100)
    steps = _Steps(console, Progress(console=console, disable=True), 3)
    with steps.step("a"), steps.step("b"):
        pass
    with pytest.raises(ValueError, match="broken"), steps.step("c"):
        raise ValueError("broken")
    assert console.file.getvalue().splitlines() == ["a ...", "b ...", "1 of 3 done: b", "2 of 3 done: a", "c ..."]
