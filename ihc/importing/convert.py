"""Convert the rows of exports to the rows of ihc's tables, and count what was read, converted and dropped."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Map
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ihc.errors import AmbiguousError, InputError, SettingsError
from ihc.formatting import counted, fixed, listed, percent, shown, some
from ihc.importing.amounts import Amounts, currency_codes, read_amounts, read_flags
from ihc.importing.cells import EMPTY
from ihc.importing.channels import FIELDS as CHANNEL_FIELDS
from ihc.importing.channels import Channels, channels_of, normalised
from ihc.importing.engagement import flags_of
from ihc.importing.files import FILE
from ihc.importing.mapping import Engagement, Mapping, Part, missing_fields, names_of
from ihc.importing.times import Moments, read_days, read_moments
from ihc.schemas.refunds import REFUND_OF
from ihc.schemas.tables import plain_names

UTC = "UTC"
NO_USER = ("", "(not set)", "null", "none", "nan", "undefined", "n/a")
DROPPED_STATUS = (
    *(
        "cancelled",
        "canceled",
        "voided",
        "void",
        "failed",
        "declined",
        "rejected",
        "abandoned",
        "draft",
        "test",
        "closed lost",
    ),
    *("storniert", "abgebrochen", "annulé", "annulée", "cancelado", "cancelada", "annullato", "geannuleerd"),
)
SOURCE_AND_MEDIUM = r"^(?P<source>.*\S) / (?P<medium>\S.*)$"
FORMULA = r'^="([^"]*)"$'  # how exports keep a spreadsheet from changing an id
ONE_CHANNEL = ' If all rows are of one channel, set channel = "Paid Search" under [{0}] instead.'
# What the form of a column tells about how later exports are written: entries of the mapping.
LEARNED: dict[str, tuple[str, bool | str]] = {
    "DD/MM/": ("day_first", True),
    "DD-MM-": ("day_first", True),
    "MM/DD/": ("day_first", False),
    "MM-DD-": ("day_first", False),
    "decimal comma": ("decimal", ","),
    "decimal point": ("decimal", "."),
}
SHORTENED = r"\d[.,]\d+E\+\d+"
TOTAL = r"(?i)\s*(?:grand |sub)?(?:totals?|gesamt|gesamtsumme|summe|insgesamt|totale|totaal)\b"
OTHER_CHANNEL = "(not set)"
MOST_SAME = 0.8  # share of orders with one amount in all rows from which on the amount may be the total


class Converted(NamedTuple):
    """The rows of a table, and how they came about.

    `frame`: the rows; `counts`: `what, rows` from the rows read to those kept, which add up; `notes`: how values were
    read; `channels`: which rule gave which channel, if rules were used; `currencies`: those written beside amounts;
    `gone`: ids of orders that do not count, because of their status or currency; `learned`: the order of day and month
    and the decimal sign, as entries of a mapping, by which a later export is read in the same way.
    """

    frame: pd.DataFrame
    counts: pd.DataFrame
    notes: tuple[str, ...]
    channels: Channels | None = None
    currencies: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    learned: Map[str, bool | str] = MappingProxyType({})


class _Rows:
    """The rows of one export on their way: every row is kept, or counted with the reason."""

    def __init__(self, kind: str, frame: pd.DataFrame, part: Part) -> None:
        self.kind, self.part = kind, part
        self.frame = frame.reset_index(drop=True)
        self.counts: list[tuple[str, int]] = [("read", len(frame))]
        self.notes: list[str] = []
        self.unreadable = 0
        self.currencies: set[str] = set()
        self.learned: dict[str, set[bool | str]] = {}
        self._check_columns()
        self.drop(self.frame.drop(columns=FILE, errors="ignore").isna().all(axis="columns"), "empty row")
        self._split_source()

    def _check_columns(self) -> None:
        wanted = [*(name for of in self.part.columns.values() for name in names_of(of)), *self.part.keep.values()]
        if missing := [name for name in wanted if name not in self.frame]:
            raise InputError(
                f"--{self.kind} has no column {some(missing)}, which the mapping names; its columns are "
                f"{some([name for name in self.frame if name != FILE], 30)}."
            )
        if lacks := missing_fields(self.kind, self.part):
            raise InputError(
                f"--{self.kind}: no column was found for {lacks}. Name it under [{self.kind}.columns] in the mapping; "
                f"the columns are {some([name for name in self.frame if name != FILE], 30)}."
                + (ONE_CHANNEL.format(self.kind) if "channel" in lacks else "")
            )

    def _split_source(self) -> None:
        """Make source and medium of a column with both, such as GA4's "Session source / medium"."""
        columns = self.part.columns
        name = columns.get("source")
        if not isinstance(name, str) or "medium" in columns:
            return
        both = self.texts("source").str.extract(SOURCE_AND_MEDIUM)
        if not both["medium"].notna().any():
            return
        source, medium = (f"{name} ({field})" for field in ("source", "medium"))
        split = {source: both["source"].fillna(self.texts("source")), medium: both["medium"]}
        self.frame = self.frame.assign(**split)
        self.part = self.part.model_copy(update={"columns": {**columns, "source": source, "medium": medium}})
        self.notes.append(f"{name}: source / medium, in {counted(both['medium'].notna().sum(), 'row')}")

    def has(self, field: str) -> bool:
        return field in self.part.columns

    def column(self, field: str) -> pd.Series:
        """The values of a field; of several columns, joined by a blank."""
        first, *others = (self.frame[name] for name in names_of(self.part.columns[field]))
        for other in others:
            first = first.astype("str") + " " + other.astype("str")
        return first

    def texts(self, field: str) -> pd.Series:
        """A field as texts without blanks around; NaN if empty or missing."""
        if not self.has(field):
            return pd.Series(np.nan, index=self.frame.index, dtype="str")
        return _texts(self.column(field))

    def users(self) -> pd.Series:
        """The ids of users; empty where there is none."""
        users = self.texts("user_id")
        self._drop_shortened("user_id", users)
        return users.mask(users.str.casefold().isin(NO_USER)).fillna("")

    def ids(self, field: str) -> pd.Series:
        """A field that no row may lack."""
        ids = self.texts(field)
        self.drop_unreadable(field, pd.Series(EMPTY, index=ids.index[ids.isna()], dtype="str"))
        self._drop_shortened(field, ids)
        return ids

    def _drop_shortened(self, field: str, ids: pd.Series) -> None:
        """Leave out ids such as 1.23E+11, whose last digits a spreadsheet has cut off."""
        if not self.has(field):
            return
        found = ids[ids.str.fullmatch(SHORTENED).fillna(False).astype("bool") & ids.index.isin(self.frame.index)]
        self.drop_unreadable(field, found.map(lambda text: f"{shown(text)!r} was shortened by a spreadsheet"))

    def drop_totals(self, field: str) -> None:
        """Leave out rows of totals: their time or day has no digit, and one of their cells says so."""
        no_time = ~self.texts(field).str.contains(r"\d").fillna(False).astype("bool")
        texts = self.frame[no_time].select_dtypes(exclude="number").drop(columns=FILE, errors="ignore")
        says = pd.Series(False, index=texts.index)
        for name in texts:
            says |= texts[name].astype("str").str.match(TOTAL).fillna(False).astype("bool")
        self.drop(says.reindex(self.frame.index, fill_value=False), "row of totals")

    def files(self) -> pd.Series:
        """The number of each row's file."""
        return self.frame[FILE].astype("int64") if FILE in self.frame else pd.Series(0, index=self.frame.index)

    def count(self, what: str, rows: int) -> None:
        if rows:
            self.counts.append((what, rows))

    def drop(self, is_dropped: pd.Series, why: str) -> None:
        self.count(f"dropped: {why}", int(is_dropped.sum()))
        self.frame = self.frame[~is_dropped.to_numpy()]

    def drop_unreadable(self, field: str, problems: pd.Series) -> None:
        """Leave out the rows of `problems`, counted as empty or as unreadable, with an example."""
        column = " ".join(names_of(self.part.columns[field]))
        is_empty = problems == EMPTY
        for rows, says in ((problems[is_empty], "is empty"), (problems[~is_empty], "cannot be read")):
            if len(rows):
                example = "" if says == "is empty" else f": {rows.iloc[0]}"
                self.unreadable += len(rows)
                self.drop(pd.Series(self.frame.index.isin(rows.index)), f"{column} {says}{example}")

    def reading(self, field: str, read: Callable[[pd.Series], Any], *, is_optional: bool = False) -> Any:
        """Read the values of a field; an error names the export and the column.

        Rows with an unreadable value are left out, and with an empty one unless `is_optional`.
        """
        column = " ".join(names_of(self.part.columns[field]))
        try:
            found = read(self.column(field).rename(None))
        except AmbiguousError as error:
            raise AmbiguousError(f"--{self.kind}, column {column}: {error}") from None
        except InputError as error:
            raise InputError(f"--{self.kind}, column {column}: {error}") from None
        self.currencies |= {*getattr(found, "currencies", ())}
        for sign, (entry, value) in LEARNED.items():
            if sign in found.form:
                self.learned.setdefault(entry, set()).add(value)
        self.notes += [f"{column}: {note}" for note in (found.form, *getattr(found, "notes", ()))]
        self.drop_unreadable(field, found.problems[found.problems != EMPTY] if is_optional else found.problems)
        return found

    def moments(self, field: str, timezone: str) -> pd.DataFrame:
        """Day, time and moment [UTC] of each row; beside another time zone than UTC also the moment as text."""
        days = self.part.day_first
        found: Moments = self.reading(field, lambda values: read_moments(values, timezone=timezone, day_first=days))
        local, utc = found.local.loc[self.frame.index], found.utc.loc[self.frame.index]
        day, time = _day_and_time(local)
        columns = {"date": day, "time": time, "moment": utc}
        return pd.DataFrame(columns if timezone == UTC else columns | {"utc": _as_text(utc)})

    def amounts(self, field: str, *, is_optional: bool = False) -> pd.Series:
        """The numbers of a field; NaN where empty."""
        read = partial(read_amounts, decimal=self.part.decimal)
        values: pd.Series = self.reading(field, read, is_optional=is_optional).values
        return values

    def table(self, columns: Map[str, pd.Series]) -> pd.DataFrame:
        """A frame of columns, for the rows that are left."""
        return pd.DataFrame({name: values.loc[self.frame.index] for name, values in columns.items()})

    def counted(self, what: str, kept: int, max_dropped: float) -> pd.DataFrame:
        """The counts, which add up to `kept`; raises InputError if too many rows were unreadable."""
        read, *others = (rows for _, rows in self.counts)
        if self.unreadable > max_dropped * read:
            reasons = "; ".join(f"{fixed(rows)} {says}" for says, rows in self.counts[1:])
            raise InputError(
                f"--{self.kind}: {counted(self.unreadable, 'row')} of {fixed(read)} cannot be read ({reasons}). "
                f"Correct them, or allow more with max_dropped in the mapping (now {percent(max_dropped)})."
            )
        assert read - sum(others) == kept, self.counts
        return pd.DataFrame([*self.counts, (what, kept)], columns=["what", "rows"])

    def converted(self, table: pd.DataFrame, counts: pd.DataFrame, channels: Channels | None = None) -> Converted:
        """The result, with what is known of the rows."""
        frame, currencies = table.reset_index(drop=True), tuple(sorted(self.currencies))
        learned = {entry: next(iter(values)) for entry, values in self.learned.items() if len(values) == 1}
        return Converted(frame, counts, tuple(self.notes), channels, currencies, learned=learned)


def convert_sessions(frame: pd.DataFrame, mapping: Mapping) -> Converted:
    """Convert an export of sessions to rows of session_sources, with the column `cost` if it has one.

    Rows of one session become the earliest of them. A session without a user keeps an empty `user_id`. Raises
    InputError if a column is missing or too many rows cannot be read, AmbiguousError if a value has two readings.
    """
    rows = _Rows("sessions", frame, _part(mapping, "sessions"))
    rows.drop_totals("time")
    when = rows.moments("time", mapping.timezone)
    ids = rows.ids("session_id") if rows.has("session_id") else _made_ids(rows, when["moment"])
    cost = {"cost": rows.amounts("cost", is_optional=True)} if rows.has("cost") else {}
    flags = _flags(rows, mapping.engagement)
    channel, channels = _channels(rows, mapping)
    columns = {
        "session_id": ids,
        "user_id": rows.users(),
        "event_date": when["date"],
        "event_time": when["time"],
        **({"event_utc": when["utc"]} if "utc" in when else {}),
        "channel_name": channel,
        **flags,
        **{name: rows.texts(name) for name in ("campaign", "source", "medium") if rows.has(name)},
        **_kept(rows),
        **cost,
    }
    table = _first_of_each(rows, rows.table(columns), when["moment"])
    counts = rows.counted("sessions", len(table), mapping.max_dropped)
    return rows.converted(table, counts, channels)


def convert_orders(frame: pd.DataFrame, mapping: Mapping) -> Converted:
    """Convert an export of orders, or of their lines, to rows of conversions.

    Lines of one order are summed; statuses in `drop_status` and other currencies are left out. An order that names the
    one it refunds is negative, however it is written. Raises as `convert_sessions`.
    """
    rows = _Rows("orders", frame, _part(mapping, "orders"))
    rows.drop_totals("time")
    known = rows.texts("order_id").dropna()
    _drop_status(rows)
    rows.drop(_other_currency(rows, mapping), f"currency other than {mapping.currency}")
    gone = {*known} - {*known[known.index.isin(rows.frame.index)]}
    when, ids, revenue = rows.moments("time", mapping.timezone), rows.ids("order_id"), _line_amounts(rows)
    columns = {
        "conv_id": ids,
        "user_id": rows.users(),
        "conv_date": when["date"],
        "conv_time": when["time"],
        **({"conv_utc": when["utc"]} if "utc" in when else {}),
        "revenue": revenue.mask(rows.texts("refund_of").notna(), -revenue.abs()),
        **{name: rows.texts(name) for name in (REFUND_OF, "conversion_type") if rows.has(name)},
        **_kept(rows),
    }
    table = _orders_of_lines(rows, rows.table(columns))
    counts = rows.counted("orders", len(table), mapping.max_dropped)
    return rows.converted(table, counts)._replace(gone=tuple(sorted(gone)))


def convert_spend(frame: pd.DataFrame, mapping: Mapping, sessions: pd.DataFrame | None = None) -> Converted:
    """Convert an export of daily spend to rows of channel_costs, one per day, channel and campaign.

    Channels and campaigns that differ from those of the converted `sessions` only in case or blanks are written like
    them. Raises as `convert_sessions`.
    """
    rows = _Rows("spend", frame, _part(mapping, "spend"))
    rows.drop_totals("date")
    rows.drop(_other_currency(rows, mapping), f"currency other than {mapping.currency}")
    cost = rows.amounts("cost", is_optional=True)
    rows.drop(_is_sum(cost, rows.texts("date")), "row of totals")
    days: Moments = rows.reading("date", partial(read_days, day_first=rows.part.day_first))
    for is_dropped, why in ((cost.isna(), "no amount"), (cost.lt(0), "negative spend")):
        rows.drop(is_dropped.loc[rows.frame.index], why)
    sizes = {name: _whole_numbers(rows, name) for name in ("impressions", "clicks") if rows.has(name)}
    channel, channels = _channels(rows, mapping)
    day, _ = _day_and_time(days.local.loc[rows.frame.index])
    columns = {"date": day, "channel_name": channel, "campaign": rows.texts("campaign"), "cost": cost, **sizes}
    table = _spelled_like(rows.table(columns), sessions)
    _note_unknown_channels(rows, table, sessions)
    key = ["date", "channel_name", "campaign"]
    summed = table.groupby(key, dropna=False, as_index=False).sum(min_count=1)
    summed["cost"] = summed["cost"].round(10)
    rows.count("added to another row of the same day, channel and campaign", len(table) - len(summed))
    counts = rows.counted("rows of daily spend", len(summed), mapping.max_dropped)
    return rows.converted(summed, counts, channels)


def _whole_numbers(rows: _Rows, field: str) -> pd.Series:
    """Read numbers without decimals: in 12,001 the comma is of thousands."""

    def read(values: pd.Series) -> Amounts:
        try:
            return read_amounts(values, decimal=rows.part.decimal)
        except AmbiguousError:
            has_comma = values.astype("str").str.contains(",", regex=False).any()
            return read_amounts(values, decimal="." if has_comma else ",")

    values: pd.Series = rows.reading(field, read, is_optional=True).values
    return values


def _is_sum(cost: pd.Series, day: pd.Series) -> pd.Series:
    """Mark rows without a day whose amount is the sum of those with one."""
    cost = cost.loc[day.index]
    total = cost[day.notna()].sum()
    return day.isna() & (total > 0) & pd.Series(np.isclose(cost, total, rtol=1e-3), index=cost.index)


def _note_unknown_channels(rows: _Rows, spend: pd.DataFrame, sessions: pd.DataFrame | None) -> None:
    """Note the channels that no converted session has, which may be misspelt."""
    if sessions is None or sessions.empty:
        return
    unknown = spend[~spend["channel_name"].isin(sessions["channel_name"])].groupby("channel_name")["cost"].sum()
    if len(unknown):
        says = [f"{shown(name)} ({fixed(cost, 2)})" for name, cost in unknown.sort_values(ascending=False).items()]
        rows.notes.append(f"channels without any session in this import: {listed(says, 8)}")


def _spelled_like(spend: pd.DataFrame, sessions: pd.DataFrame | None) -> pd.DataFrame:
    known = [name for name in ("channel_name", "campaign") if sessions is not None and name in sessions]
    for name in known:
        spellings = pd.Series(sessions[name].dropna().unique(), dtype="str")  # type: ignore[index]
        by_plain = dict(zip(plain_names(spellings), spellings, strict=True))
        spend = spend.assign(**{name: plain_names(spend[name]).map(by_plain).fillna(spend[name])})
    return spend


def _part(mapping: Mapping, kind: str) -> Part:
    part = mapping.part(kind)
    if part is None:
        raise SettingsError(f"The mapping has no [{kind}.columns]: name its columns there.")
    return part


def _texts(values: pd.Series) -> pd.Series:
    """Values as texts without blanks around; NaN if empty. Whole numbers have no decimals."""
    if pd.api.types.is_float_dtype(values) and values.dropna().mod(1).eq(0).all():
        values = values.astype("Int64")
    texts = values.astype("str").str.replace("\0", "", regex=False).str.strip()  # PostgreSQL has no NUL
    texts = texts.str.replace(FORMULA, r"\1", regex=True)
    return texts.where(texts != "")


def _day_and_time(moments: pd.Series) -> tuple[pd.Series, pd.Series]:
    texts = _as_text(moments)
    return texts.str.slice(0, 10), texts.str.slice(11)


def _as_text(moments: pd.Series) -> pd.Series:
    """Moments as `YYYY-MM-DD HH:MM:SS`, with microseconds only where a moment has a fraction."""
    values = moments.to_numpy("datetime64[us]")
    is_whole = bool((values == values.astype("datetime64[s]")).all())
    texts = np.datetime_as_string(values, unit="s" if is_whole else "us")
    spaced = pd.Series(texts, index=moments.index, dtype="str").str.replace("T", " ", regex=False)
    return spaced if is_whole else spaced.str.replace(".000000", "", regex=False)


def _made_ids(rows: _Rows, moment: pd.Series) -> pd.Series:
    """Ids of sessions that have none: user, moment and, for sessions of one moment, their number in the file."""
    names = rows.users() + "@" + _as_text(moment).str.replace(" ", "T", regex=False)
    number = names.groupby([names, rows.files()]).cumcount()
    return names.where(number == 0, names + "#" + (number + 1).astype("str"))


def _channels(rows: _Rows, mapping: Mapping) -> tuple[pd.Series, Channels | None]:
    if rows.part.channel:
        return pd.Series(rows.part.channel, index=rows.frame.index, dtype="str"), None
    if rows.has("channel"):
        return normalised(rows.texts("channel").fillna(OTHER_CHANNEL)), None
    known = pd.DataFrame({name: rows.texts(name) for name in CHANNEL_FIELDS})
    found = channels_of(known, mapping.rules())
    return found.channel, found


FLAGS = {
    "holder_engagement": "holder_engagement",
    "closer_engagement": "closer_engagement",
    "impression_interaction": "impression",
}


def _flags(rows: _Rows, rules: Engagement) -> dict[str, pd.Series]:
    """The engagement flags: as exported, else by the rules, else 1; impressions are 0 unless exported."""
    exported = {flag: field for flag, field in FLAGS.items() if rows.has(field)}
    read = {flag: rows.reading(field, read_flags, is_optional=True).values for flag, field in exported.items()}
    fields = {columns: field for field, columns in rows.part.columns.items() if isinstance(columns, str)}
    frame = rows.frame.assign(**{field: rows.frame[column] for column, field in fields.items()})
    ruled = {
        "holder_engagement": flags_of(frame, rules.holder, "[engagement] holder"),
        "closer_engagement": flags_of(frame, rules.closer, "[engagement] closer"),
        "impression_interaction": pd.Series(0, index=frame.index, dtype="int8"),
    }
    return {flag: read[flag].fillna(0).astype("int8") if flag in read else ruled[flag] for flag in FLAGS}


def _kept(rows: _Rows) -> dict[str, pd.Series]:
    return {name: _texts(rows.frame[column]) for name, column in rows.part.keep.items()}


def _first_of_each(rows: _Rows, table: pd.DataFrame, moment: pd.Series) -> pd.DataFrame:
    """Keep the earliest row of each session; where files overlap, that of the last file."""
    keys = pd.DataFrame({"moment": moment.loc[table.index], "file": -rows.files()})
    table = table.loc[keys.sort_values(["moment", "file"], kind="stable").index]
    kept = table[~table["session_id"].duplicated()].sort_index()
    rows.count("merged into another row of the same session", len(table) - len(kept))
    if "cost" in table and (lost := float(table["cost"].sum() - kept["cost"].sum())):
        rows.notes.append(f"{rows.part.columns['cost']}: {fixed(lost, 2)} in the merged rows does not count")
    return kept


def _of_order(rows: _Rows, values: pd.Series) -> pd.Series:
    """Fill in what only the first line of an order has, such as its status."""
    if not rows.has("order_id"):
        return values
    return values.fillna(values.groupby(rows.texts("order_id")).transform("first"))


def _drop_status(rows: _Rows) -> None:
    """Leave out the orders whose status does not count, and note those that count."""
    status = _of_order(rows, rows.texts("status"))
    plain = status.str.casefold().str.removeprefix("wc-")  # WooCommerce writes wc-cancelled
    left_out = {each.casefold().removeprefix("wc-") for each in rows.part.drop_status or DROPPED_STATUS}
    is_dropped = plain.isin(left_out)
    counting = status[~is_dropped].value_counts()
    if len(counting):
        says = [f"{shown(name)} ({counted(number, 'row')})" for name, number in counting.items()]
        rows.notes.append(f"{' '.join(names_of(rows.part.columns['status']))}: {listed(says, 8)} count as orders")
    rows.drop(is_dropped, f"status {some(sorted(status[is_dropped].unique()))}")


def _other_currency(rows: _Rows, mapping: Mapping) -> pd.Series:
    """Mark rows in another currency than the shop's."""
    codes = currency_codes(_of_order(rows, rows.texts("currency")))
    return codes.notna() & (codes != mapping.currency.upper()) & bool(mapping.currency)


def _line_amounts(rows: _Rows) -> pd.Series:
    """The amounts of orders or lines. An empty one counts as 0 if another line of the order has one."""
    is_empty, order = rows.column("revenue").isna(), rows.texts("order_id")
    is_free = is_empty & order.isin(order[~is_empty].dropna())

    def read(values: pd.Series) -> Amounts:
        found = read_amounts(values, decimal=rows.part.decimal)
        problems = found.problems[~found.problems.index.isin(is_free.index[is_free])]
        return found._replace(values=found.values.mask(is_free.loc[values.index], 0.0), problems=problems)

    revenue: pd.Series = rows.reading("revenue", read).values
    return revenue


def _orders_of_lines(rows: _Rows, table: pd.DataFrame) -> pd.DataFrame:
    """Sum the lines of each order; of files that overlap, only the last file with the order counts."""
    file = rows.files().loc[table.index]
    kept = table[file == file.groupby(table["conv_id"]).transform("max")]
    rows.count("dropped: a later file has the order again", len(table) - len(kept))
    is_line = kept["conv_id"].duplicated(keep=False)
    if not is_line.any():
        return kept
    _check_lines(rows.part, kept[is_line])
    ordered = kept.sort_values(["conv_id", "conv_date", "conv_time"], kind="stable")
    first = ordered.drop_duplicates("conv_id").set_index("conv_id")
    if rows.part.lines != "once":
        first["revenue"] = ordered.groupby("conv_id")["revenue"].sum().round(10)
    how = "repeated rows of an order" if rows.part.lines == "once" else "added as lines to another row of the order"
    rows.count(how, len(kept) - len(first))
    users = kept[kept["user_id"] != ""].groupby("conv_id")["user_id"].nunique()
    if len(several := users[users > 1]):
        rows.notes.append(
            f"{counted(len(several), 'order')} with lines of several users, such as {shown(several.index[0])}: each "
            "counts for the user of its first line"
        )
    return first.reset_index()[list(table)]


def _check_lines(part: Part, lines: pd.DataFrame) -> None:
    """Raise AmbiguousError if most orders with several rows have one amount in all of them, and no rule is set."""
    spread = lines.groupby("conv_id")["revenue"].agg(["nunique", "size", "first"])
    same = spread[(spread["nunique"] == 1) & (spread["first"] != 0)]
    if part.lines is None and len(same) and len(same) >= MOST_SAME * len(spread):
        example = same.iloc[0]
        once = float(example["first"])
        raise AmbiguousError(
            f"--orders: {fixed(len(same))} of {counted(len(spread), 'order')} with several rows have the same amount "
            f"in each. Order {shown(example.name)} is {fixed(example['size'] * once, 2)} if the rows are "
            f"lines, or {fixed(once, 2)} "
            'if they repeat the total. Set lines = "sum" or lines = "once" under [orders] in the mapping.'
        )
