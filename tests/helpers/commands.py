"""Run commands in a separate process or in this one, in the folders they need."""

import io
import os
import signal
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from ihc.cli import app as cli

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "real_sample"
RESTARTING = ROOT.parent / "shared" / "real_sample_b"


class Finished(NamedTuple):
    """A finished command: its output and output folder."""

    code: int
    out: str
    err: str
    output: Path
    database: Path


def ihc(*arguments, cwd, **environment):
    """Run a command in a separate process, without the settings of this one."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IHC_")}
    command = [sys.executable, "-m", "ihc", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=240, check=False
    )


def ihc_here(*arguments, cwd, **environment):
    """Run a command in this process, which is faster; stderr includes all warnings."""
    out, err, interrupted = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("IHC_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["ihc", *map(str, arguments)])
        try:
            with warnings.catch_warnings(record=True) as warned, pytest.raises(SystemExit) as ended:
                cli.main()
            err.writelines(f"{each.category.__name__}: {each.message}\n" for each in warned)
        finally:
            signal.signal(signal.SIGTERM, interrupted)
    return subprocess.CompletedProcess(arguments, ended.value.code or 0, out.getvalue(), err.getvalue())


def run_ihc(folder, database, *arguments, **environment):
    done = ihc("run", "--database", database, "--output", folder / "out", *arguments, cwd=folder, **environment)
    return Finished(done.returncode, done.stdout, done.stderr, folder / "out", database)
