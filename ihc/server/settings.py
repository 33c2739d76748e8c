"""What a server is asked for: option, then environment, then `.env`, then default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ihc.api.account import is_loopback_host
from ihc.errors import SettingsError
from ihc.settings.environment import count, read_variables
from ihc.settings.run import KNOWN


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
    values = read_variables(base / ".env", KNOWN)
    keys = tuple(key.strip() for key in values.get("IHC_SERVER_KEYS", "").split(",") if key.strip())
    if no_auth and not is_loopback_host(host):
        raise SettingsError(f"--no-auth is for this machine only, and {host} is not: leave out --host, or set keys.")
    if not keys and not no_auth:
        raise SettingsError(
            "A server needs keys: set IHC_SERVER_KEYS in the environment or in .env, separated by commas; on this "
            "machine alone --no-auth does without."
        )
    files = parameters or [name.strip() for name in values.get("IHC_SERVER_PARAMETERS", "").split(",") if name.strip()]
    return ServerSettings(
        host=host,
        port=port,
        keys=() if no_auth else keys,
        parameters=tuple((base / name).resolve() for name in files),
        requests_per_minute=count(values, "IHC_SERVER_REQUESTS_PER_MINUTE", ServerSettings.requests_per_minute),
    )
