"""Find and mask the passwords in database URLs, which must never be printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

import sqlalchemy as sa

# URL options of database drivers that hold a password, or a connection string with one.
OF_PASSWORD = re.compile(
    r"pass(word|wd|phrase|code)|^pass$|^pwd?$|secret|token|credential|(private|api)_?key|odbc_connect", re.IGNORECASE
)
SHORTEST = 4  # characters: masking shorter words would only garble the output


def password_of(database: str) -> str:
    """Return the password in a database URL, or an empty text."""
    return next(iter(_passwords_in(database)), "")


def passwords_of(database: str) -> tuple[str, ...]:
    """Return the passwords in a database URL in every form: decoded, as written, and in other encodings."""
    passwords = _passwords_in(database)
    if not passwords:
        return ()
    written = re.findall(r"://[^/?#]*?:([^@]*)@", database)
    written += [value for name, value in re.findall(r"[?&]([^=&#]*)=([^&#]*)", database) if OF_PASSWORD.search(name)]
    encoded = [quote(password, safe=safe) for password in passwords for safe in ("", "/", " +")]
    forms = [*passwords, *written, *encoded, *map(quote_plus, passwords)]
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Replace each of `secrets` in a text by ***."""
    # Longest first: one secret may be the prefix of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _passwords_in(database: str) -> list[str]:
    """Return all passwords in a database URL: the standard one, and those in driver options."""
    if "://" not in database:
        return []
    try:
        url = sa.make_url(database)
    except (sa.exc.ArgumentError, ValueError):
        return []
    options = [(name, value) for name, values in url.normalized_query.items() for value in values]
    return list(filter(None, [str(url.password or ""), *(text for name, text in options if OF_PASSWORD.search(name))]))
