"""The mapping file of an import (TOML): which column is what, and the rules for channels, engagement and orders."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as Map
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ihc.errors import SettingsError, why
from ihc.formatting import listed, some
from ihc.importing.channels import Rule, ga4_rules, load_rules
from ihc.schemas.refunds import REFUND_OF
from ihc.schemas.tables import COLUMNS, CONVERSIONS, SESSIONS
from ihc.shipped import PRESETS, preset_names

GA4 = "ga4"
SESSION_FIELDS = {
    "session_id": "id of the session",
    "user_id": "id of the visitor or customer; empty: the session belongs to no journey",
    "time": "start of the session",
    "channel": "channel, as the shop names it",
    "source": "traffic source, such as google",
    "medium": "traffic medium, such as cpc",
    "campaign": "campaign",
    "referrer": "referring page",
    "cost": "cost of the session",
    "engaged": "whether the session was engaged (yes or no)",
    "pages": "number of pages viewed",
    "duration": "length of the session",
    "events": "names of the session's events",
    "holder_engagement": "holder engagement, as ihc uses it (0 or 1)",
    "closer_engagement": "closer engagement, as ihc uses it (0 or 1)",
    "impression": "whether it is an ad impression (yes or no)",
}
ORDER_FIELDS = {
    "order_id": "id of the order",
    "user_id": "id of the visitor or customer, as in the sessions",
    "time": "time of the order",
    "revenue": "amount of the order, or of one of its lines",
    "currency": "currency code",
    "status": "status, such as paid or cancelled",
    "refund_of": "id of the refunded order",
    "conversion_type": "kind of conversion, such as lead or purchase",
}
SPEND_FIELDS = {
    "date": "day",
    "channel": "channel, as the shop names it",
    "source": "traffic source, such as google",
    "medium": "traffic medium, such as cpc",
    "campaign": "campaign",
    "cost": "spend",
    "currency": "currency code",
    "impressions": "number of impressions",
    "clicks": "number of clicks",
}
FIELDS = {"sessions": SESSION_FIELDS, "orders": ORDER_FIELDS, "spend": SPEND_FIELDS}
# Columns of the tables, whose names no kept column may have.
TAKEN = {
    "sessions": {*COLUMNS[SESSIONS], "event_utc", "campaign", "source", "medium", "cost"},
    "orders": {*COLUMNS[CONVERSIONS], REFUND_OF, "conv_utc", "conversion_type"},
    "spend": set(),
}
NEEDED = {
    "sessions": ("user_id", "time"),
    "orders": ("order_id", "user_id", "time", "revenue"),
    "spend": ("date", "cost"),
}

Columns = str | Annotated[list[str], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Strict):
    """One export: its columns, and how its values are written.

    `query`: SQL over the files, in place of all columns of the option's files; `channel`: the channel of all rows, for
    an export that does not name it, such as that of one ad platform; `lines`: how several rows of one order
    count; `drop_status`: statuses of orders that do not count, in any case.
    """

    query: str | None = None
    channel: str = ""
    day_first: bool | None = None
    decimal: Literal[".", ","] | None = None
    columns: dict[str, Columns] = {}
    keep: dict[str, str] = {}
    drop_status: tuple[str, ...] = ()
    lines: Literal["sum", "once"] | None = None


class Flag(_Strict):
    """The rule of an engagement flag: a column reaches a number, is one of several texts, or contains one of them."""

    column: str
    at_least: float | None = None
    one_of: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()


def _listed(given: object) -> object:
    return [given] if isinstance(given, dict) else given


Flags = Annotated[tuple[Flag, ...], BeforeValidator(_listed)]


class Engagement(_Strict):
    """The rules of the engagement flags, one or several each; a flag is 1 if any applies, or if there is none."""

    holder: Flags = ()
    closer: Flags = ()


class Schema(_Strict):
    """Types of the columns of an option's files, for JSON with a known schema."""

    columns: dict[str, str] = {}


class Mapping(_Strict):
    """A mapping, as in its file.

    `max_dropped`: largest share of rows that may be unreadable; `channels`: rules, or the name of a set that ships.
    """

    timezone: str = "UTC"
    currency: str = ""
    max_dropped: float = Field(default=0.01, ge=0, le=1)
    sessions: Part | None = None
    orders: Part | None = None
    spend: Part | None = None
    channels: Literal["ga4"] | tuple[dict[str, Any], ...] = "ga4"
    engagement: Engagement = Engagement()
    read: dict[str, Schema] = {}

    def part(self, kind: str) -> Part | None:
        """The part of `sessions`, `orders` or `spend`."""
        part: Part | None = getattr(self, kind)
        return part

    def schema_of(self, option: str) -> dict[str, str]:
        """The types of an option's columns, as far as they are known."""
        return self.read[option].columns if option in self.read else {}

    def rules(self, where: str = "the mapping") -> tuple[Rule, ...]:
        """The channel rules; raises SettingsError for an invalid one."""
        return ga4_rules() if self.channels == GA4 else load_rules(self.channels, where)  # type: ignore[arg-type]


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises SettingsError that names the invalid entry, its value and what is valid."""
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"The mapping {path} cannot be read: {why(error)}.") from None
    except ValueError as error:  # invalid encoding or syntax
        raise SettingsError(f"The mapping {path} is not valid TOML: {error}.") from None
    return checked_mapping(given, f"The mapping {path}")


def load_preset(name: str) -> Mapping:
    """Read a preset by its name; raises SettingsError if there is none."""
    names = preset_names()
    if name not in names:
        raise SettingsError(f"There is no preset {name!r}; presets are {', '.join(names)}.")
    return load_mapping(PRESETS / f"{name}.toml")


def checked_mapping(given: Map[str, Any], where: str) -> Mapping:
    """Make a mapping of the entries of its file; raises SettingsError."""
    try:
        mapping = Mapping.model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"{where}: {'; '.join(map(_sentence, error.errors()))}.") from None
    for kind, fields in FIELDS.items():
        if (part := mapping.part(kind)) and (unknown := [name for name in part.columns if name not in fields]):
            raise SettingsError(
                f"{where}: [{kind}.columns] has the unknown field {some(unknown)}; fields are {', '.join(fields)}. "
                f"Columns of your own belong in [{kind}.keep]."
            )
        if part and (taken := [name for name in part.keep if name.lower() in TAKEN[kind]]):
            raise SettingsError(f"{where}: [{kind}.keep] has {some(taken)}, a name that ihc uses. Give another one.")
        if part and part.keep and kind == "spend":
            raise SettingsError(f"{where}: daily spend has no columns of your own: remove [spend.keep].")
    mapping.rules(where)
    return mapping


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"] if not re.search(r"\[|^str$", str(part)))
    if error["type"] == "extra_forbidden":
        return f"unknown entry {name}"
    says = f"{error['msg'][0].lower()}{error['msg'][1:]}"
    for python, toml in (
        ("a valid tuple", "a list"),
        ("a valid dictionary or instance of Part", "a table"),
        ("a valid string", "a text"),
    ):
        says = says.replace(python, toml)
    return f"{name} is {error['input']!r}: {says}"


def mapping_text(mapping: Mapping, preset: str | None, path: Path | None, comments: Map[str, Map[str, str]]) -> str:
    """The text of a mapping file: of a new one, of a preset, or of the file at `path` with the parts it lacks.

    `comments`: text behind each column, by kind and field.
    """
    import tomlkit

    source = path or (PRESETS / f"{preset}.toml" if preset else None)
    document = tomlkit.parse(source.read_text("utf-8-sig")) if source else _new_document()
    for name in ("timezone", "currency"):
        if document.get(name, getattr(Mapping(), name)) != getattr(mapping, name) or not source:
            document[name] = getattr(mapping, name)
    for kind in FIELDS:
        if part := mapping.part(kind):
            table = _part_table(part, comments.get(kind, {}))
            for name in table if kind in document else ():
                document[kind].setdefault(name, table[name])
            document.setdefault(kind, table)
    return tomlkit.dumps(document)


def _new_document() -> Any:
    import tomlkit

    document = tomlkit.document()
    for line in (
        "Mapping for `ihc import`: ihc's field = your column. Edit it, and import again.",
        "Times without an offset, and the shop's days, are in this time zone.",
    ):
        document.add(tomlkit.comment(line))
    return document


def _part_table(part: Part, comments: Map[str, str]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for name, value in part.model_dump(exclude_none=True, exclude={"columns", "keep"}).items():
        if value or value is False:
            table[name] = list(value) if isinstance(value, tuple) else value
    for name in ("columns", "keep"):
        if of := getattr(part, name):
            inner = tomlkit.table()
            for field, column in of.items():
                inner[field] = column
                if says := comments.get(field):
                    inner[field].comment(says)
            table[name] = inner
    return table


def names_of(columns: str | Sequence[str]) -> list[str]:
    """The columns of a field, which has one or several."""
    return [columns] if isinstance(columns, str) else list(columns)


def missing_fields(kind: str, part: Part) -> str:
    """What an export lacks, as a sentence; empty if nothing."""
    lacks = [name for name in NEEDED[kind] if name not in part.columns]
    says = [f"{name} ({FIELDS[kind][name]})" for name in lacks]
    if kind != "orders" and not part.channel and not part.columns.keys() & {"channel", "source", "medium", "referrer"}:
        says.append("channel, or source and medium")
    return listed(says)
