"""A database of SQLite, PostgreSQL or another kind as one object, its transactions, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from ihc.database import postgres
from ihc.database.generic import Generic
from ihc.database.locks import Lock, locked_file
from ihc.database.postgres import Postgres
from ihc.database.sqlite import Sqlite
from ihc.database.transaction import Transaction
from ihc.errors import DatabaseError, SettingsError, why
from ihc.secrets import masked, passwords_of

KINDS: dict[str, type[Transaction]] = {"sqlite": Sqlite, "postgresql": Postgres}
# A text that is none in UTF-8, or a column of several kinds of values, never gets as far as the driver.
REFUSED = (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, UnicodeError, pa.ArrowException)
OLD_NAME = "postgres://"  # as hosting services print it
# No path, but how else a server is written, often with a password: postgresql:/..., ann:secret@host, password=secret
NO_PATH = re.compile(
    r"^(postgres(ql)?|mysql|mariadb)(\+\w*)?:|^(?!file:)\w{2,}(\+\w*)?:/|\b(password|pwd)\s*=|^(?![a-z]:[\\/])[^/\\]*:.*@",
    re.IGNORECASE | re.DOTALL,
)


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True, init=False, repr=False)
class Database:
    """A database by its path or URL, and the schema that everything lives in; neither is opened yet.

    A relative file is one of the folder `base`. Raises SettingsError where there is neither path nor URL, or where the
    database cannot serve.
    """

    url: sa.URL

    def __init__(self, address: str | Path, schema: str | None = None, *, base: Path | None = None) -> None:
        url = _url_of(str(address))
        object.__setattr__(self, "url", _under(url, base) if base else url)
        if schema:
            object.__setattr__(self, "url", self._with_schema(schema))

    def __repr__(self) -> str:
        return f"Database({self.label!r})"

    def _with_schema(self, schema: str) -> sa.URL:
        if not self.is_postgres:
            which = "a file, which has none" if self.file else "none of PostgreSQL"
            raise SettingsError(
                f"The schema {schema!r} (IHC_SCHEMA) is one of a PostgreSQL database, and {self.label} is {which}: "
                "leave it out, or name a postgresql:// URL."
            )
        return self.url.update_query_dict({postgres.SCHEMA: schema})

    @property
    def kind(self) -> type[Transaction]:
        """The kind of its transactions, which knows what is particular to the database."""
        return _kind_of(self.url)

    @property
    def is_postgres(self) -> bool:
        """Whether it is a PostgreSQL."""
        return self.kind is Postgres

    @property
    def is_sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self.kind is Sqlite

    @property
    def _is_path(self) -> bool:
        return self.is_sqlite and not self.url.query

    @property
    def address(self) -> str:
        """The path, or the URL with its password: to hand on, and never to be printed."""
        return str(self.url.database) if self._is_path else self.url.render_as_string(hide_password=False)

    @property
    def is_url(self) -> bool:
        """Whether the address is a URL, which may hold a password."""
        return not self._is_path

    @property
    def label(self) -> str:
        """The database as it may be printed: without password and without query, but with its schema."""
        if self._is_path:
            return self.address
        schema = f" (schema {self.schema})" if self.schema else ""
        return self.url.set(query={}).render_as_string(hide_password=True) + schema

    @property
    def name(self) -> str:
        """The database as a report names it, that goes to people whom path, server and user do not concern."""
        name = self.file.name if self.file else self.url.database or ""
        return name if self.is_sqlite else f"{self.url.drivername}:///{name}"

    @property
    def schema(self) -> str | None:
        """The schema of a PostgreSQL database; None: the first of its search path."""
        return postgres.schema_of(self.url) if self.is_postgres else None

    @property
    def file(self) -> Path | None:
        """The file of a database of SQLite or DuckDB; None where a server keeps it."""
        return self.kind.file_of(self.url)

    @property
    def lock_name(self) -> str:
        """What its lock is known by: whom PostgreSQL is asked for it, or a file, beside its own or of this user."""
        if self.is_postgres:
            return self.label
        beside = self.file or Path.home() / ".cache" / "ihc" / sha256(self.label.encode()).hexdigest()[:32]
        return str(beside.with_name(f"{beside.name}.lock"))

    def exists(self) -> bool:
        """Is there a database? Of a server that is not asked: it says so itself when it is."""
        return not self.kind.missing(self.url)

    def make_empty(self) -> None:
        """Make the file of the database where there is none; raises DatabaseError."""
        try:
            with self._understanding():
                self.kind.make_empty(self.url)
        except OSError as error:
            raise DatabaseError(f"Database {self.label} cannot be created: {why(error)}.") from None

    @contextmanager
    def lock(self, say: Callable[[str], object] = _say, *, held: str | None = None) -> Iterator[Lock | None]:
        """Hold the lock of the database, one run at a time; wait, and `say` so, while another run holds it.

        The lock belongs to a connection to PostgreSQL, or to an open file. A run hands that on to its kernels, so the
        lock is free only when the last process of the run that could write has ended, however it ended. Where the lock
        is `held` by the run that started this process, by its name, there is nothing to hold.

        Raises DatabaseError if the lock file cannot be opened or the server not be reached, or if the lock was lost.
        """
        if held == self.lock_name:
            yield None
            return

        def wait(who: str) -> None:
            say(f"Another run{who} is working on {self.label}; waiting for it to end.")

        if self.is_postgres:
            with self._speaking(), postgres.run_lock(self.url, wait) as connection:
                yield connection
            return
        with locked_file(Path(self.lock_name), wait) as file:
            yield file

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """What the database refuses inside becomes a DatabaseError that says what, what to do, and no password."""
        if wrong := self.kind.missing(self.url):
            raise DatabaseError(f"Database {self.label} {wrong}")
        with self._understanding():
            yield

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        refused: tuple[type[Exception], ...] = (*REFUSED, *self.kind.driver_errors())
        try:
            yield
        except refused as error:
            inner = error.__cause__ if isinstance(error, pd.errors.DatabaseError) else error
            reason = self.kind.reason_of(getattr(inner, "orig", None) or inner or error, self.url)
            says = f"Database {self.label}: {reason.rstrip('.')}."
            raise DatabaseError(masked(says, passwords_of(self.address))) from None

    @contextmanager
    def _connected(self, *, is_writing: bool) -> Iterator[sa.Connection]:
        with self._speaking(), self.kind.engine(self.url, is_writing=is_writing).connect() as connection:
            yield connection

    @contextmanager
    def transaction(self, *, is_writing: bool = False) -> Iterator[Transaction]:
        """Open a database that exists for one transaction; its errors become DatabaseError."""
        with self._connected(is_writing=is_writing) as connection, connection.begin():
            yield self.kind(connection)

    @contextmanager
    def transactions(self) -> Iterator[Callable[[], AbstractContextManager[Transaction]]]:
        """Open the database for many transactions that write, each of which the yielded function begins.

        They share a connection, except where no other process could read or write as long as it lasts, as in DuckDB.
        """
        if self.kind is Generic:
            yield partial(self.transaction, is_writing=True)
            return
        with self._connected(is_writing=True) as connection:

            @contextmanager
            def begin() -> Iterator[Transaction]:
                with connection.begin():
                    yield self.kind(connection)

            yield begin


def _url_of(text: str) -> sa.URL:
    """Make a SQLAlchemy URL of a path or a URL; raises SettingsError where it is neither, or cannot serve."""
    if "://" not in text and not NO_PATH.search(text):
        return Sqlite.checked(sa.URL.create("sqlite", database=text))
    url = _parsed(text)
    if url is None:
        raise SettingsError(
            "The database is no URL that can be understood; e.g. sqlite:///data/ihc.db or postgresql://user@host/shop. "
            "In a password, write @ as %40, / as %2F and : as %3A."
        )
    return _kind_of(url).checked(url)


def _parsed(text: str) -> sa.URL | None:
    """The URL in a text; None where it is none, or so odd that a part of its password would pass for the host."""
    text = text.replace(OLD_NAME, "postgresql://", 1) if text.startswith(OLD_NAME) else text
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return None if "@" in f"{url.host}{url.database if url.host else ''}" else url


def _under(url: sa.URL, base: Path) -> sa.URL:
    """The URL with its file, if it is one of a file, as an absolute path."""
    name = str(url.database)
    if _kind_of(url).file_of(url) is None or name.startswith("file:/"):
        return url
    if name.startswith("file:") and url.query:
        raise SettingsError(f"The database sqlite:///{name} is a relative file: URL; write its path in full.")
    return url.set(database=str((base / name).resolve()))


def _kind_of(url: sa.URL) -> type[Transaction]:
    return KINDS.get(url.get_backend_name(), Generic)
