"""Architecture: layers, size of packages and public names."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import ROOT

import ihc

HOUSE = Path(ihc.__file__).parent
PACKAGES = sorted(path.parent for path in HOUSE.glob("*/__init__.py"))


def test_imports_follow_the_layers_in_pyproject(tmp_path):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--cache-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_has_at_most_thirteen_files_and_tests_of_its_own(package):
    assert len(list(package.glob("*.py"))) <= 13
    assert list((ROOT / "tests" / package.name).glob("test_*.py"))


def test_the_root_has_at_most_eight_files():
    assert len(list(HOUSE.glob("*.py"))) <= 8


def test_completion_offers_only_public_names():
    assert sorted(dir(ihc)) == sorted([*ihc.__all__, "__version__"])
