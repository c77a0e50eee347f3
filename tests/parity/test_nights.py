"""A night of prod in a real Airflow: its gates, its override, its windows, and who hears of them.

One Airflow for all of them, with scheduler and triggerer, over an emulated S3 and Snowflake.
The pool that dbt needs has no slots, so a run that has passed its gates goes no further.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.airflow_api import DagRun
from include.bundle import bundle_checksum
from include.contracts import load_catalog
from include.lake import Lake, open_lake
from include.nights import INGEST_PARTS, Mark, Night, Part
from include.settings import Environment, Settings, load_settings
from include.transform.manifest import build_manifest
from include.transform.project import DbtProject
from include.warehouse import open_warehouse
from tests.drills.stack import Platform, platform, wait_until
from tests.parity.services import DATABASE, Cloud, running_cloud
from tests.services.aws import ACCESS_KEY, REGION, SECRET_KEY, Aws

# In `make test-full`: an Airflow of its own takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROD_BUCKET = "acme-vending-data-prod"
DAYS = (date(2026, 11, 18), date(2026, 11, 19))
DAGS = ("transform", "deliver_alerts")


@dataclass
class Prod:
    """An Airflow of prod, its lake and staging's, and the pager that listens to SNS."""

    airflow: Platform
    settings: Settings
    cloud: Cloud
    queue: str
    checksum: str
    lake: Lake = field(init=False)
    staging_lake: Lake = field(init=False)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.settings.staging_lake is not None
        self.lake = open_lake(self.settings.lake)
        self.staging_lake = open_lake(self.settings.staging_lake)

    def start(self, day: date, **conf: str) -> DagRun:
        return self.airflow.api.start("transform", conf, day.isoformat())

    def newest(self) -> DagRun:
        return self.airflow.api.runs(["transform"])[0]

    def wait_for(self, run: DagRun, task_id: str, state: str) -> None:
        wait_until(
            lambda: self.airflow.states(run).get(task_id) == state, f"{task_id} to be {state}"
        )

    def hear(self, run: DagRun, sentence: str) -> None:
        """Wait until the log of a task of the run says it."""
        wait_until(lambda: sentence in self.airflow.log(run), f"the log to say {sentence!r}")

    def load_file(self, number: int, day: date) -> None:
        """The ledger's row of a file of sales."""
        self.cloud.snowflake.execute(
            f"INSERT INTO {DATABASE}.ops.load_history (load_id, source, source_contract, dataset, "
            "contract_version, contract_fingerprint, object_key, size_bytes, checksum, etag, "
            "generation, landed_at, landed_on, business_date_from, business_date_to, rows_read, "
            "rows_conformed, rows_quarantined, rows_duplicate, is_current, loaded_seq, run_id, "
            f"loaded_at, raw_location) SELECT {number}, 'fleet', 'fleet.sales', 'sales', '1', 'f', "
            f"'sales_{number}.csv', 1, 'c', 'e', 0, '{day}', '{day}', '{day}', '{day}', 1, 1, 0, "
            f"0, TRUE, 1, 'r', '{day}', 'raw/{number}'"
        )

    def end_window(self, run: DagRun, minutes: int) -> None:
        """Let the time pass until the window of so many minutes is over."""
        path = self.airflow.layout.metadata_database
        with closing(sqlite3.connect(path, timeout=30)) as database, database:
            changed = database.execute(
                "UPDATE deadline SET deadline_time = ? WHERE rowid = (SELECT deadline.rowid "
                "FROM deadline JOIN dag_run ON dag_run.id = dagrun_id WHERE run_id = ? "
                "ORDER BY deadline_time LIMIT 1 OFFSET ?)",
                (str(datetime.now(UTC).replace(tzinfo=None)), run.run_id, minutes // 30 - 1),
            )
            assert changed.rowcount == 1

    def windows(self, run: DagRun) -> list[timedelta]:
        """How long after its start the parts of a run have to be done."""
        path = self.airflow.layout.metadata_database
        with closing(sqlite3.connect(path, timeout=30)) as database:
            rows = database.execute(
                "SELECT queued_at, deadline_time FROM deadline "
                "JOIN dag_run ON dag_run.id = dagrun_id WHERE run_id = ? ORDER BY 2",
                (run.run_id,),
            ).fetchall()
        moments = [tuple(map(datetime.fromisoformat, row)) for row in rows]
        return [deadline - queued for queued, deadline in moments]

    def events(self) -> list[str]:
        """What the triggerer has noted and nobody has told yet."""
        return [stored.key for stored in self.lake.list("monitoring/alerts/events")]

    def paged(self) -> bool:
        """Whether the pager was told that something is late; ``heard`` keeps all it was told."""
        answer = self.cloud.aws.client("sqs").receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10
        )
        messages = answer.get("Messages", ())
        self.heard += [json.loads(message["Body"])["Message"] for message in messages]
        return any("is late" in text for text in self.heard)


def look_again_soon(repository: Path) -> None:
    """Let the gates look every few seconds, instead of every minute."""
    path = repository / "include" / "transform" / "gates.py"
    text = path.read_text("utf-8")
    assert "LOOK_AGAIN = timedelta(minutes=1)" in text
    path.write_text(text.replace("timedelta(minutes=1)", "timedelta(seconds=5)"), "utf-8")


def listen(aws: Aws) -> tuple[str, str]:
    """A topic, and the queue that gets what is published to it."""
    topic = aws.client("sns").create_topic(Name="alerts")["TopicArn"]
    queue = aws.client("sqs").create_queue(QueueName="pager")["QueueUrl"]
    aws.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:pager"
    )
    return topic, queue


def variables_of_prod(cloud: Cloud, topic: str) -> dict[str, str]:
    return {
        **cloud.variables_of_prod,
        "VENDING_SNOWFLAKE_DATABASE": DATABASE,
        "VENDING_SNS_TOPIC_ARN": topic,
        "AWS_ENDPOINT_URL": cloud.aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prod]:
    folder = tmp_path_factory.mktemp("nights")
    build_manifest(DbtProject.of_target(Environment.PROD))
    with running_cloud(folder) as cloud, pytest.MonkeyPatch.context() as monkeypatch:
        cloud.aws.make_bucket(PROD_BUCKET)
        topic, queue = listen(cloud.aws)
        variables = variables_of_prod(cloud, topic)
        # No others: those of the caller are stronger than those of the stack's own `.env`.
        for name in variables:
            if name.startswith("AIRFLOW_CONN_"):
                monkeypatch.setenv(name, variables[name])
        settings = load_settings(variables)
        with open_warehouse(settings.warehouse, open_lake(settings.lake)) as warehouse:
            warehouse.ensure_schema(load_catalog().datasets)
        with platform(folder, monkeypatch, variables, DAGS, look_again_soon) as airflow:
            airflow.api.size_pool(0)
            yield Prod(airflow, settings, cloud, queue, bundle_checksum(folder / "repository"))


def test_a_run_of_the_schedule_knows_its_day_and_says_what_is_missing_of_it(prod: Prod) -> None:
    wait_until(lambda: prod.airflow.api.runs(["transform"]), "a run of the schedule")
    run = prod.newest()
    day, due = prod.airflow.api.day_of(run)

    assert run.run_id.startswith("scheduled__")
    assert date.fromisoformat(day) == datetime.fromisoformat(due).date() - timedelta(days=1)
    prod.hear(run, f"{day} is not complete: ingest_files has not ended; ingest_apis has not ended.")
    prod.hear(run, f"{day} is not complete: staging has not verified the day.")
    prod.airflow.api.fail(run)


def test_a_run_by_hand_gives_its_slots_back_until_its_day_is_complete(prod: Prod) -> None:
    before, day = DAYS
    prod.load_file(1, before)
    run = prod.start(day)
    prod.hear(run, f"{day} is not complete: ingest_files has not ended; ingest_apis has not ended.")
    prod.wait_for(run, "wait_for_ingest", "deferred")

    for part in INGEST_PARTS:
        Night(prod.lake, day).mark(part, Mark(run_id="ingest", at=datetime.now(UTC)))
    prod.hear(run, f"{day} is not complete: fleet.sales has no rows of the day.")
    prod.load_file(2, day)
    prod.wait_for(run, "wait_for_ingest", "success")


def test_it_waits_until_staging_has_verified_the_same_code(prod: Prod) -> None:
    run, night = prod.newest(), Night(prod.staging_lake, DAYS[-1])
    night.mark(Part.VERIFIED, Mark(run_id="s1", at=datetime.now(UTC), checksum="other"))
    prod.hear(run, "is not complete: staging has verified other code, in its run s1.")

    night.mark(Part.VERIFIED, Mark(run_id="s2", at=datetime.now(UTC), checksum=prod.checksum))
    prod.wait_for(run, "wait_for_staging", "success")
    prod.wait_for(run, "dbt_build", "scheduled")


def test_a_layer_whose_window_is_over_is_told_to_the_pager_and_no_other_is(prod: Prod) -> None:
    run = prod.newest()
    assert prod.windows(run) == [timedelta(minutes=minutes) for minutes in (30, 60, 90, 120)]

    prod.end_window(run, 30)
    wait_until(lambda: prod.events() or prod.paged(), "the triggerer to note it")
    prod.airflow.run("deliver_alerts")
    wait_until(prod.paged, "the pager")

    [message] = [text for text in prod.heard if text.startswith("transform is late in prod")]
    assert "The window of the staging layer is over, 30 minutes after the start" in message
    assert "'models.staging." in message
    assert "runbook docs/runbooks/transform.md" in message
    assert prod.events() == []


def test_an_override_passes_staging_and_is_recorded_with_who_and_why(prod: Prod) -> None:
    prod.airflow.api.fail(prod.newest())
    day = DAYS[0]
    run = prod.start(day, override_reason="the account of staging is closed")

    prod.wait_for(run, "wait_for_staging", "success")

    mark = Night(prod.lake, day).read(Part.OVERRIDE)
    assert mark is not None
    assert (mark.by, mark.reason) == ("admin", "the account of staging is closed")
    assert mark.run_id == run.run_id
