"""Read the exports of presets, as an import does before it converts the rows."""

from pathlib import Path

from ihc.importing.channels import channels_of
from ihc.importing.files import open_exports
from ihc.importing.mapping import load_preset

EXPORTS = Path(__file__).parents[1] / "importing" / "exports"


def read_preset(name, **files):
    """Return the frames of `sessions` and `orders`; the sessions with `channel_name`."""
    preset = load_preset(name)
    with open_exports() as opened:
        for option, file in files.items():
            opened.add(option, str(EXPORTS / file), preset.schema_of(option))
        opened.close_files()
        sessions, orders = (opened.read(kind, preset.part(kind).query) for kind in ("sessions", "orders"))
    if "channel" in sessions:
        return sessions.assign(channel_name=sessions["channel"]), orders
    return sessions.assign(channel_name=channels_of(sessions, preset.rules()).channel), orders
