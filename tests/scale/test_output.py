import json

import pytest

from ihc.errors import ScaleError, SettingsError
from ihc.scale.output import ABOUT, KEYS, SCRATCH, WRITTEN, check_output, claimed, is_disk, open_output, publish
from ihc.scale.parquet import Files

OURS = json.dumps(dict.fromkeys(KEYS)).encode()


@pytest.fixture(params=["disk", "memory"])
def output(request, tmp_path):
    return open_output(str(tmp_path / "out") if request.param == "disk" else f"memory://{tmp_path}/out")


def put(output, name, content=b"mine"):
    if "/" in name:
        output.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
    output.pipe_file(name, content)


def names(output):
    return sorted(path.removeprefix("/") for path in output.ls("", detail=False))


@pytest.mark.parametrize("address", ["/proc/nothing", "s3://bucket/x", "nonsense://x"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_done(address):
    with pytest.raises(SettingsError, match=f"--output {address} cannot be written: .*Choose another folder"):
        open_output(address)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SettingsError, match="cannot be written"):
        open_output(str(tmp_path / "out"))


@pytest.mark.parametrize("name", [*WRITTEN, "credits/x", "journeys/deep/x", "scale.json/x"])
def test_what_the_command_did_not_write_is_not_overwritten(output, name):
    put(output, name)
    with pytest.raises(
        SettingsError, match=r"contains '.*', but no scale.json of ihc scale: choose another folder, or move"
    ):
        check_output(output, [])


@pytest.mark.parametrize("about", [ABOUT, f"{SCRATCH}/{ABOUT}"])
def test_results_of_before_are_overwritten_whole_or_not_and_other_files_do_not_matter(output, about):
    put(output, "notes/x")
    check_output(output, [])
    put(output, "credits/x")
    put(output, about, OURS)
    check_output(output, [])


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"\xff", b'{"parts": 1}'])
def test_a_scale_json_of_another_program_is_not_accepted(output, content):
    put(output, ABOUT, content)
    with pytest.raises(SettingsError, match="contains 'scale"):
        check_output(output, [])


def test_an_input_in_a_folder_that_would_be_overwritten_is_refused(output):
    put(output, ABOUT, OURS)
    check_output(output, [Files(output.fs, [f"{output.path}/sessions/x.parquet"])])
    for name in ("credits", "journeys/deep"):
        with pytest.raises(
            SettingsError, match=rf"input .*{name}/x.parquet is in the folder .*, which would be overwritten"
        ):
            check_output(output, [Files(output.fs, [f"{output.path}/{name}/x.parquet"])])


def test_an_input_by_another_name_of_the_folder_is_refused_too(tmp_path):
    output = open_output(str(tmp_path / "out"))
    (tmp_path / "other").symlink_to(tmp_path / "out")
    with pytest.raises(SettingsError, match="is in the folder"):
        check_output(output, [Files(output.fs, [str(tmp_path / "other" / "credits" / "x.parquet")])])


def test_the_scratch_folder_is_deleted_unless_results_were_published_in_part(output):
    put(output, "notes")
    with claimed(output):
        put(output, f"{SCRATCH}/credits/x")
    assert names(output) == ["notes"]
    with claimed(output):
        put(output, f"{SCRATCH}/{ABOUT}", OURS)
    assert names(output) == [SCRATCH, "notes"]


def test_results_that_cannot_be_published_are_reported_and_kept_for_the_next_run(output):
    with claimed(output):
        put(output, f"{SCRATCH}/credits/x")
        with pytest.raises(
            ScaleError, match=r"Not all results could be published .*incomplete: run the same command again"
        ):
            publish(output, dict.fromkeys(KEYS))
    assert names(output) == [SCRATCH, "credits"]
    check_output(output, [])


def test_a_second_run_is_refused_while_one_is_active(output):
    with claimed(output):
        with pytest.raises(
            ScaleError, match=r"Another run with --output .*out is active.* a separate --output for each run"
        ):
            claimed(output).__enter__()
        assert names(output) == [SCRATCH]
    with claimed(output):
        pass


def test_what_a_killed_run_left_is_deleted_on_a_disk_and_named_elsewhere(output, tmp_path):
    for name in ("lock", "left"):
        put(output, f"{SCRATCH}/{name}")
    if is_disk(output):
        with claimed(output):
            assert not output.exists(f"{SCRATCH}/left")
    else:
        with pytest.raises(ScaleError, match=rf"or was killed: delete .*out/{SCRATCH} if no run is active"):
            claimed(output).__enter__()
