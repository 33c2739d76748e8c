"""Settings of the server, resolved from options, environment, `.env` and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ihc.api.account import is_loopback_host
from ihc.errors import SettingsError
from ihc.settings.variables import read_variables


@dataclass(frozen=True)
class ServerSettings:
    """Settings of the server. No `keys`: no authentication; no `parameters`: the built-in set.

    Limits: `max_journeys`, `max_sessions` [count per request], `max_bytes` [bytes per request], `requests_per_minute`
    [1/min per key].
    """

    host: str
    port: int
    keys: tuple[str, ...] = field(repr=False)
    parameters: tuple[Path, ...]
    max_journeys: int = 100
    max_sessions: int = 3000
    max_bytes: int = 10_000_000
    requests_per_minute: int = 600


def load_server_settings(
    *,
    base: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    parameters: Sequence[str] = (),
    no_auth: bool = False,
) -> ServerSettings:
    """Resolve the server settings: options, then the environment, then `.env`.

    Keys are in IHC_SERVER_KEYS, separated by commas; parameters files may also be in IHC_SERVER_PARAMETERS.
    Raises SettingsError if there are no keys, unless `no_auth` is set and the server listens on loopback only.
    """
    base = base or Path.cwd()
    given = read_variables(base)
    if no_auth and not is_loopback_host(host):
        raise SettingsError(
            f"--no-auth is only allowed on this machine, not for {host}: leave out --host, or set keys."
        )
    if not given.server_keys and not no_auth:
        raise SettingsError(
            "The server needs keys: set IHC_SERVER_KEYS in the environment or in .env, separated by commas, or use "
            "--no-auth on this machine only."
        )
    return ServerSettings(
        host=host,
        port=port,
        keys=() if no_auth else tuple(key.get_secret_value() for key in given.server_keys),
        parameters=tuple((base / name).resolve() for name in parameters or given.server_parameters),
        requests_per_minute=given.server_requests_per_minute,
    )
