"""Settings for tests: a `.env` file and environment variables."""

import json

from ihc.settings.run import load_settings

KEY = "k3y-of-the-test"
# The settings that select the API.
ASK = {"IHC_API_KEY": KEY, "IHC_CONV_TYPE_ID": "sales", "IHC_DATABASE": "shop.db"}
PHASE = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}


def dotenv(folder, text):
    """Write a `.env` file to a folder and return the folder."""
    (folder / ".env").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def load(folder, monkeypatch, variables, **options):
    """The settings for a folder with these environment variables; None unsets one."""
    for name, value in variables.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return load_settings(base=folder, **options)


def redistribution_file(folder):
    path = folder / "redistribution.json"
    path.write_text(json.dumps(dict.fromkeys(("initializer", "holder", "closer"), PHASE)))
    return path
