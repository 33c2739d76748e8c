"""A folder at any address that fsspec knows, in which each file is whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, NamedTuple
from uuid import uuid4

import fsspec
import pyarrow as pa

from ihc.errors import SettingsError, why

GONE = ".gone-"


class Store(NamedTuple):
    """A folder: the file system that holds it, and its path there."""

    fs: Any
    root: str

    def path(self, name: str) -> str:
        """Where a file of the folder lies."""
        return f"{self.root}/{name}"

    def below(self, name: str) -> Store:
        """A folder in the folder."""
        return Store(self.fs, self.path(name))


def open_store(url: str, what: str) -> Store:
    """Name a folder by path or URL, and write to it for a trial; raises SettingsError where that cannot be done."""
    try:
        fs, root = fsspec.core.url_to_fs(url)
        store = Store(fs, root.rstrip("/"))
        make_folders(store)
        with whole_file(store, trial := f".trial-{uuid4().hex}") as file:
            file.write(b"")
        fs.rm(store.path(trial))
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        raise SettingsError(f"{what} {url} cannot be written: {why(error)}. Name another folder by --output.") from None
    return store


@contextmanager
def whole_file(store: Store, name: str) -> Iterator[Any]:
    """Write a file that has its name only once it is whole.

    On a disk it grows under another name. An object store would show half an object where writing ends with an error:
    so it grows in a temporary file here, and is sent when it is whole.
    """
    path = store.path(name)
    if not is_disk(store.fs):
        with TemporaryFile() as file:
            yield file
            file.seek(0)
            with store.fs.open(path, "wb") as sent:
                copyfileobj(file, sent)
        return
    growing = f"{store.root}/.growing-{uuid4().hex}"
    try:
        with store.fs.open(growing, "wb") as file:
            yield file
        store.fs.mv(growing, path)
    finally:
        if store.fs.exists(growing):
            store.fs.rm(growing)


def is_disk(fs: Any) -> bool:
    """Say whether it is a file system of this machine."""
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def make_folders(store: Store, *names: str) -> None:
    """Make a folder and some in it; `whole_file` makes none, so that nothing comes back that was cleared."""
    for path in (store.root, *map(store.path, names)):
        store.fs.makedirs(path, exist_ok=True)


def clear(store: Store) -> None:
    """Delete a folder or a file, if it is there, even while others write to it.

    A folder on a disk loses its name first: whatever was about to be written there fails.
    """
    root = store.root
    if is_disk(store.fs) and store.fs.isdir(root):
        root = f"{root}{GONE}{uuid4().hex}"
        store.fs.mv(store.root, root)
    if store.fs.exists(root):
        store.fs.rm(root, recursive=True)


def write_batches(store: Store, name: str, batches: Iterator[Any], schema: Any) -> None:
    """Write record batches of Arrow to a file, so that each can be read alone."""
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with whole_file(store, name) as file, pa.ipc.new_file(file, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def read_batch(store: Store, name: str, number: int) -> Any:
    """Read one of the record batches of a file."""
    with store.fs.open(store.path(name), "rb") as file:
        return pa.ipc.open_file(file).get_batch(number)
