"""Writes `include/lineage/columns.json`: which columns each column of a dbt model is made of.

    python -m deploy.lineage.columns

That follows from the SQL of the models alone, so it is found out when a model changes and not in
each run: an environment that only runs the pipeline has neither sqlglot nor seconds to spare. A
test holds the file and the models together.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from include.lineage.columns import COLUMNS_FILE, ColumnParents
from include.transform.dbt_command import DbtError, run_dbt
from include.transform.manifest import Manifest
from include.transform.project import DbtProject

DIALECT = "duckdb"

# By database, schema and table the columns with a type, as sqlglot takes it; no type is looked at.
Tables = dict[str, dict[str, dict[str, str]]]


def compiled_manifest() -> Manifest:
    """The project as dbt compiles it for a warehouse in which nothing has been built yet.

    Of an incremental model that is the SQL of its first run, in which it does not read itself.
    Raises DbtError.
    """
    with tempfile.TemporaryDirectory() as folder:
        target, project = Path(folder), DbtProject.of_target("dev")
        database = target / "dbt_dev.duckdb"
        run_dbt(
            replace(project, environment=(("VENDING_DUCKDB_PATH", str(database)),)),
            "compile",
            ("--quiet",),
            target_path=target,
        )
        return Manifest(json.loads((target / "manifest.json").read_bytes()))


def column_parents(manifest: Manifest) -> dict[str, ColumnParents]:
    """By model and column the columns that it is made of, as in ``marts.fct_sales.amount``.

    Columns that are made of none, such as a count of rows, are left out.
    """
    nodes, relations = manifest.content["nodes"], manifest.relation_ids
    names = {unique_id: relation for relation, unique_id in relations.items()}
    tables = {_physical(source): names[key] for key, source in manifest.content["sources"].items()}
    schema: Tables = {}
    for source in manifest.content["sources"].values():
        _add(schema, _physical(source), source["columns"])
    found = {}
    for unique_id in _in_order(manifest):
        place = _physical(nodes[unique_id])
        tables[place] = names[unique_id]
        columns = dict(_columns(nodes[unique_id]["compiled_code"], schema, tables))
        _add(schema, place, columns)
        found[names[unique_id]] = {column: made for column, made in columns.items() if made}
    return found


def _in_order(manifest: Manifest) -> Iterable[str]:
    models = {key for key, node in manifest.nodes.items() if node.resource_type == "model"}
    return TopologicalSorter(
        {model: manifest.nodes[model].parents & models for model in sorted(models)}
    ).static_order()


def _physical(node: dict[str, Any]) -> tuple[str, str, str]:
    return node["database"], node["schema"], node.get("identifier") or node["alias"]


def _add(schema: Tables, place: tuple[str, str, str], columns: Iterable[str]) -> None:
    database, schema_name, table = place
    tables = schema.setdefault(database, {}).setdefault(schema_name, {})
    tables[table] = dict.fromkeys(columns, "varchar")


def _columns(
    sql: str, schema: Tables, tables: dict[tuple[str, str, str], str]
) -> Iterator[tuple[str, list[str]]]:
    query = qualify(
        sqlglot.parse_one(sql, dialect=DIALECT),
        dialect=DIALECT,
        schema=schema,
        identify=False,
        # It does not know every function of DuckDB that gives a table.
        validate_qualify_columns=False,
    )
    scope = build_scope(query)
    for column in query.named_selects:
        node = lineage(
            column, query, schema=schema, scope=scope, dialect=DIALECT, trim_selects=False
        )
        leaves = (leaf for leaf in node.walk() if isinstance(leaf.expression, exp.Table))
        yield column, sorted({_name(leaf, tables) for leaf in leaves} - {""})


def _name(leaf: Any, tables: dict[tuple[str, str, str], str]) -> str:
    table, column = leaf.expression, leaf.name.rpartition(".")[2].strip('"')
    relation = tables.get((table.catalog, table.db, table.name))
    return f"{relation}.{column}" if relation and column != "*" else ""


def render(found: dict[str, ColumnParents]) -> str:
    """The file's text."""
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def main() -> int:
    try:
        found = column_parents(compiled_manifest())
    except DbtError as error:
        print(error, file=sys.stderr)
        return 1
    COLUMNS_FILE.write_text(render(found), encoding="utf-8")
    print(f"Column lineage: {len(found)} models, {sum(map(len, found.values()))} columns.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
