"""Each stage and each installed peer runs on a small shop, with equal results."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parent / "benchmarks"))
import memory
import run
from shop import SIZES, Shop, make_shop
from stages import OURS, STAGES

from ihc.schemas.tables import check_tables

PEERS = [(stage, name) for stage, each in STAGES.items() for name, peer in each.peers.items() if peer.is_there]
QUICK = [pair for pair in PEERS if "0.5 %" not in pair[1]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return Shop(tmp_path_factory.mktemp("shops"), "4k")


def test_the_shop_is_sound_and_the_same_each_time():
    tables = make_shop(SIZES["4k"])
    assert (len(tables.sessions), len(tables.conversions)) == (4_000, 400)
    for checked, one, other in zip(check_tables(*tables), tables, make_shop(SIZES["4k"]), strict=True):
        pd.testing.assert_frame_equal(checked, one)
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_runs_and_counts_its_rows(stage, shop):
    each = STAGES[stage]
    each.work(*each.given(shop))
    assert each.rows(shop) >= 4_000


@pytest.mark.parametrize(("stage", "name"), QUICK, ids=["-".join(pair) for pair in QUICK])
def test_each_peer_has_our_result(stage, name, shop):
    each = STAGES[stage]
    work, given = each.contender(name, shop)
    each.peers[name].same(each.work(*each.given(shop)), work(*given))


def test_a_peer_with_another_result_fails(shop):
    each = STAGES["journeys"]
    ours = each.work(*each.given(shop))
    wrong = ours.assign(session_id=ours["session_id"].to_numpy()[::-1])
    with pytest.raises(AssertionError, match="session_id"):
        each.peers["merge"].same(ours, wrong)


def test_columns_shared_with_the_input_or_repeated_count_once():
    # Two new columns of 8 bytes per row, 0.0 and 1.0; the id columns are shared with the input.
    given = pd.DataFrame({"id": pd.Series(["a", "b"], dtype="str")})
    one = pd.DataFrame({"id": given["id"].array, "share": np.array([0.0, 1.0])}, copy=False)
    assert memory.size([one, one, {"more": one.assign(other=[1, 2])}], (given,)) == 2 * 16
    assert memory.size([b"four"]) == 4


def test_the_table_has_seconds_speed_growth_and_factors():
    # From 10 to 1,000 rows in 0.01 to 4 s: log(400) / log(100) = 1.30.
    figures = {
        ("journeys", "4k", OURS): {"seconds": 0.01, "rows": 10, "extra": 0, "same": ""},
        ("journeys", "5m", OURS): {"seconds": 4.0, "rows": 1_000, "extra": 1_500_000_000, "same": ""},
        ("journeys", "5m", "merge"): {"seconds": 30.0, "rows": 1_000, "extra": 5_000_000_000, "same": ""},
        ("journeys", "5m", "Polars"): {"failed": "no memory"},
    }
    assert run.as_table(figures)[2:] == [
        "| journeys | 4,000 | 0.01 | 0.00 |  |  |  |",
        "| journeys | 5,000,000 | 4 | 0.00 | 1.50 GB | 1.30 | merge 30, 7.5×, 5.00 GB; Polars: failed |",
    ]
    assert run.as_lines(figures) == ["- journeys, 5,000,000 sessions, Polars failed: no memory"]


def test_the_table_is_written_only_between_its_marks(tmp_path, monkeypatch):
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{run.BEGINS}\nold\n{run.ENDS}\nafter\n", "utf-8")
    monkeypatch.setattr(run, "PAGE", page)
    run.write_table("new")
    assert page.read_text("utf-8") == f"before\n{run.BEGINS}\n\nnew\n\n{run.ENDS}\nafter\n"


@pytest.mark.parametrize("part", [["--sizes", "4k"], ["--stages", next(iter(STAGES))]])
def test_a_partial_table_is_not_written_to_the_page(part, capsys):
    assert not run._asked(part).write_docs
    assert run._asked(["--write-docs"]).write_docs
    with pytest.raises(SystemExit):
        run._asked([*part, "--write-docs"])
    assert "--write-docs needs all sizes and stages" in capsys.readouterr().err
