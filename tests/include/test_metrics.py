"""The pipeline's metrics, as a StatsD on loopback gets them by Airflow's configuration."""

from __future__ import annotations

import re
import socket
from collections import Counter as Sums
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow.sdk.observability.metrics import stats_utils
from airflow.sdk.observability.stats import Stats

from include import metrics
from include.ingest import steps
from include.ingest.runs import IngestRun
from include.lake import DiskLake
from include.metrics import Counter, Timer
from include.publish.outcome import Outcome
from include.publish.spec import Sink
from include.settings import load_settings
from include.transform.artifacts import NodeResult
from tests.include.ingest.running import products

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"

Received = Callable[[], "Sums[str]"]


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    """What has been received so far, added up by name and kind."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.getsockname()[1]))
        Stats.initialize(factory=stats_utils.get_stats_factory(Stats))
        yield lambda: _received(server)
    monkeypatch.undo()
    Stats.initialize(factory=stats_utils.get_stats_factory(Stats))


def _received(server: socket.socket) -> Sums[str]:
    sums: Sums[str] = Sums()
    while True:
        try:
            packet = server.recv(65_536).decode()
        except BlockingIOError:
            return sums
        for line in packet.splitlines():
            name, value, kind = re.fullmatch(r"airflow\.(.+):([\d.]+)\|(c|ms)", line).groups()
            sums[f"{name} {kind}"] += float(value)


def documented() -> set[tuple[str, str]]:
    rows = re.findall(r"^\| `(vending\.\w+)` \| (\w+) \|", DOCUMENT.read_text("utf-8"), re.M)
    return set(rows)


def test_the_documented_names_are_those_of_the_code() -> None:
    counters = {(counter.value, "counter") for counter in Counter}
    assert documented() == counters | {(timer.value, "timer") for timer in Timer}


def test_every_metric_reaches_a_statsd(statsd: Received, tmp_path: Path) -> None:
    settings = load_settings({"VENDING_DATA_DIR": str(tmp_path)})
    lake = DiskLake(tmp_path)
    content = products("Cola", "Tea") + b"P9,Tea,cheap,JPY\n"
    lake.write_bytes("sources/products.csv", content)
    run = IngestRun(lake, "ingest_files", "run")

    for group in steps.discover_files(run, settings):
        metrics.count_conformed(steps.conform(run, settings, group))
    report = steps.load(run, settings)
    assert report is not None
    metrics.count_loaded(report)
    metrics.time_models([_result("model.vending.fct_sales", 1.5), _result("test.vending.a", 9.0)])
    metrics.count_published(Outcome("fct_sales", Sink.D1, "v", 5, "changed", 3, 2, 11))

    assert statsd() == {
        "vending.files_conformed c": 1,
        "vending.bytes_read c": len(content),
        "vending.rows_read c": 3,
        "vending.rows_conformed c": 2,
        "vending.rows_quarantined c": 1,
        "vending.rows_duplicate c": 0,
        "vending.rows_loaded c": 2,
        "vending.rows_retired c": 0,
        "vending.model_duration ms": 1500,
        "vending.rows_sent c": 3,
        "vending.rows_deleted c": 2,
        "vending.writes c": 11,
    }


def test_without_a_configuration_nothing_is_sent() -> None:
    Stats.initialize(factory=stats_utils.get_stats_factory(Stats))
    metrics.count_published(Outcome("fct_sales", Sink.D1, "v", 5, "changed", 3, 2, 11))
    assert type(Stats.instance).__name__ == "NoStatsLogger"


def _result(unique_id: str, seconds: float) -> NodeResult:
    return NodeResult(unique_id, "success", "", None, seconds=seconds)
