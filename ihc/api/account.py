"""API account: URL, key, conversion type and redistribution, validated before the first request."""

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
LOOPBACK_TYPE = "default"  # conversion type of a local server that runs without a parameters file


@dataclass(frozen=True)
class ApiAccount:
    """API URL, key, conversion type and redistribution. Stored answers are kept separate by account."""

    url: str
    key: str = field(repr=False)
    conv_type_id: str
    redistribution: Redistribution | None = None

    @property
    def id(self) -> str:
        """Twelve-character hash of everything the answers depend on: URL, conversion type and redistribution."""
        parts = [self.url, self.conv_type_id, self.redistribution.text if self.redistribution else ""]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Conversion type, host and redistribution, as shown in every output."""
        return labelled(f"conversion type {self.conv_type_id} of {urlsplit(self.url).netloc}", self.redistribution)


def make_account(url: str, key: str, conv_type_id: str, redistribution: Redistribution | None = None) -> ApiAccount:
    """Validate the API settings. On loopback, key and conversion type may be empty.

    Raises SettingsError that names the missing or invalid setting and where to set it.
    """
    is_local = is_loopback(_checked_url(url))
    if not key and not is_local:
        raise SettingsError("The API needs a key: set IHC_API_KEY in the environment or in .env, never in a notebook.")
    if not re.fullmatch("[!-~]*", key):
        raise SettingsError(
            "IHC_API_KEY contains spaces or other characters that are not part of a key: copy it again, without quotes."
        )
    if not conv_type_id and not is_local:
        raise SettingsError("The API needs a conversion type: set --conv-type-id or IHC_CONV_TYPE_ID.")
    if not (conv_type_id or LOOPBACK_TYPE).isprintable():
        raise SettingsError("The conversion type (IHC_CONV_TYPE_ID) contains non-printable characters.")
    return ApiAccount(_normalised(url), key, conv_type_id or LOOPBACK_TYPE, redistribution)


def _normalised(url: str) -> str:
    """Normalise a URL, because stored answers are keyed by it: lower-case host, no default port."""
    parts = urlsplit(url)
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    return parts._replace(netloc=host).geturl()


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        is_valid = False
    if not is_valid or parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError(f"IHC_API_URL must be a URL like {API_URL}, without user, password or query.")
    if parts.scheme == "http" and not is_loopback(url):
        raise SettingsError(
            f"IHC_API_URL must start with https://: {parts.hostname} is a remote host, so the key must be encrypted."
        )
    return url


def is_loopback(url: str) -> bool:
    """Whether a URL points to this machine."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Whether a host name or IP address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
