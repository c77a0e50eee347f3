"""The tasks of the DAGs `publish_cloudflare` and `maintain_cloudflare`, made from the manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup, TriggerRule, XComArg, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from include.alerts.callbacks import on_run_success
from include.assets import EveryAsset, mart_assets
from include.cloudflare.limiter import POOL
from include.publish.sinks import Sink
from include.publish.sites import load_sites
from include.settings import Environment, Settings, current_settings
from include.transform.layout import load_layout

if TYPE_CHECKING:
    from include.publish.outcome import Outcome
    from include.publish.services import Services

log = logging.getLogger(__name__)

ROLL_BACK = "roll_back"
# After the day's ingest and transform, when nothing else publishes. UTC.
MAINTENANCE = "30 9 * * *"


def publish_schedule(settings: Settings) -> EveryAsset | None:
    """A new event of every published mart, or by hand where no connection is configured.

    Whether the connection exists is the tasks' to find out: nothing of it is read while a DAG file
    is parsed.
    """
    layout = load_layout(settings.dbt_manifest_path)
    names = {table.name for table in layout.published}
    if settings.cloudflare_connection_id is None or not names:
        return None
    return EveryAsset(*mart_assets(name for name in layout.marts if name in names))


def maintenance_schedule(settings: Settings) -> str | None:
    """Daily where something is published, but by hand on a laptop, which is up now and then."""
    is_laptop = settings.environment is Environment.DEV
    return None if settings.cloudflare_connection_id is None or is_laptop else MAINTENANCE


def publish_marts_to_sinks(settings: Settings) -> list[XComArg]:
    """A task for each mart and sink, in a group for each sink; each gives an outcome's fields."""
    publish = {Sink.D1: publish_d1, Sink.KV: publish_kv, Sink.ICEBERG: publish_iceberg}
    return _for_each(settings, lambda mart, sink: publish[sink].override(task_id=mart)(mart=mart))


def deploy_sites_to_pages(settings: Settings) -> list[XComArg]:
    """A task for each site of sites.yaml; each gives the fields of its deployment."""
    projects = sorted(load_sites())
    if not projects:
        return []
    with TaskGroup("pages"):
        return [deploy_site.override(task_id=project)(project=project) for project in projects]


def verify_marts_at_sinks(settings: Settings) -> list[XComArg]:
    """A task for each mart and sink that holds the edge to the mart."""
    verify = {Sink.D1: verify_d1, Sink.KV: verify_kv, Sink.ICEBERG: verify_iceberg}
    return _for_each(
        settings, lambda mart, sink: verify[sink].override(task_id=f"verify_{mart}")(mart=mart)
    )


def maintain_iceberg_tables(settings: Settings) -> list[XComArg]:
    """For each mart with an Iceberg table, a task that compacts it and one that expires it."""
    marts = _published_to(settings, Sink.ICEBERG)
    if not marts:
        return []
    with TaskGroup("iceberg_tables"):
        return [
            expire_iceberg.override(task_id=f"expire_{mart}")(
                compact_iceberg.override(task_id=f"compact_{mart}")(mart)
            )
            for mart in marts
        ]


@task(pool=POOL)
def publish_d1(mart: str) -> dict[str, Any]:
    """Bring the mart's table in D1 to its rows."""
    from include.publish.services import open_services

    with open_services(current_settings()) as services:
        outcome = services.d1_sink(services.mart(mart)).publish()
        return _told(services, outcome)


@task(pool=POOL)
def publish_kv(mart: str) -> dict[str, Any]:
    """Bring the mart's pairs in KV to its rows, or back to the version before."""
    from include.publish.kv import roll_back
    from include.publish.services import open_services

    with open_services(current_settings()) as services:
        if get_current_context()["params"][ROLL_BACK] == mart:
            version = roll_back(services.kv(), mart)
            log.warning("%s on kv is rolled back to version %s.", mart, version.version)
            fields = {"mart": mart, "sink": Sink.KV.value}
            return fields | {"version": version.version, "rows": version.rows}
        outcome = services.kv_sink(services.mart(mart)).publish()
        return _told(services, outcome)


@task(pool=POOL)
def publish_iceberg(mart: str) -> dict[str, Any]:
    """Bring the mart's Iceberg table to its rows, as one snapshot."""
    from include.publish.services import open_services

    with open_services(current_settings()) as services:
        _skip_without_catalog(services)
        outcome = services.iceberg_sink(services.mart(mart)).publish()
        return _told(services, outcome)


@task(pool=POOL)
def deploy_site(project: str) -> dict[str, Any]:
    """Bring a Pages project to its folder."""
    from include.publish.services import open_pages_sink

    with open_pages_sink(current_settings(), project) as sink:
        deployment, is_new = sink.publish()
    how = "is deployed" if is_new else "has not changed"
    log.info("The site %s %s: %d files, %s.", project, how, deployment.files, deployment.url)
    return deployment.model_dump()


# Tasks of Iceberg are skipped where there is no catalog, and have no outcome.
@task(pool=POOL, on_success_callback=on_run_success, trigger_rule=TriggerRule.NONE_FAILED)
def publish_state(outcomes: list[dict[str, Any] | None], sites: list[dict[str, Any]]) -> None:
    """Write the pipeline's state to the lake and to its own key of KV, and show it."""
    from include.publish.services import open_services
    from include.publish.state import keep_state, pipeline_state, show_state, write_state

    settings = current_settings()
    told = [outcome for outcome in outcomes if outcome is not None]
    state = pipeline_state(get_current_context()["run_id"], told, sites)
    with open_services(settings) as services:
        keep_state(services.lake, state)
        if services.access.kv_namespace_id is not None:
            write_state(services.kv(), state)
    show_state(settings, state)


@task(pool=POOL)
def check_limits() -> None:
    """Warn of services that are near what they may hold."""
    from include.publish.maintenance import warn_of_growth
    from include.publish.services import open_services

    with open_services(current_settings()) as services:
        warn_of_growth(services)


@task(pool=POOL)
def verify_d1(mart: str) -> None:
    """Fail unless the mart's table in D1 holds exactly its rows."""
    from include.publish.services import open_services
    from include.publish.verify import verify_d1_table

    with open_services(current_settings()) as services:
        log.info("%s", verify_d1_table(services.reader, services.mart(mart), services.d1()))


@task(pool=POOL)
def verify_kv(mart: str) -> None:
    """Fail unless every pair of the mart's version is in KV."""
    from include.publish.services import open_services
    from include.publish.verify import verify_kv_pairs

    with open_services(current_settings()) as services:
        sink = services.kv_sink(services.mart(mart))
        log.info("%s", verify_kv_pairs(sink, services.mart(mart), services.kv()))


@task(pool=POOL)
def verify_iceberg(mart: str) -> None:
    """Fail unless the mart's Iceberg table holds exactly its rows."""
    from include.publish.services import open_services
    from include.publish.verify_iceberg import verify_iceberg_table

    with open_services(current_settings()) as services:
        _skip_without_catalog(services)
        published = services.mart(mart)
        table = services.iceberg_table(published)
        log.info("%s", verify_iceberg_table(services.reader, published, table))


@task(pool=POOL)
def compact_iceberg(mart: str) -> str:
    """Write the small files of the mart's Iceberg table as large ones; returns the mart."""
    from include.publish.iceberg_maintenance import compact
    from include.publish.services import open_services

    with open_services(current_settings()) as services:
        _skip_without_catalog(services)
        compact(services.iceberg_table(services.mart(mart)))
    return mart


@task(pool=POOL)
def expire_iceberg(mart: str) -> None:
    """Forget old snapshots of the mart's Iceberg table, and delete files that no snapshot names."""
    from include.publish.iceberg_maintenance import delete_lost_files, expire
    from include.publish.services import open_services

    now = datetime.now(UTC)
    with open_services(current_settings()) as services:
        table = services.iceberg_table(services.mart(mart))
        expire(table, now)
        delete_lost_files(table, now)


@task(pool=POOL, on_success_callback=on_run_success, trigger_rule=TriggerRule.NONE_FAILED)
def sweep() -> None:
    """Drop what killed publishers left, and name what is no longer published."""
    from include.publish.maintenance import name_withdrawn_from_iceberg, sweep_d1
    from include.publish.services import open_services

    with open_services(current_settings()) as services:
        if services.access.d1_database_id is not None:
            sweep_d1(services)
        if services.access.iceberg is not None:
            name_withdrawn_from_iceberg(services)


def _told(services: Services, outcome: Outcome) -> dict[str, Any]:
    from include.lineage.telling import tell_published
    from include.metrics import count_published

    log.info("%s", outcome)
    count_published(outcome)
    mart, target = services.mart(outcome.mart), services.target(outcome.sink)
    tell_published(get_current_context()["ti"], mart, outcome, target)
    return outcome.fields()


def _skip_without_catalog(services: Services) -> None:
    if services.access.iceberg is None:
        raise AirflowSkipException(
            "The Cloudflare connection names no Iceberg catalog; docs/cloudflare.md says how."
        )


def _for_each(settings: Settings, make: Callable[[str, Sink], XComArg]) -> list[XComArg]:
    made = []
    for sink in Sink:
        marts = _published_to(settings, sink)
        if marts:
            with TaskGroup(sink.value):
                made += [make(mart, sink) for mart in marts]
    return made


def _published_to(settings: Settings, sink: Sink) -> list[str]:
    layout = load_layout(settings.dbt_manifest_path)
    return [table.name for table in layout.published if sink in table.sinks]
