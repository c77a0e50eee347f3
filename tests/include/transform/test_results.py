"""What dbt ran, compared with what it should have run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.lake import DiskLake
from include.transform.artifacts import NodeResult, RunArtifacts
from include.transform.manifest import Manifest
from include.transform.results import (
    NodesNotPassed,
    failure_details,
    require_all_passed,
)

MODEL, TEST, OTHER = "model.v.fct_sales", "test.v.unique_fct_sales.1a", "model.v.fct_other"


def node(unique_id: str) -> dict[str, object]:
    kind, package, name = unique_id.split(".")[:3]
    return {
        "name": name,
        "resource_type": kind,
        "fqn": [package, "marts", name],
        "config": {"materialized": "table" if kind == "model" else kind},
        "depends_on": {"nodes": [MODEL] if kind == "test" else []},
    }


MANIFEST = Manifest({"nodes": {i: node(i) for i in (MODEL, TEST, OTHER)}, "parent_map": {}})


def results(**statuses: str) -> dict[str, NodeResult]:
    ids = {"model": MODEL, "test": TEST, "other": OTHER}
    return {ids[n]: NodeResult(ids[n], status, "", None) for n, status in statuses.items()}


def test_all_nodes_passed() -> None:
    sentence = require_all_passed(
        MANIFEST, None, results(model="success", test="warn", other="success")
    )
    assert sentence == "All 3 selected dbt nodes ran and passed."


def test_a_failing_test_is_named_with_its_rows() -> None:
    found = results(model="success", other="success")
    found[TEST] = NodeResult(TEST, "fail", "Got 3 results, configured to fail if != 0", 3)
    with pytest.raises(NodesNotPassed, match=r"1 of 3 .*test unique_fct_sales \(3 rows\)\.$"):
        require_all_passed(MANIFEST, None, found)


def test_a_failing_model_is_named_with_its_message() -> None:
    found = results(test="skipped", other="success")
    found[MODEL] = NodeResult(MODEL, "error", "Runtime Error\n  division by zero", None)
    with pytest.raises(NodesNotPassed) as error:
        require_all_passed(MANIFEST, None, found)
    assert str(error.value) == (
        "2 of 3 dbt nodes did not pass: failed: model fct_sales (Runtime Error division by zero); "
        "1 behind them were passed over."
    )


def test_a_node_that_never_ran_is_not_passed() -> None:
    with pytest.raises(NodesNotPassed, match="never ran: model fct_other"):
        require_all_passed(MANIFEST, None, results(model="success", test="pass"))


def test_what_was_not_selected_need_not_run() -> None:
    assert "All 1 selected" in require_all_passed(MANIFEST, [MODEL], results(model="success"))


def test_many_failures_are_counted_and_the_first_named() -> None:
    ids = [f"model.v.m{number}" for number in range(9)]
    manifest = Manifest({"nodes": {i: node(i) for i in ids}, "parent_map": {}})
    with pytest.raises(NodesNotPassed, match=r"model m0, .* and 4 more"):
        require_all_passed(manifest, None, {})


@given(
    st.dictionaries(
        st.sampled_from([MODEL, TEST, OTHER]),
        st.sampled_from(["success", "pass", "warn", "fail", "error", "skipped", "unheard of"]),
    )
)
def test_nothing_but_passed_nodes_passes(statuses: dict[str, str]) -> None:
    found = {i: NodeResult(i, status, "", None) for i, status in statuses.items()}
    good = len(found) == 3 and all(s in {"success", "pass", "warn"} for s in statuses.values())
    if good:
        require_all_passed(MANIFEST, None, found)
    else:
        with pytest.raises(NodesNotPassed):
            require_all_passed(MANIFEST, None, found)


def dbt_left(folder: Path, at: str, **statuses: str) -> Path:
    """A target folder as a dbt command leaves it."""
    folder.mkdir(parents=True)
    rows = [
        {"unique_id": i, "status": r.status, "message": r.message, "failures": r.failures}
        for i, r in results(**statuses).items()
    ]
    document = {"metadata": {"generated_at": at}, "results": rows}
    (folder / "run_results.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def artifacts(tmp_path: Path) -> RunArtifacts:
    return RunArtifacts(DiskLake(tmp_path / "lake"), "manual__2026-11-20T03:00:00+00:00")


def test_the_last_result_of_a_node_counts(artifacts: RunArtifacts, tmp_path: Path) -> None:
    build = dbt_left(tmp_path / "1", "2026-11-20T03:00:00Z", model="error", test="skipped")
    alone = dbt_left(tmp_path / "2", "2026-11-20T03:01:00Z", model="success")
    artifacts.store("fct_sales.run", 2, alone)
    artifacts.store("dbt_build", 1, build)
    statuses = {i: result.status for i, result in artifacts.latest_results().items()}
    assert statuses == {MODEL: "success", TEST: "skipped"}


def test_a_node_that_a_later_build_passed_over_keeps_the_result_it_has(
    artifacts: RunArtifacts, tmp_path: Path
) -> None:
    artifacts.store("dbt_build", 1, dbt_left(tmp_path / "1", "2026-11-20T03:00:00Z", model="error"))
    artifacts.store(
        "dbt_build", 2, dbt_left(tmp_path / "2", "2026-11-20T03:01:00Z", model="skipped")
    )
    assert artifacts.latest_results()[MODEL].status == "error"


def test_a_command_that_was_killed_leaves_no_results(
    artifacts: RunArtifacts, tmp_path: Path
) -> None:
    artifacts.store("dbt_build", 1, tmp_path)
    assert artifacts.latest_results() == {}


def test_the_summary_is_kept_with_its_manifest_and_is_no_result_of_its_own(
    artifacts: RunArtifacts, tmp_path: Path
) -> None:
    manifest = tmp_path / "dev.json"
    manifest.write_text("{}")
    artifacts.store(
        "dbt_build", 1, dbt_left(tmp_path / "1", "2026-11-20T03:00:00Z", model="success")
    )
    artifacts.store_summary(manifest)
    artifacts.store_summary(manifest)
    keys = {stored.key for stored in artifacts.lake.list("dbt-artifacts")}
    run = "dbt-artifacts/manual__2026-11-20T03_00_00+00_00"
    assert {key for key in keys if key.startswith(run)} == {
        f"{run}/dbt_build-1/run_results.json",
        f"{run}/manifest.sha256",
        f"{run}/run_results.json",
    }
    digest = artifacts.lake.read_bytes(f"{run}/manifest.sha256").decode()
    assert artifacts.lake.read_bytes(f"dbt-artifacts/manifests/{digest}.json") == b"{}"
    assert list(artifacts.latest_results()) == [MODEL]


def test_a_failed_test_comes_with_its_rows_and_the_place_of_its_sql(tmp_path: Path) -> None:
    result = NodeResult(TEST, "fail", "", 2, statement="select 1 as amount")
    compiled = RunArtifacts(DiskLake(tmp_path), "run:1").store_compiled([result])
    (detail,) = failure_details([TEST, OTHER], {TEST: '[{"amount": "1"}]'}, compiled)
    place = f"dbt-artifacts/run_1/compiled/{TEST}.sql"
    assert detail == f'unique_fct_sales: SQL {place}, rows [{{"amount": "1"}}]'
    assert (tmp_path / place).read_text() == "select 1 as amount"
