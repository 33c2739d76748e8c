"""What a server is asked for: option, then environment, then `.env`, then default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ihc.api.account import is_loopback_host
from ihc.errors import SettingsError
from ihc.settings.variables import read_variables


@dataclass(frozen=True)
class ServerSettings:
    """What a server is asked for; without `keys` it answers everyone. No `parameters`: the set that ships.

    Limits: `max_journeys`, `max_sessions` [count a request], `max_bytes` [bytes a request], `requests_per_minute`
    [1/min a key].
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
    """Settle what a server needs: options, then the environment, then `.env`.

    Keys stand in IHC_SERVER_KEYS, separated by commas; parameters files also in IHC_SERVER_PARAMETERS.
    Raises SettingsError: without keys a server starts on loopback only, and only if told to.
    """
    base = base or Path.cwd()
    given = read_variables(base)
    if no_auth and not is_loopback_host(host):
        raise SettingsError(f"--no-auth is for this machine only, and {host} is not: leave out --host, or set keys.")
    if not given.server_keys and not no_auth:
        raise SettingsError(
            "A server needs keys: set IHC_SERVER_KEYS in the environment or in .env, separated by commas; on this "
            "machine alone --no-auth does without."
        )
    return ServerSettings(
        host=host,
        port=port,
        keys=() if no_auth else tuple(key.get_secret_value() for key in given.server_keys),
        parameters=tuple((base / name).resolve() for name in parameters or given.server_parameters),
        requests_per_minute=given.server_requests_per_minute,
    )
