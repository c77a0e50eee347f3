"""# Publish to Cloudflare

Brings marts to Cloudflare: as tables of D1, as pairs of KV, and as Iceberg tables on R2. Only what
changed is written, and readers see the version before or the new one, never half of one.

- **Inputs**: the marts with `meta.publish` in their YAML, from the readers' copy of the warehouse,
  or from Snowflake.
- **Outputs**: their tables in D1 and the table `publications`; their pairs in KV and the key
  `pipeline/state`; a snapshot of their Iceberg tables; sites of Pages; what was published last,
  below `published/` in the lake.
- **Schedule**: when every published mart has a new event, so after each run of `transform`. By hand
  where `VENDING_CLOUDFLARE_CONNECTION` is not set.
- **Parameter** `roll_back`: a mart whose pairs in KV go back to the version before. They stay there
  until the mart's rows change.
- **Owner**: data-platform.

## Tasks

One for each mart and sink, such as `d1.fct_machine_health`, in the pool `cloudflare`, of which each
slot owns a quarter of Cloudflare's 1,200 requests in five minutes. Each logs one sentence: what it
found, sent and deleted. Tasks of Iceberg are skipped where the connection names no catalog.
`pages.<project>` deploys a folder of `include/publish/sites.yaml`, if it has changed.
`publish_state` writes which versions are published now.

## When it fails

- *There is no Airflow connection*, *wrong in ...*: set it up as docs/cloudflare.md says.
- *Cloudflare answered 403*: the token lacks a permission that docs/cloudflare.md lists.
- *Cloudflare answered 429* after seven minutes of waiting: something else uses the account's
  requests; clear the task later.
- *The Iceberg catalog would not ...*: see docs/runbooks/publish_cloudflare.md.
- *failed while reading the mart*: Snowflake refused; the sentence says what to do.
- *two rows of the key*, *would not get exactly*: mend the mart or its `meta.publish`.
- *The D1 database holds ...* (a warning): see docs/runbooks/publish_cloudflare.md.

## Rerun safety

Any task, or the whole DAG, may be killed, cleared and run again at any time. Until a task commits,
readers see the version before; a task that finds its version published writes nothing.
"""

from airflow.sdk import Param, dag

from include.dag_defaults import Impact, Layer, dag_arguments, leave_params_to_dag
from include.publish.tasks import (
    deploy_sites_to_pages,
    publish_marts_to_sinks,
    publish_schedule,
    publish_state,
)
from include.settings import current_settings

settings = current_settings()


@dag(
    dag_id="publish_cloudflare",
    schedule=publish_schedule(settings),
    params={"roll_back": Param("", type="string", title="Mart whose KV goes a version back")},
    doc_md=__doc__,
    **dag_arguments(layer=Layer.PUBLISH, impact=Impact.MEDIUM),
)
def publish_cloudflare() -> None:
    publish_state(publish_marts_to_sinks(settings), deploy_sites_to_pages(settings))


leave_params_to_dag(publish_cloudflare())
