"""What must never be printed: the passwords in database URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import sqlalchemy as sa

# Options of a database URL that hold a password, as drivers call them, or a whole connection string with one.
OF_PASSWORD = re.compile(
    r"pass(word|wd|phrase|code)|^pass$|^pwd?$|secret|token|credential|(private|api)_?key|odbc_connect", re.IGNORECASE
)
SHORTEST = 4  # letters: masking a shorter word would only garble what is printed


def password_of(database: str) -> str:
    """The password in a database URL, or an empty text."""
    return next(iter(_passwords_in(database)), "")


def passwords_of(database: str) -> tuple[str, ...]:
    """The passwords in a database URL: as they are, as the URL has them, and as they may be written in one."""
    passwords = _passwords_in(database)
    if not passwords:
        return ()
    written = re.findall(r"://[^/?#]*?:([^@]*)@", database)
    written += [value for name, value in re.findall(r"[?&]([^=&#]*)=([^&#]*)", database) if OF_PASSWORD.search(name)]
    encoded = [quote(password, safe=safe) for password in passwords for safe in ("", "/", " +")]
    forms = [*passwords, *written, *encoded, *map(quote_plus, passwords)]
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Put *** in the place of every one of `secrets` in a text."""
    # The longest first: one may begin with another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _passwords_in(database: str) -> list[str]:
    """Each password in a database URL: at its place, or among the options that the driver takes."""
    if "://" not in database:
        return []
    try:
        url = sa.make_url(database)
    except (sa.exc.ArgumentError, ValueError):
        return []
    options = [(name, value) for name, values in url.normalized_query.items() for value in values]
    return list(filter(None, [str(url.password or ""), *(text for name, text in options if OF_PASSWORD.search(name))]))
