import os
import subprocess
import sys
import tempfile

import pytest
import sqlalchemy as sa
from helpers.databases import sql

from ihc.database.any_lock import run_lock
from ihc.database.locks import one_run_at_a_time
from ihc.errors import DatabaseError
from ihc.settings.run import load_settings
from tests.database.test_locks import is_free


@pytest.fixture
def settings(mariadb_url, tmp_path):
    return load_settings(base=tmp_path, database=mariadb_url)


def test_databases_of_one_server_have_locks_of_their_own(settings, mariadb_server, tmp_path):
    other = load_settings(base=tmp_path, database=sa.make_url(mariadb_server).set(database="mysql").render_as_string())
    with one_run_at_a_time(settings):
        assert is_free(other)
        assert not is_free(settings)


def test_whoever_logs_in_has_the_same_lock(settings, tmp_path):
    sql(settings.database, "CREATE USER IF NOT EXISTS another@localhost")
    url = sa.make_url(settings.database)
    sql(settings.database, f"GRANT ALL ON {url.database}.* TO another@localhost")
    other = load_settings(base=tmp_path, database=url.set(username="another").render_as_string())
    with one_run_at_a_time(settings):
        assert not is_free(other)
    assert is_free(other)


HOLD = """
import sys
from pathlib import Path
from ihc.locking import one_run_at_a_time
from ihc.settings import load_settings
with one_run_at_a_time(load_settings(base=Path(), database=sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_run_on_another_machine_waits_for_the_server(settings, tmp_path):
    """A temporary folder of its own is to a process as another machine is: it sees no file of the first one."""
    start = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path}
    start["env"] = os.environ | {"TMPDIR": str(tmp_path)}
    with one_run_at_a_time(settings):
        second = subprocess.Popen([sys.executable, "-c", HOLD, settings.database], **start)
        assert second.stdout.readline().startswith("Another run (connection ")
    assert second.stdout.readline() == "locked\n"
    assert not is_free(settings)
    second.kill()
    second.communicate()


def lose_its_lock(settings, and_then=lambda: None):
    with one_run_at_a_time(settings):
        name = "SELECT IS_USED_LOCK(concat('ihc run ', left(sha2(database(), 256), 32)))"
        ((connection,),) = sql(settings.database, name)
        sql(settings.database, f"KILL {connection}")
        and_then()


def test_a_lock_that_the_server_ended_is_said_at_the_end(settings):
    with pytest.raises(DatabaseError, match=r"ended the connection with the run's lock.*: run again"):
        lose_its_lock(settings)
    assert is_free(settings)


def test_an_error_of_a_run_goes_before_the_loss_of_its_lock(settings):
    with pytest.raises(ZeroDivisionError):
        lose_its_lock(settings, lambda: 1 / 0)


def test_a_lock_on_a_server_that_does_not_answer_is_refused_in_a_sentence(tmp_path):
    settings = load_settings(base=tmp_path, database="mysql+pymysql://ann:s3cret@127.0.0.1:1/shop")
    with pytest.raises(DatabaseError, match="Connection refused") as error, one_run_at_a_time(settings):
        pass
    assert "s3cret" not in str(error.value)


def test_a_database_of_another_kind_has_a_file_of_this_user_for_its_lock_and_needs_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    url = sa.make_url("other://ann:s3cret@nowhere/shop?secret=s3cret")
    waits = []
    with run_lock(url, waits.append) as file:
        assert file.fileno() > 2
        (folder,) = tmp_path.iterdir()
        assert [path.suffix for path in folder.iterdir()] == [".lock"]
        assert "s3cret" not in "".join(map(str, folder.iterdir()))
    assert waits == []


def test_a_folder_of_locks_that_is_not_ours_to_write_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with (
        pytest.raises(DatabaseError, match=r"lock file .* cannot be opened"),
        run_lock(sa.make_url("other://h/s"), print),
    ):
        pass


def test_a_folder_of_locks_that_others_could_put_something_into_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder, elsewhere = tmp_path / f"ihc-locks-{os.getuid()}", tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(DatabaseError, match="not this user's alone"), run_lock(sa.make_url("other://h/s"), print):
        pass
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(DatabaseError, match="not this user's alone"), run_lock(sa.make_url("other://h/s"), print):
        pass
    assert list(elsewhere.iterdir()) == list(folder.iterdir()) == []
