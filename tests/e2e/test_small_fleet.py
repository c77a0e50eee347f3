"""A small fleet with every fault, through a real scheduler, three times.

The first run takes the faulty delivery, publishes and tells its lineage; the second takes what
arrives later (a late day, a corrected file, a copy, a changed master), the third finds nothing new.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from deploy.cloudflare.local_cloudflare import is_installed
from tests.cloudflare.conftest import require_installed
from tests.e2e.lineage import Lineage
from tests.e2e.local_platform import RUN_SECONDS, LocalPlatform
from tests.oracle.marts import differences, read_figures
from tests.oracle.oracle import compute

# Three pages of telemetry: broken items on the first, the second malformed, one behind it.
FLEET = ("--machines", "20", "--days", "21", "--seed", "11", "--end-date", "2026-10-31")
LATER = ("late", "corrected", "duplicate", "master-change")
PAGE_ITEMS = 1000

Rows = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Run:
    """One `make run`: its exit status, summary, and what the warehouse held afterwards."""

    status: int
    output: str
    summary: dict[str, Any]
    marts: Rows
    loads: int


@dataclass(frozen=True)
class Platform(LocalPlatform):
    """Whose vendor API has faults, and whose warehouse can be asked."""

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    def run(self, *options: str, **variables: str) -> Run:
        """What `make run` does, with faults in the vendor API."""
        completed = self.try_local("run", "--api-faults", "all", *options, **variables)
        output = completed.stdout + completed.stderr
        assert self.layout.run_summary.is_file(), output
        return Run(
            completed.returncode,
            output,
            json.loads(self.layout.run_summary.read_text(encoding="utf-8")),
            self._contents(),
            self.value("SELECT count(*) FROM ops.load_history"),
        )

    def run_seen(self) -> Run:
        """The same, with lineage in a file and, if it is installed, a Cloudflare to publish to."""
        publish = ("--publish", "local") if is_installed() else ()
        try:
            return self.run(
                *publish,
                OPENLINEAGE__TRANSPORT__TYPE="file",
                OPENLINEAGE__TRANSPORT__LOG_FILE_PATH=str(self.events),
                OPENLINEAGE__TRANSPORT__APPEND="true",
            )
        finally:
            self.local("down")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.layout.warehouse), read_only=True) as warehouse:
            return warehouse.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def _contents(self) -> Rows:
        """Rows and a hash that ignores their order, for every table of raw and marts."""
        tables = self.rows(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema IN ('raw', 'marts') ORDER BY 1"
        )
        return {
            table: self.rows(f"SELECT count(*), coalesce(bit_xor(hash(t)), 0) FROM {table} AS t")[0]
            for (table,) in tables
        }


@dataclass(frozen=True)
class Story:
    """The platform after its three runs, and what the simulator says that it injected."""

    platform: Platform
    expected: dict[str, Any]
    first: Run
    first_differences: list[str]
    later: Run
    last: Run


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    platform = Platform(tmp_path_factory.mktemp("platform"))
    sources = platform.layout.sources
    platform.simulate_sources("write", "--faults", "all", *FLEET)
    first = platform.run_seen()
    first_differences = differences(compute(sources), read_figures(platform.layout.warehouse))
    for phase in LATER:
        platform.simulate_sources("deliver", phase)
    return Story(
        platform=platform,
        expected=json.loads(platform.simulate("expect", "--api-faults", "all")),
        first=first,
        first_differences=first_differences,
        later=platform.run(),
        last=platform.run(),
    )


# One fixture makes three runs, which all tests share.
pytestmark = pytest.mark.timeout(3 * RUN_SECONDS)


def test_every_task_of_every_run_succeeds(story: Story) -> None:
    for run in (story.first, story.later, story.last):
        assert run.status == 0, run.output
        assert run.summary["succeeded"]


def test_broken_rows_are_in_quarantine_with_file_line_and_reason(story: Story) -> None:
    expected = {
        (fault["file"], fault["line"], fault["reason"])
        for name in ("broken_rows", "broken_file")
        for fault in story.expected["faults"][name]
        if fault["outcome"] == "quarantined"
    }
    found = story.platform.rows(
        "SELECT object_key, row_number, first_reason FROM ops.quarantine "
        "WHERE object_key NOT LIKE 'api/%'"
    )
    assert expected
    assert set(found) == expected


def test_broken_items_and_pages_of_the_api_are_in_quarantine(story: Story) -> None:
    faults = story.expected["faults"]
    lost_pages = {_page(fault) for fault in faults["malformed_page"]}
    expected = Counter(
        (fault["feed"], fault["reason"])
        for fault in faults["malformed_items"]
        if _page(fault) not in lost_pages
    ) + Counter((feed, "malformed_page") for feed, _ in lost_pages)
    assert set(expected) == {
        ("telemetry", "invalid_value"),
        ("telemetry", "missing_value"),
        ("telemetry", "malformed_page"),
        ("weather", "invalid_value"),
    }
    found = Counter(
        story.platform.rows(
            "SELECT CASE dataset WHEN 'weather' THEN 'weather' ELSE 'telemetry' END, first_reason "
            "FROM ops.quarantine WHERE object_key LIKE 'api/%'"
        )
    )
    assert found == expected


def _page(fault: dict[str, Any]) -> tuple[str, int]:
    """Feed and number of the page that an item was served on."""
    return fault["feed"], fault["position"] // PAGE_ITEMS


def test_every_row_read_is_loaded_quarantined_or_a_duplicate(story: Story) -> None:
    assert (
        story.platform.rows(
            "SELECT object_key FROM ops.load_history "
            "WHERE rows_read <> rows_conformed + rows_quarantined + rows_duplicate"
        )
        == []
    )
    assert (
        story.platform.value("SELECT sum(rows_duplicate) FROM ops.load_history WHERE is_current")
        == story.expected["duplicate_rows"]
    )


def test_the_raw_tables_hold_exactly_the_current_loads(story: Story) -> None:
    for dataset in ("sales", "replenishment", "machine_telemetry", "products"):
        assert (
            story.platform.rows(
                f"SELECT l.load_id FROM ops.load_history AS l LEFT JOIN raw.{dataset} AS r "
                f"ON r._load_id = l.load_id WHERE l.dataset = '{dataset}' "
                "GROUP BY l.load_id, l.is_current, l.rows_conformed "
                "HAVING count(r._load_id) <> "
                "CASE WHEN l.is_current THEN l.rows_conformed ELSE 0 END"
            )
            == []
        )


def test_the_marts_equal_the_oracle_after_the_faulty_delivery(story: Story) -> None:
    assert story.first_differences == []


def test_the_marts_equal_the_oracle_after_late_corrected_and_copied_files(story: Story) -> None:
    expected = compute(story.platform.layout.sources)
    assert expected.sales
    assert expected.stock_outs
    assert differences(expected, read_figures(story.platform.layout.warehouse)) == []


def test_a_corrected_file_retires_the_version_before_it(story: Story) -> None:
    corrected = {fault["file"] for fault in story.expected["faults"]["corrected_resend"]}
    retired = story.platform.rows(
        "SELECT DISTINCT object_key FROM ops.load_history WHERE NOT is_current"
    )
    assert {key for (key,) in retired} == corrected


def test_a_sale_of_a_machine_that_no_master_knows_is_kept(story: Story) -> None:
    assert (
        story.platform.value(
            "SELECT count(*) FROM marts.fct_sales JOIN marts.dim_machines USING (machine_key) "
            "WHERE is_inferred"
        )
        == 12
    )


def test_personal_fields_reach_neither_the_warehouse_nor_quarantine(story: Story) -> None:
    staff = (story.platform.layout.sources).rglob("staff.csv")
    lines = [line for file in staff for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    personal = {value for line in lines for value in line.split(",")[1:4]}
    assert personal
    kept = json.dumps(
        story.platform.rows("FROM raw.staff") + story.platform.rows("FROM ops.quarantine"),
        default=str,
        ensure_ascii=False,
    )
    assert [value for value in personal if value in kept] == []


def test_a_run_with_nothing_new_changes_no_row(story: Story) -> None:
    assert story.last.marts == story.later.marts
    assert story.last.loads == story.later.loads
    assert "othing new" in story.last.output


def test_a_column_in_d1_is_followed_back_to_the_raw_files(story: Story) -> None:
    require_installed()
    lineage = Lineage(story.platform.events)

    revenue = ("d1://marts", "fct_daily_machine_sales", "revenue")

    ((namespace, name, column),) = lineage.origins(revenue)
    assert (Path(name).name, column) == ("fleet.sales", "amount")
    loaded = story.platform.rows(
        "SELECT raw_location FROM ops.load_history WHERE source_contract = 'fleet.sales' "
        # Of the first run of the files; that of the APIs may have loaded before it.
        "AND run_id = (SELECT min_by(run_id, loaded_seq) FROM ops.load_history "
        "WHERE source_contract = 'fleet.sales')"
    )
    assert loaded
    assert lineage.files((namespace, name)) == {
        str(story.platform.layout.data / location) for (location,) in loaded
    }


def test_lineage_belongs_to_the_runs_of_airflow(story: Story) -> None:
    lineage = Lineage(story.platform.events)
    assert lineage.runs_above("ingest_files.conform") == {"ingest_files"}
    assert lineage.runs_above("transform.dbt_build") == {"transform"}
    model = "dbt_dev.marts.vending.fct_sales.build.run"
    assert lineage.runs_above(model) == {"transform.dbt_build"}


def test_the_tasks_that_follow_the_build_tell_no_lineage(story: Story) -> None:
    jobs = {event["job"]["name"] for event in Lineage(story.platform.events).events}
    assert {job.partition(".")[2] for job in jobs if job.startswith("transform.")} == {
        "dbt_build",
        "check_results",
        "publish_marts",
    }


def test_nothing_is_left_running(story: Story) -> None:
    assert not story.platform.is_running()
