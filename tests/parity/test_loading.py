"""The Snowflake loader against the emulator: what it does, and the statements that it sends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from include.contracts import Dialect, Reference, Severity, load_catalog
from include.contracts.raw_tables import LOAD_HISTORY, create_ops_tables
from include.ingest.plan import UnchangedFile
from include.lake import Lake, open_lake
from include.settings import Environment, Settings
from include.warehouse import (
    Coverage,
    ListedFile,
    ReplaySelection,
    UnknownReferences,
    UnreadFile,
    Warehouse,
    WarehouseError,
    open_warehouse,
)
from include.warehouse.query_tag import query_tag
from include.warehouse.rows import naive
from tests.include.warehouse.batches import NOON, PRODUCTS, BatchMaker, Version
from tests.parity.services import ROOT, Cloud

SALES = load_catalog().dataset("sales")
DDL = re.compile(r"\s*(CREATE|ALTER|DROP|TRUNCATE)\b", re.IGNORECASE)
# The base64 of something that is no key.
NO_KEY = "bm8ga2V5"
_keys = count()


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return open_lake(settings.lake)


@pytest.fixture
def warehouse(settings: Settings, lake: Lake) -> Iterator[Warehouse]:
    with open_warehouse(settings.warehouse, lake) as opened:
        opened.ensure_schema(load_catalog().datasets)
        yield opened


@pytest.fixture
def batch(lake: Lake) -> BatchMaker:
    return BatchMaker(lake)


@pytest.fixture
def version() -> Version:
    """A first version of a file that no other test has."""
    number = next(_keys)
    return Version(object_key=f"sales_VM{number}.csv", content=f"content {number}")


def rows_of(cloud: Cloud, version: Version, table: str = "staging.sales") -> int:
    column = "_load_id" if table.startswith("staging") else "load_id"
    [(rows,)] = cloud.snowflake.fetch(
        f"SELECT COUNT(*) FROM {table} WHERE {column} = {version.load_id}"
    )
    return rows


def ledger(cloud: Cloud, version: Version) -> dict[str, Any]:
    names = [column.name for column in LOAD_HISTORY.columns]
    [row] = cloud.snowflake.fetch(
        f"SELECT {', '.join(names)} FROM ops.load_history WHERE load_id = {version.load_id}"
    )
    return dict(zip(names, row, strict=True))


def test_a_batch_is_published_with_its_rows_its_quarantine_and_its_ledger(
    cloud, warehouse, batch, version
):
    version = replace(version, rejected=2)

    load = warehouse.load(batch(version), SALES, "run 1")

    assert (load.files_loaded, load.rows_loaded, load.rows_quarantined) == (1, 3, 2)
    assert rows_of(cloud, version) == 3
    assert rows_of(cloud, version, "ops.quarantine") == 2
    row = ledger(cloud, version)
    assert (row["is_current"], row["rows_read"], row["loaded_seq"]) == (True, 5, load.ledger_seq)
    assert (row["landed_at"], row["retired_at"]) == (naive(NOON), None)
    assert (row["landed_on"], row["checksum"]) == (date(2026, 1, 1), version.checksum)


def test_the_ledger_says_how_many_loads_hold_the_rows_of_a_span_of_days(warehouse, batch, version):
    days = {"business_date_from": date(2031, 1, 1), "business_date_to": date(2031, 1, 2)}
    for name in ("first.csv", "second.csv"):
        made = batch(replace(version, object_key=name), batch_id=name)
        [file] = made.files
        dated = made.model_copy(update={"files": (file.model_copy(update=days),)})
        warehouse.load(dated, SALES, "run 1")

    covered = warehouse.covered_days(date(2031, 1, 2), date(2031, 1, 9))

    assert covered == [Coverage("fleet.sales", *days.values(), loads=2)]
    assert warehouse.covered_days(date(2031, 1, 3), date(2031, 1, 9)) == []


def test_a_batch_that_is_loaded_already_changes_nothing(cloud, warehouse, batch, version):
    made = batch(version)
    warehouse.load(made, SALES, "run 1")

    again = warehouse.load(made, SALES, "run 2")

    assert (again.files_loaded, again.files_known, again.rows_loaded) == (0, 1, 0)
    assert rows_of(cloud, version) == 3
    assert ledger(cloud, version)["run_id"] == "run 1"


def test_a_corrected_file_replaces_its_rows(cloud, warehouse, batch, version):
    warehouse.load(batch(replace(version, rejected=1)), SALES, "run 1")
    corrected = replace(
        version, content="corrected", rows=5, generation=1, replaces=version.load_id
    )

    load = warehouse.load(batch(corrected, batch_id="b2"), SALES, "run 2")

    assert (load.loads_retired, load.rows_retired, load.rows_loaded) == (1, 3, 5)
    assert (rows_of(cloud, version), rows_of(cloud, corrected)) == (0, 5)
    retired = ledger(cloud, version)
    assert (retired["is_current"], retired["replaced_by"]) == (False, corrected.load_id)
    assert retired["retired_seq"] == load.ledger_seq
    [(resolution, run_id)] = cloud.snowflake.fetch(
        f"SELECT resolution, resolved_run_id FROM ops.quarantine WHERE load_id = {version.load_id}"
    )
    assert (resolution, run_id) == ("replaced", "run 2")


def test_of_a_batch_that_is_known_in_part_only_the_rest_is_inserted(
    cloud, warehouse, batch, version
):
    warehouse.load(batch(version), SALES, "run 1")
    other = replace(version, object_key=f"other {version.object_key}", content="other", rows=2)

    load = warehouse.load(batch(version, other, batch_id="both"), SALES, "run 2")

    assert (load.files_loaded, load.files_known, load.rows_loaded) == (1, 1, 2)
    assert (rows_of(cloud, version), rows_of(cloud, other)) == (3, 2)


def test_masters_are_appended(cloud, warehouse, batch):
    first = Version("products.csv", "p1", contract=PRODUCTS)
    second = replace(first, content="p2", generation=1, replaces=first.load_id)
    products = load_catalog().dataset("products")

    for number, each in enumerate((first, second)):
        warehouse.load(
            batch(each, batch_id=f"products-{number}", contract=PRODUCTS), products, "run"
        )

    assert rows_of(cloud, first, "staging.products") == 3
    assert rows_of(cloud, second, "staging.products") == 3


def test_a_batch_whose_file_has_not_the_promised_rows_is_refused_whole(
    cloud, warehouse, batch, version
):
    made = batch(version)
    [file] = made.files
    wrong = made.model_copy(
        update={"files": (file.model_copy(update={"rows_conformed": 4, "rows_read": 4}),)}
    )

    with pytest.raises(WarehouseError, match=r"promises 4 rows for sales and .* gave 3"):
        warehouse.load(wrong, SALES, "run")

    assert rows_of(cloud, version) == 0
    assert cloud.snowflake.fetch(
        f"SELECT 1 FROM ops.load_history WHERE load_id = {version.load_id}"
    ) == []  # fmt: skip


def test_a_file_that_is_gone_from_the_lake_leaves_nothing_behind(
    cloud, warehouse, batch, lake, version
):
    made = batch(replace(version, rejected=1))
    lake.delete(made.quarantine_location)

    with pytest.raises(WarehouseError, match="failed while loading batch"):
        warehouse.load(made, SALES, "run")

    assert rows_of(cloud, version) == 0


def test_discovery_finds_new_and_changed_files_and_no_others(warehouse, batch, version):
    warehouse.load(batch(version), SALES, "run")
    known = ListedFile("fleet.sales", version.object_key, "sources/a", 10, version.etag)
    changed = known._replace(etag="changed", modified_at=datetime(2026, 2, 1, tzinfo=UTC))
    new = known._replace(object_key="never seen.csv")

    found = {
        candidate.object_key: candidate
        for _, candidate in warehouse.new_versions([known, changed, new])
    }

    assert found.keys() == {version.object_key, "never seen.csv"}
    candidate = found[version.object_key]
    assert candidate.current.load_id == version.load_id
    assert (candidate.earlier_loads, candidate.modified_at) == (1, changed.modified_at)
    assert found["never seen.csv"].current is None


def test_an_unchanged_file_is_not_found_again_once_its_etag_is_noted(warehouse, batch, version):
    warehouse.load(batch(version), SALES, "run")
    touched = UnchangedFile(load_id=version.load_id, etag="touched")

    warehouse.load(batch(batch_id="none", unchanged=[touched]), SALES, "run")

    listed = ListedFile("fleet.sales", version.object_key, "sources/a", 10, "touched")
    assert list(warehouse.new_versions([listed])) == []


def test_checks_count_what_the_tables_hold(cloud, warehouse, batch, version):
    version = replace(version, rejected=1)
    warehouse.load(batch(version), SALES, "run")
    assert warehouse.check("sales", [version.load_id], "run") == []

    cloud.snowflake.execute(
        f"DELETE FROM staging.sales WHERE _load_id = {version.load_id} AND transaction_id = 'T1'"
    )

    [imbalance] = warehouse.check("sales", [version.load_id], "run")
    assert imbalance.problem == "has 2 rows in STAGING.sales instead of 3"
    totals = warehouse.totals([version.load_id])
    assert (totals.rows_read, totals.quarantined) == (4, {"invalid_value": 1})


def test_removed_files_are_noted_and_their_return_too(warehouse, batch, version):
    warehouse.load(batch(version), SALES, "run")

    def current() -> Any:
        files = warehouse.current_files(["fleet.sales"])
        return next(file for file in files if file.object_key == version.object_key)

    warehouse.note_missing([current()], [], datetime.now(UTC))
    assert current().is_missing
    warehouse.note_missing([], [current()], datetime.now(UTC))
    assert not current().is_missing


def test_loads_are_selected_for_a_replay_by_day_by_file_and_by_reason(warehouse, batch, version):
    rejecting = replace(version, object_key=f"bad {version.object_key}", content="b", rejected=1)
    warehouse.load(batch(version, rejecting), SALES, "run")

    def keys(**selection: Any) -> set[str]:
        found = warehouse.replayable(ReplaySelection(source="fleet.sales", **selection))
        mine = (version.object_key, rejecting.object_key)
        return {c.object_key for _, c in found if c.object_key in mine}

    january = {"first_day": date(2026, 1, 1), "last_day": date(2026, 1, 31)}
    assert keys(**january) == {version.object_key, rejecting.object_key}
    assert keys(**january, object_key=version.object_key) == {version.object_key}
    assert keys() == keys(reason="invalid_value") == {rejecting.object_key}
    assert keys(reason="too_precise") == set()


def test_only_parquet_that_no_load_names_is_unknown(warehouse, batch, version):
    made = batch(version, batch_id="named")
    warehouse.load(made, SALES, "run")

    assert warehouse.unknown_locations([made.parquet_location, "staging/sales/orphan.parquet"]) == [
        "staging/sales/orphan.parquet"
    ]


def test_a_load_sends_no_ddl_and_commits_once(cloud, warehouse, batch, version):
    before = len(cloud.snowflake.statements())
    warehouse.load(batch(replace(version, rejected=1)), SALES, "run")
    sent = cloud.snowflake.statements()[before:]

    assert [statement for statement in sent if DDL.match(statement)] == []
    assert (sent[0], sent[-1]) == ("BEGIN TRANSACTION", "COMMIT")
    assert sum("COMMIT" in statement for statement in sent) == 1
    assert "UPDATE ops.load_lock" in sent[1]


def test_rows_are_copied_from_the_stage_with_their_columns_and_types(
    cloud, warehouse, batch, version
):
    warehouse.load(batch(version, batch_id="copied"), SALES, "run")

    [copy] = [
        text
        for text in cloud.snowflake.statements()
        if text.startswith("COPY INTO STAGING.sales") and "sales/copied.parquet" in text
    ]

    assert "FROM (SELECT $1:machine_id::VARCHAR, " in copy
    assert "$1:amount::NUMBER(18,2), " in copy
    assert "$1:sold_at::TIMESTAMP_NTZ(6), " in copy
    assert "FROM @ops.processed_data) FILES = ('sales/copied.parquet')" in copy
    assert "ON_ERROR = ABORT_STATEMENT FORCE = TRUE" in copy


def test_raw_tables_are_transient_and_the_ledger_is_not(cloud, warehouse):
    created = [text for text in cloud.snowflake.statements() if text.startswith("CREATE T")]

    assert any(text.startswith("CREATE TRANSIENT TABLE") and ".sales " in text for text in created)
    assert any(text.startswith("CREATE TABLE") and "ops.load_history" in text for text in created)


def test_what_is_there_is_not_created_again(cloud, warehouse):
    before = len(cloud.snowflake.statements())

    warehouse.ensure_schema(load_catalog().datasets)

    sent = cloud.snowflake.statements()[before:]
    assert [statement for statement in sent if DDL.match(statement)] == []


def test_a_column_of_a_newer_contract_is_added(cloud, warehouse):
    channel = replace(SALES.field("currency"), name="channel", required=False)

    warehouse.ensure_schema([replace(SALES, fields=(*SALES.fields, channel))])

    assert "ALTER TABLE STAGING.sales ADD COLUMN channel VARCHAR" in cloud.snowflake.statements()


def test_the_session_is_tagged_bounded_and_in_utc(cloud, settings, warehouse):
    logins = [record for record in cloud.snowflake.records() if "login" in record]
    login = next(record for record in reversed(logins) if record["login"] == "LOADER_SERVICE")

    parameters = login["parameters"]
    assert json.loads(parameters["QUERY_TAG"]) == {"environment": "staging"}
    assert parameters["STATEMENT_TIMEOUT_IN_SECONDS"] == settings.warehouse.statement_seconds
    assert parameters["ABORT_DETACHED_QUERY"] is True
    assert parameters["TIMEZONE"] == "UTC"
    assert (login["role"], login["warehouse"]) == ("LOADER", "COMPUTE_WH_STG")


def test_inside_a_task_the_tag_names_dag_run_and_task(monkeypatch):
    class Instance:
        dag_id, run_id, task_id, try_number = "ingest_files", "manual__1", "load", 2

    monkeypatch.setattr(
        "include.warehouse.query_tag.get_current_context", lambda: {"ti": Instance()}
    )

    assert json.loads(query_tag(Environment.PROD)) == {
        "environment": "prod",
        "dag": "ingest_files",
        "run": "manual__1",
        "task": "load",
        "try": 2,
    }


def test_a_malformed_connection_is_a_sentence_without_its_content(settings, lake, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_SNOWFLAKE",
        json.dumps(
            {
                "conn_type": "snowflake",
                "extra": {"private_key_content": "c2VjcmV0LWtleQ=="},  # pragma: allowlist secret
            }
        ),
    )

    with (
        pytest.raises(
            WarehouseError, match="connection 'snowflake' is missing or malformed"
        ) as told,
        open_warehouse(settings.warehouse, lake),
    ):
        pass

    assert NO_KEY not in str(told.value)


def test_the_tables_of_ops_are_those_of_the_contract(cloud, warehouse):
    tables = {name for (name,) in cloud.snowflake.fetch(
        "SELECT LOWER(table_name) FROM information_schema.tables WHERE table_schema = 'OPS'"
    )}  # fmt: skip
    expected = len(create_ops_tables(Dialect.SNOWFLAKE))

    assert "load_history" in tables
    assert len(tables) == expected


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_task_that_is_stopped_cancels_its_statement(cloud, settings, warehouse, sent):
    script = (
        "from include.settings import current_settings\n"
        "from include.warehouse.snowflake_session import session\n"
        "with session(current_settings().warehouse) as connection:\n"
        "    connection.cursor().execute('SELECT parity_sleep(30)')\n"
    )
    task = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    before = _sleeping(cloud)
    _wait_until(lambda: _sleeping(cloud) > before)

    task.send_signal(sent)
    _, errors = task.communicate(timeout=30)

    assert "KeyboardInterrupt" in errors
    assert cloud.snowflake.records()[-1].get("abort") == "SELECT parity_sleep(30)"


def _sleeping(cloud: Cloud) -> int:
    return sum("parity_sleep" in text for text in cloud.snowflake.statements())


def _wait_until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_the_server_stands_apart_from_the_project() -> None:
    text = (Path(__file__).with_name("fakesnow_server.py")).read_text("utf-8")

    assert re.findall(r"^(?:from|import) (?:include|tests|dags)\b", text, re.MULTILINE) == []


def test_rows_that_refer_to_nothing_known_are_refused_or_noted(
    warehouse: Warehouse, batch: BatchMaker, version: Version, cloud: Cloud
) -> None:
    reference = Reference("machine_id", "vending_machines", "machine_id")
    strict = replace(reference, severity=Severity.QUARANTINE)
    made = batch(version)

    with pytest.raises(UnknownReferences) as refused:
        warehouse.load(made.model_copy(update={"references": (strict,)}), SALES, "run")
    assert refused.value.keys == {"machine_id": ("VM001",)}
    assert rows_of(cloud, version) == 0

    warehouse.load(made.model_copy(update={"references": (reference,)}), SALES, "run")
    assert rows_of(cloud, version) == 3
    assert "3 rows break machine_id.unknown_reference" in ledger(cloud, version)["note"]


def test_a_load_that_waits_for_a_master_is_replayable_once_one_came_since(
    warehouse: Warehouse, batch: BatchMaker, version: Version
) -> None:
    waiting = ReplaySelection(
        source="fleet.sales",
        object_key=version.object_key,
        reason="invalid_value",
        awaited=("products",),
    )
    warehouse.load(batch(replace(version, rejected=1)), SALES, "run")
    assert list(warehouse.replayable(waiting)) == []

    master = Version(object_key="products.csv", content=f"of {version.content}", contract=PRODUCTS)
    products = batch(master, batch_id="masters", contract=PRODUCTS)
    warehouse.load(products, load_catalog().dataset("products"), "run")

    [(contract, candidate)] = warehouse.replayable(waiting)
    assert (contract, candidate.object_key) == ("fleet.sales", version.object_key)


def test_unread_files_are_kept_until_they_are_gone(warehouse: Warehouse, cloud: Cloud) -> None:
    gone, stays = UnreadFile("a'b.csv", "its name has '"), UnreadFile("n.txt", "nobody knows it")
    for minute, seen in enumerate(([gone, stays], [gone, stays], [stays])):
        warehouse.note_unread(seen, f"run-{minute}", NOON.replace(minute=minute))

    rows = cloud.snowflake.fetch(
        "SELECT object_key, run_id, resolved_run_id FROM ops.unread_files "
        "WHERE object_key IN ('a''b.csv', 'n.txt') ORDER BY object_key"
    )
    assert rows == [("a'b.csv", "run-0", "run-2"), ("n.txt", "run-0", None)]
