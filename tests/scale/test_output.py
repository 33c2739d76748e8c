import json
import os
import subprocess
import sys

import pytest

from ihc.errors import SettingsError
from ihc.scale.output import KEYS, SCRATCH, WRITTEN, check_output, claimed, new_run
from ihc.scale.parquet import Source
from ihc.scale.store import make_folders, open_store, whole_file

OURS = json.dumps(dict.fromkeys(KEYS)).encode()


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return open_store(str(tmp_path / "out") if request.param == "disk" else f"memory://{tmp_path}/out", "--output")


def put(store, name, content=b"mine"):
    make_folders(store, *([name.rsplit("/", 1)[0]] if "/" in name else []))
    with whole_file(store, name) as file:
        file.write(content)


@pytest.mark.parametrize("name", [*WRITTEN, "credits/x", "journeys/deep/x", "scale.json/x"])
def test_what_the_command_did_not_write_is_not_overwritten(store, name):
    put(store, name)
    with pytest.raises(SettingsError, match=r"holds '.*', and no scale.json says .*name another folder, or move that"):
        check_output(store, [])


def test_results_of_before_are_overwritten_and_other_files_do_not_matter(store):
    put(store, "notes/x")
    put(store, ".trial")
    check_output(store, [])
    put(store, "credits/x")
    put(store, "scale.json", OURS)
    check_output(store, [])


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"\xff", b'{"parts": 1}'])
def test_a_scale_json_of_somebody_else_says_nothing(store, content):
    put(store, "scale.json", content)
    with pytest.raises(SettingsError, match="holds 'scale"):
        check_output(store, [])


def test_an_input_in_a_folder_that_is_written_anew_is_refused(store):
    put(store, "scale.json", OURS)
    check_output(store, [Source(store.fs, store.path("sessions/x.parquet"))])
    for name in ("credits", "journeys/deep"):
        with pytest.raises(
            SettingsError, match=rf"The input .*{name}/x.parquet lies in the folder .*, which is written"
        ):
            check_output(store, [Source(store.fs, store.path(f"{name}/x.parquet"))])


def test_an_input_by_another_name_of_the_folder_is_refused_too(tmp_path):
    store = open_store(str(tmp_path / "out"), "--output")
    (tmp_path / "other").symlink_to(tmp_path / "out")
    with pytest.raises(SettingsError, match="lies in the folder"):
        check_output(store, [Source(store.fs, str(tmp_path / "other" / "credits" / "x.parquet"))])


def test_what_a_process_left_that_is_gone_is_deleted_and_all_else_stays(store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, process, _ = new_run().rsplit("-", 2)
    assert process == str(os.getpid())
    dead = [f"{SCRATCH}{host}-{gone.pid}-{'0' * 12}", f"{SCRATCH}{host}-{gone.pid}-{'1' * 12}.gone-ab"]
    others = [f"{SCRATCH}{host}-{process}-{'2' * 12}", f"{SCRATCH}{host}x-{gone.pid}-{'3' * 12}"]
    for name in (*dead, *others, ".ihc-scale.gone-notes"):
        put(store, f"{name}/x")
    run = new_run()
    with claimed(store, run) as found:
        put(store, f"{SCRATCH}{run}/x")
        assert found == others
    kept = sorted(path.rsplit("/", 1)[-1] for path in store.fs.ls(store.root, detail=False))
    assert kept == sorted([*others, ".ihc-scale.gone-notes"])
