"""What PostgreSQL's errors mean, and what to do: which GRANT is missing, whom to ask."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from ihc.database.sqlite import BUSY_SECONDS
from ihc.database.tables import HISTORY, LEDGER, RESULTS
from ihc.schemas.tables import COLUMNS

SCHEMA = "schema"  # in the URL's query; ihc's own
# A value of the wrong type, out of range or too long, no date, or empty where there must be one.
NOT_TAKEN = ("22P02", "22003", "22001", "22007", "22008", "23502")
OTHERS_TABLE = "another program or version made that table: rename it and run again"
MISSING = {
    "column": OTHERS_TABLE,
    "relation": "`ihc init` makes the tables that are missing",
    "role": "check the user in IHC_DATABASE, or let the administrator make that role",
    "database": "check its name in IHC_DATABASE, or let the administrator make it",
}


def schema_of(url: sa.URL) -> str | None:
    """The schema in which everything lives; None: what the server's search path names."""
    schema = url.query.get(SCHEMA)
    return schema[-1] if isinstance(schema, tuple) else schema or None


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def no_schema(schema: str | None, role: str) -> str:
    """What to do where a schema is not there, or may not be used."""
    if schema is None:
        return "The server's search path names no schema that there is: name one by --schema (IHC_SCHEMA)."
    return (
        f"There is no schema {schema!r} that {role} may use: name another by --schema (IHC_SCHEMA), or let its owner "
        f"call CREATE SCHEMA {quoted(schema)}, or GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}."
    )


def reason_of(error: BaseException, url: sa.URL) -> str:
    """What an error means, and what to do."""
    diagnosis = getattr(error, "diag", None)
    reason = " ".join(str(getattr(diagnosis, "message_primary", None) or error).split())
    details = " ".join(str(getattr(diagnosis, "message_detail", None) or "").split())
    lost = f"the connection was lost ({reason}); the step it was at left nothing behind: run again"
    hints = {
        "because it is a view": f"{reason}; ihc keeps its results there: rename it and run again",
        "cannot copy to view": f"{reason}; ihc keeps its results there: rename it and run again",
        "cannot insert into view": f"{reason}; ihc keeps its results there: rename it and run again",
        "read-only transaction": f"it cannot be written ({reason}): connect to the server that takes writes",
        "lock timeout": f"another program has kept it locked for {BUSY_SECONDS} seconds: end that one and run again",
        "password authentication failed": f"{reason}: check user and password in IHC_DATABASE",
        "no password supplied": f"{reason}: write it in IHC_DATABASE, PGPASSWORD or ~/.pgpass",
        "timeout expired": f"the server does not answer ({reason}): check host and port",
        **dict.fromkeys(("is lost", "is closed", "closed the connection", "terminating connection"), lost),
    }
    if says := _not_taken(diagnosis, reason):
        return says
    if says := _not_granted(reason, url):
        return f"{reason}: {says}"
    if missing := re.search(r"\b(column|relation|role|database) .*does not exist", reason):
        return f"{reason}; {MISSING[missing[1]]}"
    found = next((text for key, text in hints.items() if key in reason), "")
    return found or (f"{reason} ({details.rstrip('.')})" if details else reason)


def _not_taken(diagnosis: Any, reason: str) -> str:
    """Where a table does not take the rows of ihc, as another program made it."""
    place = re.match(r"COPY (\S+), line \d+(?:, column (\w+))?", str(getattr(diagnosis, "context", None) or ""))
    if not place or diagnosis.sqlstate not in NOT_TAKEN:
        return ""
    table, column = place.groups()
    where = f"table {table}" + (f", column {column}" if column else "")
    return f"{reason} ({where}); {OTHERS_TABLE}"


def _not_granted(reason: str, url: sa.URL) -> str:
    """Which GRANT is missing, where one is."""
    role = quoted(url.username) if url.username else "the role"
    denied = re.search(r"permission denied for (table|view|schema|database|relation) (.+)", reason)
    if "temporary tables" in reason:
        return f"GRANT TEMPORARY ON DATABASE {quoted(url.database or '')} TO {role}"
    if not denied:
        return ""
    kind, name = denied.groups()
    if kind == "schema":
        return (
            f"where tables are missing, call `ihc init` as the owner of the schema; else GRANT USAGE ON SCHEMA "
            f"{quoted(name)} TO {role}"
        )
    if kind == "database":
        return f"GRANT CONNECT, TEMPORARY ON DATABASE {quoted(name)} TO {role}"
    if name not in COLUMNS and name not in RESULTS | LEDGER | HISTORY:
        return f"the owner of the view that reads it needs the right to: GRANT SELECT ON {quoted(name)} TO that owner"
    place = ".".join(quoted(part) for part in (schema_of(url), name) if part)
    return f"GRANT {'SELECT' if name in COLUMNS else 'SELECT, INSERT, UPDATE, DELETE'} ON {place} TO {role}"
