"""Marts as Iceberg tables: pyiceberg's own catalog behind the REST routes, real Parquet files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from duckdb_extensions import import_extension
from pyiceberg.table import Table, Transaction

from deploy.cloudflare.local_catalog import LocalCatalog, running_catalog
from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.access import CloudflareAccess
from include.cloudflare.errors import CloudflareError
from include.cloudflare.iceberg import CommitConflictError, CommitUnknownError, open_catalog
from include.publish.iceberg import current_snapshot
from include.publish.iceberg_files import DataFileWriter, current_files
from include.publish.iceberg_maintenance import SMALL_FILES, compact, delete_lost_files, expire
from include.publish.iceberg_schema import iceberg_table
from include.publish.marts import PublishError
from include.publish.spec import Column, IcebergSpec, PublishSpecError, Sink, Transform
from tests.cloudflare.published import (
    KEY,
    Warehouse,
    open_local,
    publish_iceberg,
    warehouse,
)

MONTHLY = IcebergSpec(key=KEY, partition={"business_date": Transform.MONTH})
OTHER_MONTH = "INSERT INTO MART SELECT 'fleet', 'N' || i, DATE '2026-02-03', i, 1.5, true, "


@pytest.fixture
def made(tmp_path: Path) -> Warehouse:
    """100 rows of January, in one partition."""
    return warehouse(tmp_path, "sold", 100, iceberg=MONTHLY)


def table_of(catalog: LocalCatalog, name: str = "sold") -> Table:
    table = open_local(catalog).load(name)
    assert table is not None
    return table


def rows_of(table: Table, snapshot_id: int | None = None) -> list[dict[str, Any]]:
    scanned = table.scan(snapshot_id=snapshot_id).to_arrow().to_pylist()
    return sorted(scanned, key=lambda row: row["machine_id"])


def files_of(table: Table) -> set[str]:
    return {task.file.file_path for task in current_files(table)}


def operations(table: Table) -> list[str]:
    return [snapshot.summary.operation.value for snapshot in table.snapshots() if snapshot.summary]


def assert_equals_mart(catalog: LocalCatalog, made: Warehouse) -> None:
    columns = ", ".join(column.name for column in made.mart.columns)
    with duckdb.connect(str(made.file), read_only=True) as connection:
        mart = connection.execute(
            f"SELECT {columns} FROM marts.{made.mart.name} ORDER BY machine_id"
        ).fetchall()
    table = table_of(catalog, made.mart.name)
    assert [tuple(row.values()) for row in rows_of(table)] == mart


def test_every_row_arrives_with_its_types(catalog: LocalCatalog, made: Warehouse) -> None:
    outcome = publish_iceberg(made, catalog)

    assert (outcome.how, outcome.rows, outcome.written) == ("replaced", 100, 1)
    assert_equals_mart(catalog, made)
    table = table_of(catalog)
    types = {field.name: (str(field.field_type), field.required) for field in table.schema().fields}
    assert types == {
        "source": ("string", True),
        "machine_id": ("string", True),
        "business_date": ("date", False),
        "units": ("long", False),
        "amount": ("decimal(18, 2)", False),
        "is_open": ("boolean", False),
        "seen_at": ("timestamp", False),
        "note": ("string", False),
    }
    assert {table.schema().find_field(i).name for i in table.schema().identifier_field_ids} == {
        *KEY
    }


def test_an_unchanged_mart_writes_nothing(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    before = table_of(catalog).metadata_location

    assert publish_iceberg(made, catalog).how == "unchanged"
    assert table_of(catalog).metadata_location == before


def test_new_rows_are_appended_and_nothing_else_is_written(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    publish_iceberg(made, catalog)
    before = files_of(table_of(catalog))
    made.execute(f"{OTHER_MONTH} null, null FROM range(3) t(i)")

    outcome = publish_iceberg(made, catalog)

    assert (outcome.how, outcome.upserted, outcome.deleted) == ("changed", 3, 0)
    table = table_of(catalog)
    assert operations(table) == ["append", "append"]
    assert table.current_snapshot().summary["added-records"] == "3"
    assert before < files_of(table)
    assert_equals_mart(catalog, made)


def test_only_files_with_rows_that_changed_or_are_gone_are_written_again(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    publish_iceberg(made, catalog)
    (january,) = files_of(table_of(catalog))
    made.execute(f"{OTHER_MONTH} null, null FROM range(9) t(i)")
    publish_iceberg(made, catalog)
    made.execute(
        "UPDATE MART SET amount = 7.25 WHERE machine_id = 'N3'",
        "DELETE FROM MART WHERE machine_id = 'N5'",
    )

    outcome = publish_iceberg(made, catalog)

    assert (outcome.upserted, outcome.deleted) == (1, 1)
    table = table_of(catalog)
    assert operations(table)[-1] == "overwrite"
    assert january in files_of(table)
    assert_equals_mart(catalog, made)


def test_a_row_may_move_to_another_partition(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    made.execute("UPDATE MART SET business_date = DATE '2026-05-09' WHERE machine_id = 'M000007'")

    assert publish_iceberg(made, catalog).upserted == 1
    assert_equals_mart(catalog, made)
    partitions = {task.file.partition[0]: task.file.record_count for task in files(catalog)}
    # Months since January 1970.
    assert partitions == {56 * 12: 99, 56 * 12 + 4: 1}


def files(catalog: LocalCatalog) -> list[Any]:
    return current_files(table_of(catalog))


def test_a_mart_may_become_empty_and_fill_again(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    made.execute("DELETE FROM MART")
    assert publish_iceberg(made, catalog).deleted == 100
    assert rows_of(table_of(catalog)) == []
    assert publish_iceberg(made, catalog).how == "unchanged"
    made.execute(f"{OTHER_MONTH} null, null FROM range(3) t(i)")
    publish_iceberg(made, catalog)
    assert_equals_mart(catalog, made)


def test_time_travel_shows_each_version_as_it_was(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    made.execute("UPDATE MART SET units = 1000", "DELETE FROM MART WHERE machine_id = 'M000001'")
    publish_iceberg(made, catalog)

    table = table_of(catalog)
    first, second = (snapshot.snapshot_id for snapshot in table.snapshots())
    assert [row["units"] for row in rows_of(table, first)] == list(range(100))
    assert [row["units"] for row in rows_of(table, second)] == [1000] * 99
    then = table.snapshot_by_id(first)
    assert then is not None
    assert table.snapshot_as_of_timestamp(then.timestamp_ms) == then


def with_columns(made: Warehouse, **changes: str | None) -> Warehouse:
    """The mart with columns of other types, or without them, or with more."""
    contract = {column.name: column.data_type for column in made.mart.columns} | changes
    columns = tuple(Column(name, kind) for name, kind in contract.items() if kind is not None)
    return replace(made, mart=replace(made.mart, columns=columns))


def test_columns_come_widen_change_and_go_while_old_snapshots_stay_readable(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    publish_iceberg(made, catalog)
    ids = {field.name: field.field_id for field in table_of(catalog).schema().fields}
    made.execute(
        "ALTER TABLE MART ADD COLUMN site VARCHAR DEFAULT 'north'",
        "ALTER TABLE MART ALTER COLUMN amount TYPE DECIMAL(20, 2)",
        "ALTER TABLE MART ALTER COLUMN units TYPE VARCHAR",
    )
    evolved = with_columns(made, site="varchar", amount="decimal(20,2)", units="varchar", note=None)

    outcome = publish_iceberg(evolved, catalog)

    assert outcome.how == "replaced"
    table = table_of(catalog)
    found = {field.name: field.field_id for field in table.schema().fields}
    assert found["machine_id"] == ids["machine_id"]
    assert found["units"] not in ids.values()
    assert "note" not in found
    row = rows_of(table)[3]
    assert (row["units"], row["site"], row["amount"]) == ("3", "north", Decimal("4.50"))
    old = rows_of(table, table.snapshots()[0].snapshot_id)[3]
    assert (old["units"], old["note"]) == (3, "it's; 3")
    assert len(table.snapshots()) == 2


def test_the_key_may_change(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    spec = made.mart.spec.model_copy(update={"iceberg": IcebergSpec(key=("machine_id", "units"))})
    keyed = replace(made, mart=replace(made.mart, spec=spec))

    assert publish_iceberg(keyed, catalog).how == "replaced"
    schema = table_of(catalog).schema()
    assert {field.name for field in schema.fields if field.required} == {"machine_id", "units"}
    assert_equals_mart(catalog, keyed)
    assert len(rows_of(table_of(catalog), table_of(catalog).snapshots()[0].snapshot_id)) == 100


def test_partitions_may_change(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    by_day = {"source": Transform.IDENTITY, "seen_at": Transform.DAY}
    spec = made.mart.spec.model_copy(update={"iceberg": IcebergSpec(key=KEY, partition=by_day)})
    parted = replace(made, mart=replace(made.mart, spec=spec))

    assert publish_iceberg(parted, catalog).how == "replaced"
    assert_equals_mart(catalog, parted)
    (task,) = files(catalog)
    assert list(task.file.partition) == ["fleet", (date(2026, 1, 1) - date(1970, 1, 1)).days]
    made.execute("UPDATE MART SET units = 5 WHERE machine_id = 'M000005'")
    assert publish_iceberg(parted, catalog).how == "unchanged"
    made.execute("UPDATE MART SET units = 6 WHERE machine_id = 'M000005'")
    assert publish_iceberg(parted, catalog).upserted == 1
    assert_equals_mart(catalog, parted)


def test_a_column_that_parts_the_table_keeps_its_type_until_the_table_is_dropped(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    publish_iceberg(made, catalog)
    made.execute("ALTER TABLE MART ALTER COLUMN business_date TYPE TIMESTAMP")
    retyped = with_columns(made, business_date="timestamp")

    with pytest.raises(PublishError, match=r"sold.business_date parts the files .* drop the table"):
        publish_iceberg(retyped, catalog)
    catalog.catalog.drop_table(("marts", "sold"))
    assert publish_iceberg(retyped, catalog).how == "replaced"
    assert_equals_mart(catalog, retyped)


def test_without_its_version_file_everything_is_written_again_in_one_snapshot(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    publish_iceberg(made, catalog)
    made.versions(Sink.ICEBERG).drop_all_but(())
    made.execute("UPDATE MART SET units = 9 WHERE machine_id = 'M000001'")

    assert publish_iceberg(made, catalog).how == "replaced"
    assert operations(table_of(catalog)) == ["append", "overwrite"]
    assert_equals_mart(catalog, made)


def test_a_change_is_compared_in_parts_and_one_of_most_rows_writes_everything(
    catalog: LocalCatalog, made: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.publish.digests.PART_ROWS", 7)
    monkeypatch.setattr("include.publish.iceberg.CHANGE_ROWS", 20)
    publish_iceberg(made, catalog)
    made.execute("UPDATE MART SET units = -1 WHERE units < 20", "DELETE FROM MART WHERE units = 50")
    assert publish_iceberg(made, catalog).how == "replaced"
    made.execute("UPDATE MART SET units = -2 WHERE units = -1 AND machine_id < 'M000015'")
    outcome = publish_iceberg(made, catalog)
    assert (outcome.how, outcome.upserted, outcome.deleted) == ("changed", 15, 0)
    assert_equals_mart(catalog, made)


def test_what_somebody_else_wrote_is_replaced(catalog: LocalCatalog, tmp_path: Path) -> None:
    made = warehouse(tmp_path, "sold", 100, iceberg=IcebergSpec(key=KEY))
    publish_iceberg(made, catalog)
    table = table_of(catalog)
    table.append(table.scan().to_arrow().slice(0, 5))
    assert current_snapshot(table) is None

    assert publish_iceberg(made, catalog).how == "replaced"
    assert_equals_mart(catalog, made)


@pytest.mark.parametrize("how", ["replaced", "changed"])
def test_of_two_publishers_at_once_one_is_refused_and_may_try_again(
    catalog: LocalCatalog, made: Warehouse, how: str
) -> None:
    if how == "changed":
        publish_iceberg(made, catalog)
        made.execute("UPDATE MART SET units = 9 WHERE machine_id = 'M000001'")
    catalog.faults.append(409)
    with pytest.raises(CommitConflictError, match="somebody else was faster"):
        publish_iceberg(made, catalog)
    assert publish_iceberg(made, catalog).how == how
    assert_equals_mart(catalog, made)


def test_a_commit_whose_answer_is_lost_is_looked_up(catalog: LocalCatalog, made: Warehouse) -> None:
    publish_iceberg(made, catalog)
    made.execute("UPDATE MART SET units = 9 WHERE machine_id = 'M000001'")
    catalog.lost.append(502)
    assert publish_iceberg(made, catalog).how == "changed"
    made.execute("UPDATE MART SET units = 8 WHERE machine_id = 'M000001'")
    catalog.faults.append(502)
    with pytest.raises(CommitUnknownError, match="did not say"):
        publish_iceberg(made, catalog)
    publish_iceberg(made, catalog)
    assert_equals_mart(catalog, made)


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bool], None]]:
    """Kill the publisher at the nth file or commit from now on, before or after it."""

    def arm(nth: int, after: bool) -> None:
        left = [nth]

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                left[0] -= 1
                if left[0] < 0 and not after:
                    raise Killed
                done = real(*arguments)
                if left[0] < 0:
                    raise Killed
                return done

            return call

        monkeypatch.setattr(DataFileWriter, "_write_file", dying(DataFileWriter._write_file))
        commit = Transaction.commit_transaction
        monkeypatch.setattr(Transaction, "commit_transaction", dying(commit))

    yield arm
    monkeypatch.undo()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(3))
def test_wherever_a_publisher_is_killed_readers_see_whole_versions_and_the_next_one_ends_it(
    catalog: LocalCatalog,
    made: Warehouse,
    killed_at: Callable[[int, bool], None],
    monkeypatch: pytest.MonkeyPatch,
    nth: int,
    after: bool,
) -> None:
    publish_iceberg(made, catalog)
    before = rows_of(table_of(catalog))
    # A new file, one written again, a commit: three moments.
    made.execute("UPDATE MART SET units = -1 WHERE machine_id = 'M000001'")
    killed_at(nth, after)
    with pytest.raises(Killed):
        publish_iceberg(made, catalog)
    monkeypatch.undo()

    is_committed = nth == 2 and after
    assert (rows_of(table_of(catalog)) == before) is not is_committed
    assert publish_iceberg(made, catalog).how == ("unchanged" if is_committed else "changed")
    assert_equals_mart(catalog, made)


def test_rows_that_cannot_be_told_apart_are_refused(catalog: LocalCatalog, tmp_path: Path) -> None:
    made = warehouse(tmp_path, "sold", 2, iceberg=IcebergSpec(key=("source",)))
    with pytest.raises(PublishError, match=r"two rows of the key \(source\).*publish.iceberg.key"):
        publish_iceberg(made, catalog)
    assert open_local(catalog).load("sold") is None


@pytest.mark.parametrize(
    ("contract", "partition", "wrong"),
    [
        ({"source": "varchar", "place": "struct(a integer)"}, {}, "no type for sold.place"),
        ({"source": "varchar"}, {"source": Transform.MONTH}, "by the month of source"),
    ],
)
def test_what_iceberg_cannot_hold_is_refused(
    tmp_path: Path, contract: dict[str, str], partition: dict[str, Transform], wrong: str
) -> None:
    spec = IcebergSpec(key=("source",), partition=partition)
    made = warehouse(tmp_path, "sold", 0, contract={"source": "varchar"}, iceberg=spec)
    with pytest.raises(PublishSpecError, match=wrong):
        iceberg_table(with_columns(made, **contract).mart, spec)


def test_extreme_values_of_every_type_arrive_as_they_are(
    catalog: LocalCatalog, tmp_path: Path
) -> None:
    contract = {
        "machine_id": "varchar",
        "small": "tinyint",
        "number": "integer",
        "huge": "hugeint",
        "real": "double",
        "single": "float",
        "money": "decimal(38,10)",
        "at": "timestamp",
    }
    spec = IcebergSpec(key=("machine_id",))
    made = warehouse(tmp_path, "any", 0, contract=contract, iceberg=spec)
    made.execute(
        "INSERT INTO MART VALUES "
        "('', -128, 2147483647, 99999999999999999999999999999999999999, 'nan', 'inf', "
        "-0.0000000001, TIMESTAMP '0001-01-01'), "
        "('日本;''\"' || chr(0), null, null, -1, 5e-324, 1.5, null, "
        "TIMESTAMP '9999-12-31 23:59:59.999999'), "
        "('x', null, null, null, null, null, null, null)"
    )
    publish_iceberg(made, catalog)
    publish_iceberg(made, catalog)

    first, _, other = rows_of(table_of(catalog, "any"))
    assert (first["small"], first["number"], first["huge"]) == (-128, 2**31 - 1, 10**38 - 1)
    assert first["real"] != first["real"]
    assert (first["single"], first["at"]) == (float("inf"), datetime(1, 1, 1))  # noqa: DTZ001
    assert other["machine_id"] == "日本;'\"\0"
    assert other["at"].microsecond == 999_999
    made.execute("UPDATE MART SET real = 1 WHERE machine_id = ''")
    assert publish_iceberg(made, catalog).upserted == 1
    assert rows_of(table_of(catalog, "any"))[0]["real"] == 1


def test_small_files_of_a_partition_become_one_and_the_version_stays(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    made.execute(f"{OTHER_MONTH} null, null FROM range(3) t(i)")
    publish_iceberg(made, catalog)
    assert compact(table_of(catalog)) == 0
    for number in range(1, SMALL_FILES):
        made.execute(
            f"INSERT INTO MART SELECT 'fleet', 'D{number}', DATE '2026-01-09', 1, 1, true, "
            "null, null"
        )
        publish_iceberg(made, catalog)
    before = table_of(catalog)

    assert compact(table_of(catalog)) == SMALL_FILES

    table = table_of(catalog)
    # One of January, and February's as it was.
    assert len(files_of(table)) == 2
    assert len(files_of(table) & files_of(before)) == 1
    assert current_snapshot(table) == current_snapshot(before)
    assert publish_iceberg(made, catalog).how == "unchanged"
    assert_equals_mart(catalog, made)


def test_old_snapshots_are_forgotten_and_files_that_none_names_are_deleted(
    catalog: LocalCatalog, made: Warehouse
) -> None:
    publish_iceberg(made, catalog)
    made.execute("UPDATE MART SET units = 1000")
    publish_iceberg(made, catalog)
    table = table_of(catalog)
    folder = Path(table.location().removeprefix("file://"))
    lost = folder / "data" / "lost.parquet"
    lost.write_bytes(b"of a publisher that was killed")
    young = folder / "data" / "young.parquet"
    young.write_bytes(b"of a publisher at work")
    now = datetime.now(UTC)
    assert expire(table, now) == 0
    assert delete_lost_files(table, now) == 0

    later = now + timedelta(days=8)
    two_days_later = (later - timedelta(minutes=1)).timestamp()
    os.utime(young, (two_days_later, two_days_later))
    assert expire(table, later) == 1
    # The first version's data and manifest, its list, and what was lost.
    assert delete_lost_files(table, later) >= 4

    assert not lost.exists()
    assert young.exists()
    assert len(table_of(catalog).snapshots()) == 1
    assert_equals_mart(catalog, made)
    made.execute("UPDATE MART SET units = 7 WHERE machine_id = 'M000003'")
    publish_iceberg(made, catalog)
    assert_equals_mart(catalog, made)


def test_tables_on_r2_are_written_read_and_tidied(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    store = {
        "s3.endpoint": cloudflare.s3,
        "s3.access-key-id": "local",
        "s3.secret-access-key": cloudflare.s3_secret,
        "s3.region": "auto",
    }
    made = warehouse(tmp_path, "sold", 50_000, iceberg=MONTHLY)
    with running_catalog(tmp_path / "r2", location="s3://lake/gold", store=store) as catalog:
        publish_iceberg(made, catalog)
        made.execute("UPDATE MART SET units = -1 WHERE machine_id = 'M000001'")
        publish_iceberg(made, catalog)
        assert_equals_mart(catalog, made)
        table = table_of(catalog)
        assert table.location() == "s3://lake/gold/sold"
        later = datetime.now(UTC) + timedelta(days=8)
        assert expire(table, later) == 1
        assert delete_lost_files(table, later) >= 3
        assert_equals_mart(catalog, made)
    assert os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"


def test_duckdb_reads_a_table_through_the_catalog(
    catalog: LocalCatalog, made: Warehouse, tmp_path: Path
) -> None:
    publish_iceberg(made, catalog)
    made.execute("UPDATE MART SET units = 1000 WHERE machine_id = 'M000001'")
    publish_iceberg(made, catalog)
    # Of wheels, into a folder of the test: not those of the person who runs it.
    of_wheels = {
        "autoinstall_known_extensions": False,
        "extension_directory": str(tmp_path / "extensions"),
    }
    with duckdb.connect(config=of_wheels) as connection:
        for name in ("avro", "httpfs", "iceberg"):
            import_extension(name, con=connection)
            connection.load_extension(name)
        connection.execute(
            f"ATTACH '{catalog.access.warehouse}' AS lake (TYPE iceberg, "
            f"ENDPOINT '{catalog.access.uri}', TOKEN '{catalog.access.token}')"
        )
        found = connection.execute(
            "SELECT count(*), max(units), sum(amount) FROM lake.marts.sold"
        ).fetchone()
        first = table_of(catalog).snapshots()[0].snapshot_id
        then = connection.execute(
            f"SELECT max(units) FROM lake.marts.sold AT (VERSION => {first})"
        ).fetchone()
    assert found == (100, 1000, Decimal("7425.00"))
    assert then == (99,)


def test_a_wrong_token_is_told_without_showing_it(catalog: LocalCatalog) -> None:
    wrong = catalog.access.model_copy(update={"token": "not-the-token"})
    access = CloudflareAccess(account_id="local", token="local", iceberg=wrong)
    with pytest.raises(CloudflareError, match="The Iceberg catalog would not be opened") as caught:
        open_catalog(access)
    assert "not-the-token" not in str(caught.value)


def test_a_catalog_that_does_not_answer_and_none_at_all_are_sentences(tmp_path: Path) -> None:
    with running_catalog(tmp_path) as gone:
        pass
    access = CloudflareAccess(account_id="local", token="local", iceberg=gone.access)
    with pytest.raises(CloudflareError, match="did not answer"):
        open_catalog(access)
    with pytest.raises(CloudflareError, match="has no iceberg"):
        open_catalog(access.model_copy(update={"iceberg": None}))
