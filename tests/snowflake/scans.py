"""Which reads of an incremental model are bounded by what is new to it, from its compiled SQL.

Snowflake prunes a table's micro-partitions by a condition on the columns by which its rows lie
together: the load and its sequence, as rows are stored load by load, and the business date. A
condition bounds a read if it holds such a column to the model's watermark, or to rows that are new
by that watermark; a join to them by any other key reads the whole table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp

SEQUENCES = frozenset({"_ledger_seq", "loaded_seq", "retired_seq"})
PARTITIONS = frozenset({"_load_id", "load_id", "business_date"})
_COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


@dataclass(frozen=True)
class Relation:
    """What a query gives: large tables that it hands on as a whole, and whether its rows are new.

    The engine moves a condition of whoever reads it into the query, so handing on reads nothing.
    """

    whole: frozenset[str] = frozenset()
    is_new: bool = False


@dataclass(frozen=True, order=True)
class Scan:
    """A read of a whole table, by the CTE in which it stands."""

    within: str
    table: str


@dataclass(frozen=True)
class Source:
    """A relation as one SELECT reads it."""

    alias: str
    relation: Relation
    join: exp.Join | None

    @property
    def is_outer(self) -> bool:
        return self.join is not None and self.join.side == "LEFT"


@dataclass
class _Reader:
    large: Collection[str]
    known: dict[str, Relation] = field(default_factory=dict)
    scans: set[Scan] = field(default_factory=set)

    def read(self, query: exp.Expression, name: str) -> Relation:
        if isinstance(query, exp.SetOperation):
            parts = [self.read(part, name) for part in (query.left, query.right)]
            whole = frozenset().union(*(part.whole for part in parts))
            return Relation(whole, all(part.is_new for part in parts))
        assert isinstance(query, exp.Select), query.sql()
        return self._select(query, name)

    def _select(self, select: exp.Select, name: str) -> Relation:
        sources = list(self._sources(select, name))
        watermarked = set(_watermarked(select, sources))
        new = {source.alias for source in sources if source.relation.is_new} | watermarked
        unbounded = [
            source
            for source in sources
            if source.relation.whole
            and source.alias not in watermarked
            and not _is_held_to(new, source, sources, select)
        ]
        whole = frozenset().union(*(source.relation.whole for source in unbounded))
        if not new and _hands_on(select, sources):
            return Relation(whole)
        self.scans.update(Scan(name, table) for table in whole)
        return Relation(is_new=bool(new or whole))

    def _sources(self, select: exp.Select, name: str) -> Iterator[Source]:
        joins = [(join.this, join) for join in select.args.get("joins", ())]
        for read, join in [(select.args["from_"].this, None), *joins]:
            if isinstance(read, exp.Subquery):
                relation = self.read(read.this, name)
            else:
                large = frozenset({read.name} & set(self.large))
                relation = Relation(large) if read.db else self.known[read.name]
            yield Source(read.alias_or_name, relation, join)


LAST_SELECT = "the last select"


def whole_scans(sql: str, large: Collection[str]) -> set[Scan]:
    """The reads of whole tables among ``large``, in a model's compiled SQL for Snowflake.

    A view that only hands a table on has one, in its last select.
    """
    statement = sqlglot.parse_one(sql, dialect="snowflake")
    reader = _Reader(large)
    for cte in statement.ctes:
        reader.known[cte.alias] = reader.read(cte.this, cte.alias)
    rest = reader.read(statement, LAST_SELECT)
    return reader.scans | {Scan(LAST_SELECT, table) for table in rest.whole}


def _watermarked(select: exp.Select, sources: list[Source]) -> Iterator[str]:
    for condition in _conjuncts(select.args.get("where")):
        if not isinstance(condition, exp.GT) or not _is_watermark(condition.expression):
            continue
        if isinstance(column := condition.this, exp.Column) and column.name in SEQUENCES:
            yield column.table or sources[0].alias


def _is_watermark(expression: exp.Expression) -> bool:
    highest = expression.find(exp.Max)
    return highest is not None and highest.this.name == "_ledger_seq"


def _is_held_to(
    new: Collection[str], source: Source, sources: list[Source], select: exp.Select
) -> bool:
    """Whether a condition holds a partition column of the source to a column of what is new."""
    conditions = list(_conjuncts(select.args.get("where")))
    for joined in sources:
        # An outer join leaves out no row of those that it is joined to.
        if joined.join is not None and (not joined.is_outer or joined is source):
            conditions += _conjuncts(joined.join.args.get("on"))
    for condition in conditions:
        if isinstance(condition, _COMPARISONS):
            columns = list(condition.find_all(exp.Column))
            if any(c.table == source.alias and c.name in PARTITIONS for c in columns) and any(
                c.table in new and c.table != source.alias for c in columns
            ):
                return True
    return False


def _hands_on(select: exp.Select, sources: list[Source]) -> bool:
    """Whether a condition on what the query gives is one on what it reads."""
    gathers = select.args.get("group") or select.args.get("distinct") or select.args.get("qualify")
    looks_up = bool((where := select.args.get("where")) and where.find(exp.Exists))
    computes = any(column.find(exp.AggFunc, exp.Window) for column in select.expressions)
    return not (gathers or looks_up or computes or any(source.is_outer for source in sources))


def _conjuncts(clause: exp.Expression | None) -> Iterator[exp.Expression]:
    if clause is not None:
        condition = clause.this if isinstance(clause, exp.Where) else clause
        yield from condition.flatten() if isinstance(condition, exp.And) else (condition,)
