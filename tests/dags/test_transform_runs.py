"""The DAG `transform` in a real Airflow: what fails, what is retried, what is published."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dags.platform import Platform, running_platform, wait_until

# One Airflow for all of them, so all in the same process where tests run in several.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("transform")]

STAGING, INTERMEDIATE, MARTS = "models.staging", "models.intermediate", "models.marts"
GATE = "gates.relationships_fct_sales_product_id__product_id__ref_dim_products_"
LOCK_ERROR = "Could not set lock"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        running_platform(tmp_path_factory.mktemp("platform"), monkeypatch) as platform,
    ):
        yield platform


@pytest.fixture
def platform(airflow: Platform) -> Iterator[Platform]:
    airflow.mend()
    yield airflow
    airflow.mend()


def test_a_healthy_run_passes_every_node_and_publishes_the_marts(platform: Platform) -> None:
    events = platform.asset_events()
    run = platform.transform()
    assert run.state == "success"
    assert set(platform.states(run).values()) == {"success"}
    assert set(platform.tries(run).values()) <= {0, 1}
    assert platform.query("select count(*), sum(amount) from marts.fct_sales") == [(100, 150)]
    assert platform.asset_events() - events == {
        "marts.dim_products": 1,
        "marts.fct_prices": 1,
        "marts.fct_product_sales": 1,
        "marts.fct_sales": 1,
    }
    assert LOCK_ERROR not in platform.all_logs(run)


def test_each_task_has_its_own_part_of_dbts_log(platform: Platform) -> None:
    run = platform.transform()
    log = platform.log(run, f"{MARTS}.fct_sales_run")
    assert "OK created sql table model marts.fct_sales" in log
    assert "dim_products" not in log
    assert "PASS unique_int_sales_sale_id" in platform.log(run, f"{INTERMEDIATE}.int_sales.test")


def test_a_failing_test_stops_its_branch_and_no_other(platform: Platform) -> None:
    before = len(platform.alerts())
    platform.execute("insert into raw.sales values (0, 1, 9), (1, 1, 9)")
    run = platform.transform()
    states = platform.states(run)
    assert run.state == "failed"
    assert states[f"{STAGING}.raw_sales.test"] == "failed"
    for behind in (
        f"{STAGING}.stg_sales.run",
        f"{INTERMEDIATE}.int_sales.run",
        f"{MARTS}.fct_product_sales.run",
        GATE,
        "publish_marts",
    ):
        assert states[behind] == "upstream_failed"
    assert states[f"{MARTS}.fct_prices_run"] == "success"
    (alert,) = platform.alerts()[before:]
    assert "test source_unique_raw_sales_sale_id (2 rows)" in alert


def test_nothing_runs_behind_a_gate_that_failed(platform: Platform) -> None:
    platform.execute("insert into raw.sales values (1000, 99, 1)")
    run = platform.transform()
    states = platform.states(run)
    assert states[GATE] == "failed"
    assert states[f"{MARTS}.fct_sales_run"] == "success"
    assert states[f"{MARTS}.fct_product_sales.run"] == "upstream_failed"


def test_a_mended_model_is_cleared_alone(platform: Platform) -> None:
    platform.execute("insert into raw.faults values ('broken_model', null)")
    run = platform.transform()
    assert run.state == "failed"
    assert "broken on purpose" in platform.log(run, f"{MARTS}.fct_prices_run")
    tries = platform.tries(run)

    platform.mend()
    run = platform.clear(run, f"{MARTS}.fct_prices_run", downstream=True)
    assert run.state == "success"
    assert platform.query("select count(*) from marts.fct_prices") == [(10,)]
    cleared = {f"{MARTS}.fct_prices_run", "check_results", "publish_marts"}
    again = {task for task, count in platform.tries(run).items() if count > tries[task]}
    assert again == cleared


def test_a_model_that_passed_runs_again_when_it_is_cleared(platform: Platform) -> None:
    run = platform.transform()
    platform.execute("insert into raw.products values (10, 'product 10')")
    run = platform.clear(run, f"{MARTS}.dim_products.run", downstream=True)
    assert run.state == "success"
    assert platform.query("select count(*) from marts.fct_prices") == [(11,)]
    assert LOCK_ERROR not in platform.all_logs(run)


def test_a_whole_run_that_is_cleared_builds_once(platform: Platform) -> None:
    run = platform.transform()
    run = platform.clear(run)
    assert run.state == "success"
    logs = platform.all_logs(run)
    assert "alone" not in logs
    assert set(platform.tries(run).values()) <= {0, 1, 2}


def test_a_killed_build_is_built_again_and_nobody_sees_a_lock(platform: Platform) -> None:
    platform.execute("insert into raw.faults values ('slow', 60000)")
    run = platform.start()
    platform.kill(run, "dbt_build")
    run = platform.finish(run)
    assert run.state == "success"
    assert set(platform.states(run).values()) == {"success"}
    assert platform.tries(run)["dbt_build"] == 2
    assert LOCK_ERROR not in platform.all_logs(run)
    assert platform.query("select count(*) from marts.fct_sales") == [(100,)]


def test_a_selection_builds_only_its_part(platform: Platform) -> None:
    platform.transform()
    run = platform.transform(select="int_sales+")
    states = platform.states(run)
    assert run.state == "success"
    assert states[f"{INTERMEDIATE}.int_sales.run"] == "success"
    assert states[f"{MARTS}.fct_product_sales.run"] == "success"
    assert states[f"{STAGING}.stg_sales.run"] == "skipped"
    assert states[f"{MARTS}.fct_prices_run"] == "skipped"
    assert states["publish_marts"] == "success"


def test_a_selection_that_names_nothing_fails_at_once_with_a_sentence(platform: Platform) -> None:
    before = len(platform.alerts())
    run = platform.transform(select="no_such_model")
    assert run.state == "failed"
    assert platform.tries(run)["dbt_build"] == 1
    states = {state for task, state in platform.states(run).items() if task.startswith("models.")}
    assert states <= {"success", "failed", "upstream_failed"}
    assert "alone" not in platform.all_logs(run)
    (alert,) = platform.alerts()[before:]
    assert "The selection names no dbt node" in alert


def test_tasks_that_wait_leave_their_slots_to_a_build_that_has_none(platform: Platform) -> None:
    with platform.pool_of_the_warehouse_taken():
        run = platform.start()
        wait_until(
            lambda: "up_for_reschedule" in platform.states(run).values(), "a task to leave its slot"
        )
        assert platform.states(run)["dbt_build"] == "scheduled"
    assert platform.finish(run).state == "success"
