"""Whom the API is asked for: address, key, conversion type and redistribution, checked before the first request."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ihc.errors import SettingsError
from ihc.models.redistribution import Redistribution, labelled

API_URL = "https://api.ihc-attribution.com/v1/compute_ihc"
LOOPBACK_TYPE = "default"  # the conversion type of a server of one's own that was given no parameters file


@dataclass(frozen=True)
class ApiAccount:
    """Where the API is and what it is asked for; answers of one account are never taken for another's."""

    url: str
    key: str = field(repr=False)
    conv_type_id: str
    redistribution: Redistribution | None = None

    @property
    def id(self) -> str:
        """Twelve characters for address, conversion type and redistribution: what the answers depend on."""
        asked = [self.url, self.conv_type_id, self.redistribution.text if self.redistribution else ""]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Conversion type, host and redistribution, as every output states them."""
        return labelled(f"conversion type {self.conv_type_id} of {urlsplit(self.url).netloc}", self.redistribution)


def make_account(url: str, key: str, conv_type_id: str, redistribution: Redistribution | None = None) -> ApiAccount:
    """Check what the API needs; on loopback, key and conversion type may be empty.

    Raises SettingsError: which setting is missing or wrong, and where to set it.
    """
    is_own = is_loopback(_checked_url(url))
    if not key and not is_own:
        raise SettingsError("The API needs a key: set IHC_API_KEY in the environment or in .env, never in a notebook.")
    if not re.fullmatch("[!-~]*", key):
        raise SettingsError("IHC_API_KEY holds blanks or letters that no key has: copy it again, without quotes.")
    if not conv_type_id and not is_own:
        raise SettingsError("The API needs a conversion type: set --conv-type-id or IHC_CONV_TYPE_ID.")
    if not (conv_type_id or LOOPBACK_TYPE).isprintable():
        raise SettingsError("The conversion type (IHC_CONV_TYPE_ID) holds characters that cannot be printed.")
    return ApiAccount(_one_form(url), key, conv_type_id or LOOPBACK_TYPE, redistribution)


def _one_form(url: str) -> str:
    """The address in one form, as answers are known by it: host in small letters, no port that goes without saying."""
    parts = urlsplit(url)
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    return parts._replace(netloc=host).geturl()


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        is_whole = False
    if not is_whole or parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(f"IHC_API_URL must be an address like {API_URL}, without user, password and query.")
    if parts.scheme == "http" and not is_loopback(url):
        raise SettingsError(
            f"IHC_API_URL must begin with https://: {parts.hostname} is another machine, and nobody on the way there "
            "may read the key."
        )
    return url


def is_loopback(url: str) -> bool:
    """Say whether an address means this very machine."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Say whether a host's name or number means this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
