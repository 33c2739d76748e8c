"""Frames as Arrow files in a folder, which several processes map into memory instead of reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pandas as pd
import portalocker
import pyarrow as pa

from ihc.arrays.codes import dtype_of
from ihc.arrays.lookup import arrow_texts

SMALL = 1_000_000  # [bytes]
TEXTS = "texts"  # the column of a file of categories


class Frames:
    """A folder of frames by name. Frames with the same categories share them after reading, too.

    Numbers and texts of a large frame that was read stay in the file's memory; they cannot be changed in place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._types: dict[str, pd.CategoricalDtype] = {}
        self._names: dict[int, str] = {}  # name of a file of categories by the identity of their index

    def kept(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return the frame of this name; make and write it if there is none.

        If another process makes it, wait for it.
        """
        found = self.read(name)
        if found is None:
            with _one_at_a_time(self.folder / f"{name}.lock"):
                found = self.read(name)
                if found is None:
                    found = make()
                    self.write(name, found)
        return found

    def write(self, name: str, frame: pd.DataFrame) -> bool:
        """Write a frame, such that it is read with the same rows and types.

        Out: whether it was written. It is not if Arrow cannot hold a column, such as one of mixed types, if its index
        is not the default one, or if the file cannot be written, for example because the disk is full.
        """
        if not frame.index.equals(pd.RangeIndex(len(frame))):
            return False
        arrays, fields = [], []
        try:
            for column, values in frame.items():
                array, marks = self._array(values)
                arrays.append(array)
                fields.append(pa.field(str(column), array.type, metadata=marks))
            _write(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), self._path(name))
        except (pa.ArrowException, OSError):
            return False
        return True

    def read(self, name: str) -> pd.DataFrame | None:
        """Map a frame into memory; None if there is none."""
        try:
            return self._read(name)
        except FileNotFoundError:
            return None

    def _read(self, name: str) -> pd.DataFrame:
        table = _mapped(self._path(name))
        frame: pd.DataFrame = table.to_pandas(split_blocks=True)
        if table.nbytes < SMALL:
            frame = frame.copy()
        coded = {field.name: field.metadata[b"categories"].decode() for field in table.schema if field.metadata}
        columns = {
            column: pd.Categorical.from_codes(frame[column].to_numpy(), dtype=self._dtype(texts))
            for column, texts in coded.items()
        }
        return frame.assign(**columns)

    def delete(self, prefix: str) -> None:
        """Delete the frames whose name starts with `prefix` and a hyphen."""
        for path in self.folder.glob(f"{prefix}-*.arrow"):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.arrow"

    def _array(self, values: pd.Series[Any]) -> tuple[Any, dict[str, str] | None]:
        if isinstance(values.dtype, pd.CategoricalDtype):
            return pa.array(values.array.codes), {"categories": self._texts_of(values.dtype)}
        if isinstance(values.dtype, pd.StringDtype):
            return arrow_texts(values), None
        if isinstance(values.dtype, np.dtype) and values.dtype != object:
            return pa.array(values.to_numpy(), from_pandas=False), None
        array = pa.array(values.array, from_pandas=True)
        if not array.to_pandas().equals(values.reset_index(drop=True)):
            raise pa.ArrowInvalid(f"{values.name} would come back with other types.")
        return array, None

    def _texts_of(self, dtype: pd.CategoricalDtype) -> str:
        """Return the name of the file of these categories; write it if it is new."""
        index = dtype.categories
        if id(index) not in self._names:
            texts = arrow_texts(pd.Series(index.array))
            digest = blake2b(digest_size=12)
            for buffer in texts.buffers()[1:]:
                digest.update(buffer)
            name = digest.hexdigest()
            _write(pa.table({TEXTS: texts}), self._path(name))
            self._know(name, dtype)
        return self._names[id(index)]

    def _dtype(self, name: str) -> pd.CategoricalDtype:
        """Return the categories of a file. Raises FileNotFoundError."""
        if name not in self._types:
            texts = _mapped(self._path(name))[TEXTS].combine_chunks()
            self._know(name, dtype_of(pd.Index(pd.array(texts, dtype="str"))))
        return self._types[name]

    def _know(self, name: str, dtype: pd.CategoricalDtype) -> None:
        self._types[name] = dtype
        self._names[id(dtype.categories)] = name


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a file lock, if files can be locked there."""
    try:
        file = path.open("a")
    except OSError:
        yield
        return
    with file:
        with suppress(portalocker.LockException):
            portalocker.lock(file, portalocker.LOCK_EX)
        yield


def _write(table: Any, path: Path) -> None:
    """Write a file as a whole, so that no other process sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{token_hex(4)}")
    try:
        with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _mapped(path: Path) -> Any:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
