"""What is known of Snowflake's SQL without an account: its grammar, as sqlglot knows it, and the
names of its functions. That a statement passes does not show that Snowflake accepts it; that one
fails shows that it would not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

FUNCTIONS = Path(__file__).with_name("functions.txt")

# Grammar that sqlglot reads in every dialect, and Snowflake does not have.
_NOT_SNOWFLAKE = {exp.Filter: "an aggregate with FILTER", exp.Glob: "GLOB"}


@cache
def snowflake_functions() -> frozenset[str]:
    lines = FUNCTIONS.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def objections(sql: str) -> list[str]:
    """Why Snowflake would refuse these statements; empty if nothing is known against them."""
    try:
        statements = sqlglot.parse(sql, dialect="snowflake")
    except ParseError as error:
        return [str(error).splitlines()[0]]
    return [
        objection
        for statement in statements
        if statement is not None
        for objection in _of_statement(sql, statement)
    ]


def functions_of(sql: str, statement: exp.Expression) -> Iterator[str]:
    """The functions that a statement calls, by the names that stand in its text."""
    for call in statement.find_all(exp.Func):
        # What has a syntax of its own, as CAST and CASE, has no place noted.
        if "start" in call.meta:
            yield sql[call.meta["start"] : call.meta["end"] + 1].upper()


def _of_statement(sql: str, statement: exp.Expression) -> Iterator[str]:
    for name in sorted(set(functions_of(sql, statement)) - snowflake_functions()):
        yield f"{name} is no function of Snowflake"
    for node in statement.walk():
        if objection := _NOT_SNOWFLAKE.get(type(node)):
            yield f"{objection} is not part of Snowflake's SQL"
    for join in statement.find_all(exp.Join):
        if join.kind in ("SEMI", "ANTI"):
            yield f"{join.kind} JOIN is not part of Snowflake's SQL"
