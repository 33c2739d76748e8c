"""Name the channel of each session from its source, medium, campaign and referrer, by rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ihc.arrays.types import Booleans, Integers
from ihc.errors import InputError, SettingsError
from ihc.formatting import some
from ihc.schemas.tables import plain_names
from ihc.shipped import RESOURCES

COLUMNS = ("source", "medium", "campaign", "referrer")
FIELDS = (*COLUMNS, "source_category")  # what a rule may have conditions on
UNASSIGNED = "Unassigned"  # the channel of a session that no rule matches, as in GA4
MOST_UNMATCHED = 20  # combinations without a rule that are listed
GA4 = RESOURCES / "channels_ga4.toml"
HOST = r"^(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/?#@]*@)?(?:www\.)?([^/?#:\s]+\.[^/?#:\s]+)"


@dataclass(frozen=True)
class Rule:
    """A channel and its conditions: pairs of a field and a regular expression. All of them must match."""

    channel: str
    conditions: tuple[tuple[str, str], ...]


class Channels(NamedTuple):
    """The channel of each session, and how it was found.

    `channel`: the names, with the index of the frame; `counts`: `rule [number; 0: none], channel, rows, example`, one
    row per rule that matched; `unmatched`: `source, medium, campaign, rows`, the most frequent ones without a rule.
    """

    channel: pd.Series[str]
    counts: pd.DataFrame
    unmatched: pd.DataFrame


def load_rules(entries: Sequence[Mapping[str, Any]], where: str) -> tuple[Rule, ...]:
    """Read the rules of a mapping file: tables of `channel` and one regular expression per field of `FIELDS`.

    Regular expressions are those of RE2, which takes linear time on any text. `where`: the file, for messages. Raises
    SettingsError for anything else.
    """
    if not isinstance(entries, list | tuple):
        raise SettingsError(f"{where}: channels is {entries!r}. Write one [[channels]] table per rule.")
    rules = tuple(_rule(entry, f"{where}, rule {number} of [[channels]]") for number, entry in enumerate(entries, 1))
    for number, rule in enumerate(rules[:-1], start=1):
        if not rule.conditions:
            raise SettingsError(
                f"{where}, rule {number} of [[channels]]: {rule.channel} has no condition, so no later rule can match. "
                f"Give it one of {', '.join(FIELDS)}, or move it to the end."
            )
    return rules


def _rule(entry: object, where: str) -> Rule:
    if not isinstance(entry, Mapping):
        raise SettingsError(f"{where} is {entry!r}. Write a table with a channel and its conditions.")
    channel = entry.get("channel")
    if not isinstance(channel, str) or not channel.strip():
        raise SettingsError(f'{where}: channel is {channel!r}. Give the name of a channel: channel = "Paid Search".')
    if unknown := [name for name in entry if name not in ("channel", *FIELDS)]:
        raise SettingsError(f"{where}: unknown field {some(unknown)}. Valid fields: {', '.join(FIELDS)}.")
    conditions = [(name, entry[name]) for name in FIELDS if name in entry]
    for name, pattern in conditions:
        _check_pattern(pattern, f"{where}: {name}")
    return Rule(" ".join(channel.split()), tuple(conditions))


def _check_pattern(pattern: object, where: str) -> None:
    if not isinstance(pattern, str):
        raise SettingsError(f'{where} is {pattern!r}. Give a regular expression as text: "google|bing".')
    try:
        _matches([""], pattern)
    except pa.ArrowInvalid as error:
        says = str(error).removeprefix("Invalid regular expression: ")
        raise SettingsError(
            f"{where} {pattern!r} is not a valid regular expression: {says}. Correct it; look-ahead, look-behind and "
            "back references are not supported."
        ) from None


@cache
def ga4_rules() -> tuple[Rule, ...]:
    """Return the rules of GA4's default channel group, see `ihc/resources/channels_ga4.toml`."""
    return load_rules(_ga4()["channels"], GA4.name)


@cache
def _ga4() -> dict[str, Any]:
    return tomllib.loads(GA4.read_text("utf-8"))


@cache
def _categories() -> dict[str, str]:
    """Return one regular expression per category of sources, in order of precedence."""
    country = r"(\.[a-z]{2,3}){0,2}"
    return {
        name: rf"^((.+\.)?({_any(lists['sites'])})|(www\.)?({_any(lists['exact'])})){country}$"
        for name, lists in _ga4()["source_categories"].items()
    }


def _any(names: Sequence[str]) -> str:
    return "|".join(re.escape(name) for name in names)


def channels_of(frame: pd.DataFrame, rules: Sequence[Rule]) -> Channels:
    """Name the channel of each row: that of the first rule whose conditions all match, else Unassigned.

    In: any of the columns `source, medium, campaign, referrer`, with missing values. Conditions see texts without outer
    blanks and in lower case; a missing value is an empty text. Without source and medium, the host of the referrer is
    the source and the medium is `referral`. Without any of the four, the session is direct, as in GA4: source
    `(direct)`, medium `(none)`. `source_category` is `search`, `social`, `video`, `shopping`, `ai` or empty.

    Raises InputError if the frame has none of the columns.
    """
    if not any(name in frame for name in COLUMNS):
        raise InputError(f"There is no column to name channels by. Map at least one of {', '.join(COLUMNS)}.")
    distinct, row = _distinct(
        frame, keeps_referrer=any(name == "referrer" for rule in rules for name, _ in rule.conditions)
    )
    distinct = _completed(distinct)
    rule = _first_match(distinct, rules)
    names = pd.Series([*(each.channel for each in rules), UNASSIGNED], dtype="str")
    channel = names.take(rule[row]).set_axis(frame.index).rename("channel_name")
    distinct = distinct.assign(
        rows=np.bincount(row, minlength=len(distinct)), rule=rule, channel=names.take(rule).array
    )
    return Channels(channel, _counts(distinct, len(rules)), _unmatched(distinct[rule == len(rules)]))


def _distinct(frame: pd.DataFrame, *, keeps_referrer: bool) -> tuple[pd.DataFrame, Integers]:
    """Return the distinct combinations of the columns, normalised, and the position of each row's combination."""
    row: Integers = np.zeros(len(frame), dtype="int64")
    parts = {}
    for name in COLUMNS:
        codes, values = _normalised_texts(frame[name] if name in frame else pd.Series("", index=frame.index))
        if name == "referrer" and not keeps_referrer:  # every page has an address of its own, but there are few hosts
            of_value, hosts = pd.factorize(_hosts(values))
            codes, values = of_value[codes], pd.Series(hosts, dtype="str")
        parts[name] = (codes, values)
        row = pd.factorize(row * (len(values) + 1) + codes)[0]
    first = np.flatnonzero(~pd.Series(row).duplicated())
    return pd.DataFrame({name: values.take(codes[first]).array for name, (codes, values) in parts.items()}), row


def _normalised_texts(values: pd.Series[Any]) -> tuple[Integers, pd.Series[str]]:
    """Return codes and distinct texts: stripped, in lower case, empty if missing."""
    codes, known = pd.factorize(_texts(values))
    again, texts = pd.factorize(pd.Series([*known, ""], dtype="str").str.strip().str.casefold())
    return again[codes], pd.Series(texts, dtype="str")


def _texts(values: pd.Series[Any]) -> pd.Series[str]:
    if values.dtype == object and pd.api.types.infer_dtype(values) not in ("string", "empty"):
        values = values.map(_text, na_action="ignore")
    return values.astype("str")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes | bytearray) else str(value)


def _hosts(referrers: pd.Series[str]) -> pd.Series[str]:
    return referrers.str.extract(HOST, expand=False).fillna("").astype("str")


def _completed(distinct: pd.DataFrame) -> pd.DataFrame:
    """Fill in source and medium as GA4 does, and add the source category."""
    source, medium, host = distinct["source"], distinct["medium"], _hosts(distinct["referrer"])
    is_open = (source == "") & (medium == "")
    is_referral = is_open & (host != "")
    is_direct = is_open & (host == "") & (distinct["campaign"] == "")
    source = source.mask(is_referral, host).mask(is_direct, "(direct)")
    medium = medium.mask(is_referral, "referral").mask((source == "(direct)") & (medium == ""), "(none)")
    codes, sources = pd.factorize(source)
    return distinct.assign(source=source, medium=medium, source_category=_category(sources).take(codes).array)


def _category(sources: pd.Index[str]) -> pd.Series[str]:
    category = np.full(len(sources), "", dtype=object)
    for name, pattern in reversed(_categories().items()):
        category[_matches(sources, pattern)] = name
    return pd.Series(category, dtype="str")


def _first_match(distinct: pd.DataFrame, rules: Sequence[Rule]) -> Integers:
    """Return the position of the first matching rule, or the number of rules if none matches."""
    values = {name: pd.factorize(distinct[name]) for name in FIELDS}

    @cache
    def met(name: str, pattern: str) -> Booleans:
        codes, texts = values[name]
        return _matches(texts, pattern)[codes]

    first: Integers = np.full(len(distinct), len(rules), dtype="int64")
    for number in reversed(range(len(rules))):
        masks = [met(name, pattern) for name, pattern in rules[number].conditions]
        first[np.logical_and.reduce(masks) if masks else slice(None)] = number
    return first


def _matches(texts: Collection[str] | pd.Index[str], pattern: str) -> Booleans:
    """Search a regular expression in texts. Arrow uses RE2, so no expression takes more than linear time."""
    found = pc.match_substring_regex(pa.array(texts, type=pa.large_string()), pattern=pattern, ignore_case=True)
    return np.asarray(found, dtype=bool)


def _counts(distinct: pd.DataFrame, rules: int) -> pd.DataFrame:
    example = distinct["source"].str.cat(distinct["medium"], sep=" / ")
    frequent = distinct.assign(example=example).sort_values("rows", ascending=False, kind="stable")
    counts = frequent.groupby("rule").agg(
        channel=("channel", "first"), rows=("rows", "sum"), example=("example", "first")
    )
    number = (counts.index.to_numpy() + 1) % (rules + 1)
    return counts.assign(rule=number).reset_index(drop=True)[["rule", "channel", "rows", "example"]]


def _unmatched(distinct: pd.DataFrame) -> pd.DataFrame:
    names = ["source", "medium", "campaign"]
    rows = distinct[[*names, "rows"]].groupby(names, as_index=False).sum()
    return rows.sort_values("rows", ascending=False, kind="stable").head(MOST_UNMATCHED).reset_index(drop=True)


def normalised(names: pd.Series[Any]) -> pd.Series[str]:
    """Unify channel names as the shop wrote them: blanks stripped and collapsed, one spelling per channel.

    Names that differ only in case or blanks become the most frequent of them; of equally frequent ones, the
    alphabetically first. An empty name is NaN.
    """
    codes, known = pd.factorize(_texts(names))
    written = pd.Series(known, dtype="str").str.split().str.join(" ")
    rows = np.bincount(codes[codes >= 0], minlength=len(written))
    forms = pd.DataFrame({"written": written, "plain": plain_names(written), "rows": rows})
    totals = forms.groupby(["plain", "written"], as_index=False).sum()
    chosen = totals.sort_values(["rows", "written"], ascending=[False, True]).drop_duplicates("plain")
    unified = chosen.set_index("plain")["written"].reindex(forms["plain"])
    unified = pd.Series([*unified.where(unified != ""), None], dtype="str")
    return pd.Series(unified.take(codes).array, index=names.index, name=names.name)
