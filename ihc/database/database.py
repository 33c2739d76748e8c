"""Database object for SQLite, PostgreSQL and others: URL, transactions, locks and error messages."""

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
# Invalid UTF-8 and columns of mixed types fail before they reach the driver.
REFUSED = (sa.exc.SQLAlchemyError, pd.errors.DatabaseError, UnicodeError, pa.ArrowException)
OLD_NAME = "postgres://"  # still used by hosting services
# Server addresses that are no file paths, often with a password: postgresql:/..., ann:secret@host, password=secret
NO_PATH = re.compile(
    r"^(postgres(ql)?|mysql|mariadb)(\+\w*)?:|^(?!file:)\w{2,}(\+\w*)?:/|\b(password|pwd)\s*=|^(?![a-z]:[\\/])[^/\\]*:.*@",
    re.IGNORECASE | re.DOTALL,
)


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True, init=False, repr=False)
class Database:
    """A database by path or URL, with an optional schema. It is not opened yet.

    Relative paths start at `base`. Raises SettingsError if the address is neither a path nor a URL, or if the database
    is not supported.
    """

    url: sa.URL

    def __init__(self, address: str | Path, schema: str | None = None, *, base: Path | None = None) -> None:
        url = _url_of(str(address))
        object.__setattr__(self, "url", _with_absolute_path(url, base) if base else url)
        if schema:
            object.__setattr__(self, "url", self._with_schema(schema))

    def __repr__(self) -> str:
        return f"Database({self.label!r})"

    def _with_schema(self, schema: str) -> sa.URL:
        if not self.is_postgres:
            which = "is a file" if self.file else "is not PostgreSQL"
            raise SettingsError(
                f"Only PostgreSQL has schemas, and {self.label} {which}: leave out the schema {schema!r} (IHC_SCHEMA) "
                "or give a postgresql:// URL."
            )
        return self.url.update_query_dict({postgres.SCHEMA: schema})

    @property
    def kind(self) -> type[Transaction]:
        """The transaction class, which implements what is specific to the database."""
        return _kind_of(self.url)

    @property
    def is_postgres(self) -> bool:
        """Whether it is a PostgreSQL database."""
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
        """The path, or the URL with its password. Never print it."""
        return str(self.url.database) if self._is_path else self.url.render_as_string(hide_password=False)

    @property
    def is_url(self) -> bool:
        """Whether the address is a URL, which may hold a password."""
        return not self._is_path

    @property
    def label(self) -> str:
        """The database for messages: without password and query, with its schema."""
        if self._is_path:
            return self.address
        schema = f" (schema {self.schema})" if self.schema else ""
        return self.url.set(query={}).render_as_string(hide_password=True) + schema

    @property
    def name(self) -> str:
        """The database name for reports, without path, server and user."""
        name = self.file.name if self.file else self.url.database or ""
        return name if self.is_sqlite else f"{self.url.drivername}:///{name}"

    @property
    def schema(self) -> str | None:
        """The schema of a PostgreSQL database; None: the first in its search path."""
        return postgres.schema_of(self.url) if self.is_postgres else None

    @property
    def file(self) -> Path | None:
        """The file of an SQLite or DuckDB database; None for a server."""
        return self.kind.file_of(self.url)

    @property
    def lock_name(self) -> str:
        """The name of its lock: the label for PostgreSQL, else a file next to the database or in the user cache."""
        if self.is_postgres:
            return self.label
        beside = self.file or Path.home() / ".cache" / "ihc" / sha256(self.label.encode()).hexdigest()[:32]
        return str(beside.with_name(f"{beside.name}.lock"))

    def exists(self) -> bool:
        """Whether the database exists. Always true for servers, which are not contacted here."""
        return not self.kind.missing(self.url)

    def make_empty(self) -> None:
        """Create the database file if it is missing; raises DatabaseError."""
        try:
            with self._with_readable_errors():
                self.kind.make_empty(self.url)
        except OSError as error:
            raise DatabaseError(f"Database {self.label} cannot be created: {why(error)}.") from None

    @contextmanager
    def lock(self, say: Callable[[str], object] = _say, *, held: str | None = None) -> Iterator[Lock | None]:
        """Hold the database's run lock. If another run holds it, `say` so and wait.

        The lock belongs to a PostgreSQL connection or an open file, which the kernels of a run inherit. It is released
        when the last process of the run has ended, however it ended. `held`: the name of a lock that the parent run
        holds already; if it is this one, nothing is locked.

        Raises DatabaseError if the lock file cannot be opened, the server cannot be reached, or the lock was lost.
        """
        if held == self.lock_name:
            yield None
            return

        def wait(who: str) -> None:
            say(f"Another run{who} is using {self.label}; waiting for it to finish.")

        if self.is_postgres:
            with self._with_messages(), postgres.run_lock(self.url, wait) as connection:
                yield connection
            return
        with locked_file(Path(self.lock_name), wait) as file:
            yield file

    @contextmanager
    def _with_messages(self) -> Iterator[None]:
        """Turn database errors into a DatabaseError with the cause, the remedy and no password."""
        if wrong := self.kind.missing(self.url):
            raise DatabaseError(f"Database {self.label} {wrong}")
        with self._with_readable_errors():
            yield

    @contextmanager
    def _with_readable_errors(self) -> Iterator[None]:
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
        with self._with_messages(), self.kind.engine(self.url, is_writing=is_writing).connect() as connection:
            yield connection

    @contextmanager
    def transaction(self, *, is_writing: bool = False) -> Iterator[Transaction]:
        """Open an existing database for one transaction; errors become DatabaseError."""
        with self._connected(is_writing=is_writing) as connection, connection.begin():
            yield self.kind(connection)

    @contextmanager
    def transactions(self) -> Iterator[Callable[[], AbstractContextManager[Transaction]]]:
        """Open the database for several write transactions; the yielded function begins one.

        They share a connection, except where an open connection blocks all other processes, as in DuckDB.
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
    """Make a SQLAlchemy URL from a path or a URL; raises SettingsError if it is neither or not supported."""
    if "://" not in text and not NO_PATH.search(text):
        return Sqlite.checked(sa.URL.create("sqlite", database=text))
    url = _parsed(text)
    if url is None:
        raise SettingsError(
            "The database URL is invalid. Examples: sqlite:///data/ihc.db, postgresql://user@host/shop. "
            "In a password, write @ as %40, / as %2F and : as %3A."
        )
    return _kind_of(url).checked(url)


def _parsed(text: str) -> sa.URL | None:
    """Parse a URL; None if it is invalid, or if a part of the password would be read as the host."""
    text = text.replace(OLD_NAME, "postgresql://", 1) if text.startswith(OLD_NAME) else text
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return None if "@" in f"{url.host}{url.database if url.host else ''}" else url


def _with_absolute_path(url: sa.URL, base: Path) -> sa.URL:
    """The URL with an absolute file path, if it is a file."""
    name = str(url.database)
    if _kind_of(url).file_of(url) is None or name.startswith("file:/"):
        return url
    if name.startswith("file:") and url.query:
        raise SettingsError(f"The database sqlite:///{name} is a relative file: URL; give an absolute path.")
    return url.set(database=str((base / name).resolve()))


def _kind_of(url: sa.URL) -> type[Transaction]:
    return KINDS.get(url.get_backend_name(), Generic)
