import os
import threading

import pytest

from ihc.database.file_lock import locked_file
from ihc.errors import DatabaseError


def test_who_has_the_lock_is_told_and_waited_for(tmp_path):
    path, said, done = tmp_path / "folder" / "a.lock", [], threading.Event()

    def second():
        with locked_file(path, said.append):
            done.set()

    with locked_file(path, said.append):
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.3)
    thread.join(10)
    assert done.is_set()
    assert said == [f" (process {os.getpid()})"]


def test_a_lock_file_that_cannot_be_opened_is_said(tmp_path):
    (tmp_path / "a.lock").mkdir()
    with (
        pytest.raises(DatabaseError, match=r"a.lock of the database cannot be opened"),
        locked_file(tmp_path / "a.lock", print),
    ):
        pass
