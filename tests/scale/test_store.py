import pyarrow as pa
import pytest

from ihc.errors import SettingsError
from ihc.scale.store import clear, make_folders, open_store, read_batch, whole_file, write_batches


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return open_store(str(tmp_path / "out") if request.param == "disk" else f"memory://{tmp_path}", "--output")


def test_batches_are_read_one_by_one(store):
    batch = pa.record_batch({"a": pa.array(["x", "y"], pa.large_string())})
    make_folders(store, "deep/er")
    write_batches(store, "deep/er/x.arrow", iter([batch, batch.slice(0, 0), batch.slice(1)]), batch.schema)
    assert [read_batch(store, "deep/er/x.arrow", number).num_rows for number in range(3)] == [2, 0, 1]


def test_a_folder_is_cleared_whether_it_is_there_or_not(store):
    make_folders(store, "a")
    with whole_file(store, "a/b") as file:
        file.write(b"x")
    clear(store.below("a"))
    assert not store.fs.exists(store.path("a"))
    clear(store.below("a"))


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_file_that_is_not_finished_is_not_there_and_what_was_there_stays(store, name):
    with whole_file(store, "old") as file:
        file.write(b"first")
    growing = whole_file(store, name)
    growing.__enter__().write(b"half")
    assert not store.fs.exists(store.path("new"))
    assert not growing.__exit__(KeyError, KeyError(), None)  # the error goes on
    assert [path.rsplit("/", 1)[-1] for path in store.fs.ls(store.root, detail=False)] == ["old"]
    assert store.fs.cat_file(store.path("old")) == b"first"


def test_what_was_cleared_does_not_come_back(tmp_path):
    store = open_store(str(tmp_path / "out"), "--output").below("scratch")
    make_folders(store, "a")
    growing = whole_file(store, "a/late")
    growing.__enter__().write(b"half")
    clear(store)
    with pytest.raises(FileNotFoundError):
        growing.__exit__(None, None, None)
    assert names(tmp_path / "out") == []
    with pytest.raises(FileNotFoundError):
        whole_file(store, "a/later").__enter__()


@pytest.mark.parametrize("address", ["/proc/nothing", "s3://bucket/x", "nonsense://x"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_done(address):
    with pytest.raises(SettingsError, match=f"--output {address} cannot be written: .*Name another folder"):
        open_store(address, "--output")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(SettingsError, match="cannot be written"):
        open_store(str(tmp_path / "out"), "--output")
