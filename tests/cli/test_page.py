import re
import shutil
from html import escape

import nbformat
import pytest
from helpers.commands import ihc_here

from ihc.report.files import FAILED_CHART


@pytest.fixture
def executed(finished, tmp_path):
    """A copy of the notebooks that a run executed."""
    (folder,) = (finished.output / "runs").iterdir()
    return shutil.copytree(folder, tmp_path / "executed")


def test_it_writes_the_report_of_the_run_without_secrets_and_prints_where(finished, executed, tmp_path):
    report, theirs = tmp_path / "there" / "report.html", (finished.output / "report.html").read_text("utf-8")
    word = re.search("influenced orders", theirs, re.IGNORECASE)[0]
    done = ihc_here("page", executed, "--output", "there", cwd=tmp_path, IHC_API_KEY=word)
    assert (done.returncode, done.stdout) == (0, f"{report}\n"), done.stderr
    # Whatever stands there is masked where it is the key.
    assert report.read_text("utf-8") == theirs.replace(word, "***") != theirs


def test_a_chart_that_failed_is_a_sentence_in_the_report_and_an_exit_code(executed, tmp_path):
    sentence = "The chart a was not drawn (ValueError: <b>). The tables and CSV files have its figures."
    path = executed / "05_compare_models.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if "publish_chart(" in cell.source)
    failed = {"text/html": f'<p class="warning">{escape(sentence)}</p>'}
    cell.outputs = [nbformat.v4.new_output("display_data", failed, metadata={"text/html": {FAILED_CHART: sentence}})]
    nbformat.write(notebook, path)
    done = ihc_here("page", executed, "--output", "there", cwd=tmp_path)
    report = tmp_path / "there" / "report.html"
    assert (done.returncode, done.stdout, done.stderr) == (1, f"{report}\n", f"{sentence}\n")
    assert escape(sentence) in report.read_text("utf-8")


@pytest.mark.parametrize(
    ("folder", "lacks"),
    [
        ("executed", "02_build_journeys, 05_compare_models: the report is made of"),
        ("nowhere", "01_check_data, 02_build_journeys, 04_channel_report"),
    ],
)
def test_a_folder_without_all_notebooks_is_refused_by_their_names(executed, tmp_path, folder, lacks):
    for name in ("02_build_journeys", "05_compare_models"):
        (executed / f"{name}.ipynb").unlink()
    done = ihc_here("page", folder, "--output", "there", cwd=tmp_path)
    assert done.returncode == 1
    assert f"The folder {folder} lacks {lacks}" in done.stderr
    assert not (tmp_path / "there").exists()
