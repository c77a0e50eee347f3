"""The rules of a source contract as DuckDB SQL over text.

Both ways of reading a file, the fast and the exact one, evaluate these expressions and nothing
else, so they cannot disagree. They start from a relation of text columns, one for each column of
the file that the contract maps (`source_column`), null where the file has an empty value; a typed
CSV read is never used, because it rounds 1.5 to 2 and takes 0x1F for 31 without a word.

Every value's first branch compares it with its own canonical text, which is what nearly every
row has; the regular expressions behind it cost several times as much, and CASE evaluates them for
the other rows only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from include.contracts import (
    Field,
    FieldMapping,
    FieldType,
    MaskingStrategy,
    Severity,
    SourceContract,
)
from include.contracts.masking import SEARCHED
from include.ingest import spelling
from include.ingest.reasons import Reason, ReasonCode
from include.ingest.spelling import literal
from include.privacy.masking_sql import masking_sql

LOAD_ID = "load_id"
EXTRA = "extra"

_ISO = "iso"
# No zone changes its clocks twice in a week.
_WEEK = timedelta(weeks=1)
_UTC_ZONES = frozenset({"UTC", "Etc/UTC"})
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_FLOAT = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
_LOCAL_TIME = r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
# Offsets in use end at +14:00; DuckDB would take +99:00 for four days.
_OFFSET = r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
# DuckDB stores microseconds and cuts off what is finer.
_FRACTION = r"(\.[0-9]{1,6}0*)?"
_ANY_FRACTION = r"(\.[0-9]+)?"


def source_column(index: int) -> str:
    """The name of the text column for the contract's mapped column of that index."""
    return f"s{index}"


def unknown_keys_table(field: str) -> str:
    """The name of the table, of one column ``key``, of values that no master knows."""
    return f"unknown_{field}"


@dataclass(frozen=True, slots=True)
class _FieldRule:
    """One field: its text ``t<n>`` and its value ``v<n>``, and what must hold of them.

    ``zone`` is the source's own time zone. ``has_unknown_keys`` if there is a table of values that
    the field refers to and no master knows.
    """

    number: int
    mapping: FieldMapping
    source_text: str
    zone: str
    has_unknown_keys: bool

    @property
    def field(self) -> Field:
        return self.mapping.field

    @property
    def text(self) -> str:
        return f"t{self.number}"

    @property
    def value(self) -> str:
        return f"v{self.number}"

    def warns_of(self, reason: Reason) -> bool:
        return self.mapping.severity(reason.code.value) is Severity.WARN


class ConformExpressions:
    """The SQL of one source contract."""

    def __init__(
        self, contract: SourceContract, fields_with_unknown_keys: Collection[str] = ()
    ) -> None:
        self._contract = contract
        columns = {name: index for index, name in enumerate(contract.mapped_columns)}
        self._rules = tuple(
            _FieldRule(
                number,
                mapping,
                _source_text(mapping, columns),
                contract.time_zone,
                mapping.field.name in fields_with_unknown_keys,
            )
            for number, mapping in enumerate(contract.mappings)
            if mapping.is_mapped
        )
        self._by_name = {rule.field.name: rule for rule in self._rules}

    def typed(self, relation: str, carried: Iterable[str] = ()) -> str:
        """A SELECT that adds each field's text and value to a relation of source columns.

        Besides the source columns the relation has ``load_id`` BIGINT, ``extra`` VARCHAR and the
        ``carried`` columns, which pass through.
        """
        texts = [f"{rule.source_text} AS {rule.text}" for rule in self._rules]
        values = [f"{_value(rule)} AS {rule.value}" for rule in self._rules]
        passing = ", ".join((LOAD_ID, EXTRA, *carried))
        return (
            f"SELECT {', '.join((passing, *(rule.text for rule in self._rules), *values))} "
            f"FROM (SELECT {', '.join((passing, *texts))} FROM {relation})"
        )

    def stored(self) -> str:
        """The SELECT list of the raw table's columns, over the relation of `typed`."""
        columns = [
            f"{self._stored_value(field)} AS {field.name}"
            for field in self._contract.dataset.fields
        ]
        technical = (
            f"{_constant(self._contract.source)} AS _source",
            f"{LOAD_ID} AS _load_id",
            f"{EXTRA} AS _extra",
        )
        return ", ".join((*columns, *technical))

    def tokens(self) -> list[tuple[str, str]]:
        """Of each field that is stored as a token: the token and the value, over `typed`."""
        return [
            (masking_sql(rule.field.masking, rule.value), rule.value)
            for rule in self._rules
            if rule.field.masking and rule.field.masking.strategy is MaskingStrategy.TOKEN
        ]

    def accepted(self) -> str:
        """A condition, never null, that holds of a row of `typed` exactly if every rule does."""
        conditions = [condition for rule in self._rules for condition in _conditions(rule)]
        return " AND ".join(f"({condition})" for condition in conditions) or "TRUE"

    def reasons(self) -> str:
        """Every reason why a row of `typed` is not accepted, as a list of JSON objects in text."""
        reasons = [
            f"CASE WHEN {condition} THEN {literal(reason.to_json())} END"
            for rule in self._rules
            for condition, reason in _violations(rule)
        ]
        return f"list_filter([{', '.join(reasons)}], lambda reason: reason IS NOT NULL)"

    def warnings(self) -> list[tuple[str, str, str]]:
        """Of each rule that warns: the field, the code, and the condition over stored rows."""
        return [
            (rule.field.name, reason.code.value, violation)
            for rule in self._rules
            if rule.mapping.constant is None and rule.field.masking in (None, SEARCHED)
            for violation, reason in _value_violations(rule, rule.field.name)
            if rule.warns_of(reason)
        ]

    def key_hash(self) -> str:
        """A 64-bit hash of a stored row's load and key. Equal keys have equal hashes."""
        constants = {rule.field.name for rule in self._rules if rule.mapping.constant is not None}
        key = [name for name in self._contract.dataset.key if name not in constants]
        return f"hash({', '.join(('_load_id', *key))})"

    def _stored_value(self, field: Field) -> str:
        rule = self._contract.dataset.business_date
        if field.derived:
            event = self._by_name[rule.event_time or ""]
            return _local_date(event.value, self._contract.time_zone, event.field)
        if field.name not in self._by_name:
            return f"CAST(NULL AS {field.physical_type})"
        mapping, value = self._by_name[field.name].mapping, self._by_name[field.name].value
        if field.masking is not None:
            return masking_sql(field.masking, value)
        if mapping.constant is not None and field.type is FieldType.TEXT:
            return _constant(mapping.constant)
        return value


def _constant(text: str) -> str:
    """Text that all rows share. It is VARCHAR in Parquet, whose writer looks up each row's text
    in a dictionary, but not that of an ENUM."""
    return f"CAST({literal(text)} AS ENUM ({literal(text)}))"


def _source_text(mapping: FieldMapping, columns: dict[str, int]) -> str:
    if mapping.constant is not None:
        return literal(mapping.constant)
    own = mapping.spelling
    texts = {
        name: spelling.plain_text(source_column(columns[name]), own) for name in mapping.columns
    }
    if mapping.template is not None:
        text = spelling.filled_template(mapping.template, texts)
    else:
        text = spelling.first_of(list(texts.values()))
    text = spelling.looked_up(text, own)
    return text if own.number is None else spelling.plain_number(text, own.number)


def _value(rule: _FieldRule) -> str:
    if rule.mapping.constant is not None:
        return rule.text
    return _VALUES[rule.field.type](rule)


def _text_value(rule: _FieldRule) -> str:
    return rule.text


def _integer_value(rule: _FieldRule) -> str:
    text, kind = rule.text, rule.field.physical_type
    return (
        f"CASE WHEN CAST(TRY_CAST({text} AS {kind}) AS VARCHAR) = {text} "
        f"THEN TRY_CAST({text} AS {kind}) "
        f"WHEN regexp_full_match({text}, '[+-]?[0-9]+(\\.0*)?') "
        f"THEN TRY_CAST(regexp_extract({text}, '^[+]?(-?[0-9]+)', 1) AS {kind}) END"
    )


def _decimal_value(rule: _FieldRule) -> str:
    text, kind, scale = rule.text, rule.field.physical_type, rule.field.scale
    exact = rf"[+-]?([0-9]+(\.[0-9]{{0,{scale}}}0*)?|\.[0-9]{{1,{scale}}}0*)"
    branches = [
        # Amounts without decimals are common, and an integer is the cheapest to compare.
        f"WHEN CAST(TRY_CAST({text} AS INTEGER) AS VARCHAR) = {text} "
        f"THEN TRY_CAST(TRY_CAST({text} AS INTEGER) AS {kind})",
        f"WHEN CAST(TRY_CAST({text} AS {kind}) AS VARCHAR) = {text} "
        f"THEN TRY_CAST({text} AS {kind})",
        f"WHEN regexp_full_match({text}, {literal(exact)}) THEN TRY_CAST({text} AS {kind})",
    ]
    if rule.mapping.has_float_noise:
        nearest = f"round(TRY_CAST({text} AS DOUBLE), {scale})"
        branches.append(
            f"WHEN regexp_full_match({text}, {literal(_FLOAT)}) "
            f"AND abs(TRY_CAST({text} AS DOUBLE) - {nearest}) < 1e-{scale + 4} "
            f"THEN TRY_CAST({nearest} AS {kind})"
        )
    return f"CASE {' '.join(branches)} END"


def _boolean_value(rule: _FieldRule) -> str:
    return spelling.boolean(rule.text, rule.mapping.spelling)


def _date_value(rule: _FieldRule) -> str:
    return spelling.first_of(
        [
            _iso_date(rule.text) if written == _ISO else spelling.day(rule.text, written)
            for written in rule.mapping.spelling.formats or (_ISO,)
        ]
    )


def _iso_date(text: str) -> str:
    # 'infinity' is a date to DuckDB, and its own canonical text.
    day = f"TRY_CAST({text} AS DATE)"
    return f"CASE WHEN CAST({day} AS VARCHAR) = {text} AND isfinite({day}) THEN {day} END"


def _timestamp_value(rule: _FieldRule) -> str:
    formats = rule.mapping.spelling.formats or (_ISO,)
    return spelling.first_of([_moment(rule, written) for written in formats])


def _moment(rule: _FieldRule, written: str) -> str:
    """A timestamp in UTC that is written so, or null."""
    text, zone = rule.text, rule.mapping.time_zone
    if written.startswith("epoch"):
        return spelling.epoch(text, written)
    if zone is None:
        if written == _ISO:
            return _instant(text, _written_offsets(rule.zone, rule.field))
        return spelling.instant(text, written)
    local = _local_time(text) if written == _ISO else spelling.local_moment(text, written)
    if zone in _UTC_ZONES:
        return local
    return f"CASE WHEN {_occurs_once(local, zone)} THEN {_to_utc(local, zone)} END"


def _instant(text: str, offsets: Iterable[str]) -> str:
    """A timestamp with its offset, in UTC.

    TIMESTAMP would drop the offset and TIMESTAMPTZ turns bad text into null in a reader;
    TIMESTAMP_NS applies the one and rejects the other, but takes a missing offset for UTC.
    """
    value = f"CAST(TRY_CAST({text} AS TIMESTAMP_NS) AS TIMESTAMP)"
    valid = f"{_LOCAL_TIME}{_FRACTION}{_OFFSET}"
    # Whole seconds with an offset of the source's own zone: length and end tell that the offset
    # is there at a tenth of the price of the expression. DuckDB checks the rest.
    usual = " OR ".join(f"ends_with({text}, {literal(offset)})" for offset in offsets)
    return (
        f"CASE WHEN strlen({text}) = 25 AND ({usual}) THEN {value} "
        f"WHEN regexp_full_match({text}, {literal(valid)}) THEN {value} END"
    )


def _local_time(text: str) -> str:
    """A timestamp that must have no offset, as written."""
    value = f"TRY_CAST({text} AS TIMESTAMP)"
    valid = f"{_LOCAL_TIME}{_FRACTION}"
    return (
        f"CASE WHEN CAST({value} AS VARCHAR) = {text} AND isfinite({value}) THEN {value} "
        f"WHEN regexp_full_match({text}, {literal(valid)}) THEN {value} END"
    )


def _to_utc(local: str, zone: str) -> str:
    return f"timezone('UTC', timezone({literal(zone)}, {local}))"


def _occurs_once(local: str, zone: str) -> str:
    """Whether a local time exists in a zone, and only once: clocks are put forward and back."""
    utc = _to_utc(local, zone)

    def shown(moment: str) -> str:
        return f"timezone({literal(zone)}, timezone('UTC', {moment}))"

    return (
        f"{shown(utc)} = {local} AND {shown(f'{utc} + INTERVAL 1 HOUR')} <> {local} "
        f"AND {shown(f'{utc} - INTERVAL 1 HOUR')} <> {local}"
    )


def _json_value(rule: _FieldRule) -> str:
    text = rule.text
    return f"CASE WHEN json_valid({text}) AND json_type({text}) = 'OBJECT' THEN {text} END"


_VALUES = {
    FieldType.TEXT: _text_value,
    FieldType.INTEGER: _integer_value,
    FieldType.DECIMAL: _decimal_value,
    FieldType.BOOLEAN: _boolean_value,
    FieldType.DATE: _date_value,
    FieldType.TIMESTAMP: _timestamp_value,
    FieldType.JSON: _json_value,
}


@dataclass(frozen=True, slots=True)
class _Period:
    """A stretch of time, from a moment in UTC on, in which a zone keeps one offset."""

    start: datetime
    offset: timedelta


def _local_date(utc: str, zone: str, event: Field) -> str:
    """The date in a zone, of a moment within the event's range.

    The offsets are written out as a search tree: DuckDB's own conversion took 1.5 microseconds
    a row, a quarter of the time of conforming it.
    """
    # Adding an INTERVAL, which may hold months, takes twice as long as adding microseconds.
    offset = _offset_at(utc, _periods(zone, event))
    return f"CAST(make_timestamp(epoch_us({utc}) + ({offset})) AS DATE)"


def _offset_at(utc: str, periods: tuple[_Period, ...]) -> str:
    if len(periods) == 1:
        return str(int(periods[0].offset.total_seconds()) * 1_000_000)
    middle = len(periods) // 2
    moment = literal(periods[middle].start.strftime("%Y-%m-%d %H:%M:%S"))
    before, after = (_offset_at(utc, part) for part in (periods[:middle], periods[middle:]))
    return f"CASE WHEN {utc} < TIMESTAMP {moment} THEN {before} ELSE {after} END"


def _written_offsets(zone: str, event: Field) -> list[str]:
    """The zone's offsets as a vendor writes them, as in +09:00."""
    written = []
    for offset in sorted({period.offset for period in _periods(zone, event)}):
        minutes = int(offset.total_seconds()) // 60
        sign = "-" if minutes < 0 else "+"
        written.append(f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}")
    return written


def _periods(zone: str, event: Field) -> tuple[_Period, ...]:
    """The zone's offsets within the event's range; within this year if it has none."""
    today = datetime.now(UTC).date()
    first = event.minimum if isinstance(event.minimum, date) else today.replace(month=1, day=1)
    last = event.maximum if isinstance(event.maximum, date) else today.replace(month=12, day=31)
    return _periods_between(zone, first, last)


@lru_cache(maxsize=64)
def _periods_between(zone: str, first: date, last: date) -> tuple[_Period, ...]:
    info = ZoneInfo(zone)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
    periods = [_Period(start, _offset(start, info))]
    for week in range((last - first).days // 7 + 2):
        moment = start + week * _WEEK
        if _offset(moment, info) != periods[-1].offset:
            change = _change_before(moment, info)
            periods.append(_Period(change, _offset(change, info)))
    return tuple(periods)


def _change_before(moment: datetime, zone: ZoneInfo) -> datetime:
    """The first second of the offset that holds at a moment, which began within a week."""
    early, late = moment - _WEEK, moment
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early).total_seconds() // 2)
        if _offset(middle, zone) == _offset(moment, zone):
            late = middle
        else:
            early = middle
    return late


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _conditions(rule: _FieldRule) -> Iterator[str]:
    """What must hold; each is true or false, never null."""
    field, text, value = rule.field, rule.text, rule.value
    for violation, _ in _reference_violations(rule):
        yield f"({violation}) IS NOT TRUE"
    if rule.mapping.constant is not None:
        return
    if rule.mapping.is_required:
        yield f"{value} IS NOT NULL"
    elif field.type is not FieldType.TEXT:
        yield f"{value} IS NOT NULL OR {text} IS NULL"
    for violation, reason in _value_violations(rule, rule.value):
        if not rule.warns_of(reason):
            yield f"({violation}) IS NOT TRUE"


def _violations(rule: _FieldRule) -> Iterator[tuple[str, Reason]]:
    """Each way to break the field's rules; no two of the first kind hold of one value."""
    yield from _reference_violations(rule)
    if rule.mapping.constant is not None:
        return
    if rule.mapping.is_required:
        yield f"{rule.text} IS NULL", _reason(rule, ReasonCode.MISSING_VALUE, "must have a value")
    if rule.field.type is not FieldType.TEXT:
        yield from _type_violations(rule)
    for violation, reason in _value_violations(rule, rule.value):
        if not rule.warns_of(reason):
            yield violation, reason


def _reference_violations(rule: _FieldRule) -> Iterator[tuple[str, Reason]]:
    if rule.has_unknown_keys:
        known = f"must be known in {rule.field.reference}"
        yield (
            f"CAST({rule.value} AS VARCHAR) IN (FROM {unknown_keys_table(rule.field.name)})",
            _reason(rule, ReasonCode.UNKNOWN_REFERENCE, known),
        )


def _type_violations(rule: _FieldRule) -> Iterator[tuple[str, Reason]]:
    field, text = rule.field, rule.text
    unread = f"{text} IS NOT NULL AND {rule.value} IS NULL"
    if field.type in (FieldType.INTEGER, FieldType.DECIMAL):
        number = f"regexp_full_match({text}, {literal(_NUMBER)})"
        fits = rf"[+-]?[0-9]*(\.[0-9]{{0,{field.scale}}}0*)?"
        short = f"regexp_full_match({text}, {literal(fits)})"
        digits = f"at most {field.scale} decimals" if field.scale else "no decimals"
        yield (
            f"{unread} AND {number} AND NOT {short}",
            _reason(rule, ReasonCode.TOO_PRECISE, f"must have {digits}"),
        )
        yield (
            f"{unread} AND {number} AND {short}",
            _reason(rule, ReasonCode.OUT_OF_RANGE, f"must fit into {field.physical_type}"),
        )
        unread = f"{unread} AND NOT {number}"
    elif field.type is FieldType.TIMESTAMP:
        offset = _OFFSET if rule.mapping.time_zone is None else ""
        fine = f"regexp_full_match({text}, {literal(_LOCAL_TIME + _ANY_FRACTION + offset)})"
        micro = f"regexp_full_match({text}, {literal(_LOCAL_TIME + _FRACTION + offset)})"
        yield (
            f"{unread} AND {fine} AND NOT {micro}",
            _reason(rule, ReasonCode.TOO_PRECISE, "must not be finer than a microsecond"),
        )
        unread = f"{unread} AND NOT ({fine} AND NOT {micro})"
    yield unread, _reason(rule, ReasonCode.INVALID_VALUE, _expectation(rule))


def _value_violations(rule: _FieldRule, value: str) -> Iterator[tuple[str, Reason]]:
    """Breaches by a value that can be read; null (not true) where there is no value."""
    for field in (rule.field, rule.mapping.stricter):
        if field is not None:
            yield from _range_violations(rule, field, value)
            yield from _word_violations(rule, field.allowed_values, value)
            if field.pattern:
                yield (
                    f"NOT regexp_full_match({value}, {literal(field.pattern)})",
                    _reason(rule, ReasonCode.INVALID_VALUE, f"must match {field.pattern}"),
                )
    own = rule.mapping.spelling
    if own.lookup and own.otherwise is None:
        words = ", ".join(literal(word) for word in dict.fromkeys(v for _, v in own.lookup))
        known = ", ".join(word for word, _ in own.lookup)
        # Of a stored row there is no text any more.
        word = rule.text if value == rule.value else f"CAST({value} AS VARCHAR)"
        yield (
            f"{word} NOT IN ({words})",
            _reason(rule, ReasonCode.UNKNOWN_VALUE, f"must be one of {known}"),
        )


def _range_violations(rule: _FieldRule, field: Field, value: str) -> Iterator[tuple[str, Reason]]:
    limits = []
    if field.minimum is not None:
        limits.append((f"{value} < {_bound(field, field.minimum)}", f"at least {field.minimum}"))
    if field.maximum is not None:
        limits.append((_exceeds(field, value), f"at most {field.maximum}"))
    if limits:
        message = "must be " + " and ".join(words for _, words in limits)
        condition = " OR ".join(condition for condition, _ in limits)
        yield condition, _reason(rule, ReasonCode.OUT_OF_RANGE, message)


def _word_violations(
    rule: _FieldRule, allowed: tuple[str, ...], value: str
) -> Iterator[tuple[str, Reason]]:
    if allowed:
        values = ", ".join(literal(word) for word in allowed)
        message = f"must be one of {', '.join(allowed)}"
        text = f"CAST({value} AS VARCHAR)" if rule.field.type is not FieldType.TEXT else value
        yield f"{text} NOT IN ({values})", _reason(rule, ReasonCode.UNKNOWN_VALUE, message)


def _exceeds(field: Field, value: str) -> str:
    if field.type is FieldType.TIMESTAMP and isinstance(field.maximum, date):
        return f"{value} >= {_bound(field, field.maximum + timedelta(days=1))}"
    return f"{value} > {_bound(field, field.maximum)}"


def _bound(field: Field, bound: object) -> str:
    kinds = {FieldType.DATE: "DATE ", FieldType.TIMESTAMP: "TIMESTAMP "}
    return f"{kinds[field.type]}{literal(str(bound))}" if field.type in kinds else str(bound)


def _expectation(rule: _FieldRule) -> str:
    zone, own = rule.mapping.time_zone, rule.mapping.spelling
    once = f" that occurs once in {zone}" if zone is not None else ""
    if own.formats and rule.field.type in (FieldType.DATE, FieldType.TIMESTAMP):
        return f"must be written as {' or '.join(own.formats)}{once}"
    if rule.field.type is FieldType.TIMESTAMP:
        if zone is None:
            return "must be a time as in 2026-01-31T09:30:00+09:00, with its offset"
        return f"must be a time as in 2026-01-31 09:30:00{once}"
    if rule.field.type is FieldType.BOOLEAN and (own.true_words or own.false_words):
        return f"must be one of {', '.join(own.true_words + own.false_words)}"
    if own.number is not None:
        return "must be a number as the contract says it is written"
    return {
        FieldType.INTEGER: "must be a whole number",
        FieldType.DECIMAL: "must be a number as in 120 or 1.25",
        FieldType.BOOLEAN: "must be true, false, 1 or 0",
        FieldType.DATE: "must be a date as in 2026-01-31",
        FieldType.JSON: "must be a JSON object",
    }[rule.field.type]


def _reason(rule: _FieldRule, code: ReasonCode, expectation: str) -> Reason:
    origin = " or ".join(rule.mapping.columns) or "the contract's constant"
    return Reason(code, rule.field.name, f"{origin} {expectation}")
