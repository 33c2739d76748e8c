"""Settings for tests: a `.env` in a folder, and variables in the environment."""

import json

from ihc.settings.run import load_settings

KEY = "k3y-of-the-test"
# All that chooses the API.
ASK = {"IHC_API_KEY": KEY, "IHC_CONV_TYPE_ID": "sales", "IHC_DATABASE": "shop.db"}
PHASE = {"direction": "any_session", "receive_threshold": 0.5, "redistribution_channel_labels": ["Direct"]}


def dotenv(folder, text):
    """Write a `.env` into a folder, and give the folder back."""
    (folder / ".env").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def load(folder, monkeypatch, variables, **options):
    """Settings of a folder with these variables in the environment; None leaves one out."""
    for name, value in variables.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    return load_settings(base=folder, **options)


def redistribution_file(folder):
    path = folder / "redistribution.json"
    path.write_text(json.dumps(dict.fromkeys(("initializer", "holder", "closer"), PHASE)))
    return path
