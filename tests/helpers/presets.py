"""Run the queries of a preset over files, as an import does."""

import tomllib
from pathlib import Path

import duckdb

from ihc.importing.channels import channels_of, ga4_rules
from ihc.shipped import RESOURCES

PRESETS = RESOURCES / "presets"
EXPORTS = Path(__file__).parents[1] / "importing" / "exports"
FIELDS = {
    "sessions": {
        *("session_id", "user_id", "time", "channel", "source", "medium", "campaign", "referrer", "cost", "engaged"),
        *("pages", "duration", "events", "impression"),
    },
    "orders": {"order_id", "user_id", "time", "revenue", "currency", "status", "refund_of", "conversion_type"},
}


def preset(name):
    return tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))


def read_preset(name, **files):
    """Return the frames of `sessions` and `orders`; the sessions with `channel_name`."""
    mapping = preset(name)
    with duckdb.connect(config={"threads": 2}) as connection:
        for option, file in files.items():
            _read(connection, option, EXPORTS / file, mapping["read"][option]["columns"])
        connection.execute("SET enable_external_access = false")
        sessions, orders = (connection.sql(mapping[kind]["query"]).df() for kind in ("sessions", "orders"))
    if "channel" in sessions:
        return sessions.assign(channel_name=sessions["channel"]), orders
    return sessions.assign(channel_name=channels_of(sessions, ga4_rules()).channel), orders


def _read(connection, option, file, columns):
    source = f"read_csv('{file}', header = true, all_varchar = true, delim = ',', quote = '\"', nullstr = '')"
    if file.suffix.startswith(".json"):
        known = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        source = f"read_json('{file}', columns = {{{known}}}, maximum_object_size = 100000000)"
    connection.execute(f"CREATE TABLE {option} AS SELECT * FROM {source}")
    found = connection.table(option).columns
    for name, kind in columns.items():
        if name not in found:
            connection.execute(f'ALTER TABLE {option} ADD COLUMN "{name}" {kind}')
