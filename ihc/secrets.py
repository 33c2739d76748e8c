"""What must never be printed: keys, and the passwords in database URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

import sqlalchemy as sa

PASSWORD = "PGPASSWORD"  # noqa: S105 - the variable in which PostgreSQL's own clients look for it
# Options of a database URL that hold a password, as drivers call them; and a password in an option of ODBC.
OF_PASSWORD = re.compile(
    r"pass(word|wd|phrase|code)|^pass$|^pwd?$|secret|token|credential|(private|api)_?key", re.IGNORECASE
)
IN_ODBC = re.compile(r"\b(?:PWD|Password)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)", re.IGNORECASE)


def secrets_of(values: Mapping[str, str], database: str) -> tuple[str, ...]:
    """Every key among the variables, and the password of a database, in each form in which it could turn up."""
    keys = [key.strip() for name in values if is_secret(name) for key in values[name].split(",")]
    passwords = [*passwords_of(database), values.get(PASSWORD, "")]
    # Masking a word of three letters would only garble what is printed.
    return tuple(dict.fromkeys(secret for secret in [*keys, *passwords] if len(secret) > 3))


def is_secret(name: str) -> bool:
    """Say whether a variable holds keys."""
    return name.startswith("IHC_") and "KEY" in name


def password_of(database: str) -> str:
    """The password in a database URL, or an empty text."""
    return next(iter(_passwords_in(database)), "")


def _passwords_in(database: str) -> list[str]:
    """Each password in a database URL: at its place, or among the options that the driver takes."""
    if "://" not in database:
        return []
    try:
        url = sa.make_url(database)
    except (sa.exc.ArgumentError, ValueError):
        return []
    options = [(name, str(value)) for name, values in url.normalized_query.items() for value in values]
    found = [value for name, value in options if OF_PASSWORD.search(name)]
    of_odbc = [part for _, value in options for part in IN_ODBC.findall(value)]
    found += [form for part in of_odbc for form in (part.strip("{}"), part[1:-1].replace("}}", "}"))]
    return list(filter(None, [str(url.password or ""), *found]))


def passwords_of(database: str) -> tuple[str, ...]:
    """The passwords in a database URL: as they are, as the URL has them, and as they may be written in one."""
    passwords = _passwords_in(database)
    if not passwords:
        return ()
    written = re.findall(r"://[^/?#]*?:([^@]*)@", database)
    written += [value for name, value in re.findall(r"[?&]([^=&#]*)=([^&#]*)", database) if OF_PASSWORD.search(name)]
    encoded = [quote(password, safe=safe) for password in passwords for safe in ("", "/", " +")]
    forms = [*passwords, *written, *encoded, *map(quote_plus, passwords)]
    return tuple(dict.fromkeys(filter(None, forms)))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Put *** in the place of every one of `secrets` in a text."""
    # The longest first: one may begin with another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
