"""# Maintain Cloudflare

Holds what lies at Cloudflare to the marts, looks at limits, and removes what killed publishers
left.

- **Inputs**: the published marts; D1, KV and Iceberg.
- **Outputs**: its verdict; Iceberg tables of fewer files and snapshots; tables of unfinished
  publications are dropped from D1.
- **Schedule**: daily at 09:30 UTC in staging and prod where `VENDING_CLOUDFLARE_CONNECTION` is set,
  else by hand.
- **Owner**: data-platform.

## Tasks

`check_limits` logs the size of the D1 database, as a warning from 80 % of its limit on. For each
mart and sink, `verify_<mart>` reads back what was published: D1 row by row, KV by the names of its
pairs, which are made from their content, Iceberg row by row. `compact_<mart>` writes small files of
a partition as one, `expire_<mart>` forgets snapshots older than 7 days and deletes files that no
snapshot names. `sweep` drops tables of D1 that belong to no version, and names what is in D1 or an
Iceberg table and no longer published.

## When it fails

- *lacks ... rows of the mart*: run `publish_cloudflare`. If it was run and the difference stays,
  somebody wrote to the database: do what the message says, and rotate the token.
- *was published while it was verified*: clear the task.
- *is not the mart's present version*: `publish_cloudflare` has failed or not run since `transform`.

## Rerun safety

Any task may be killed and run again at any time. `sweep` changes only what no publisher works on;
compaction is a commit that keeps every row, and loses to a publisher that commits first.
"""

from airflow.sdk import dag

from include.dag_defaults import Impact, Layer, dag_arguments
from include.publish.tasks import (
    check_limits,
    maintain_iceberg_tables,
    maintenance_schedule,
    sweep,
    verify_marts_at_sinks,
)
from include.settings import current_settings

settings = current_settings()


@dag(
    dag_id="maintain_cloudflare",
    schedule=maintenance_schedule(settings),
    doc_md=__doc__,
    **dag_arguments(layer=Layer.PUBLISH, impact=Impact.LOW),
)
def maintain_cloudflare() -> None:
    checks = [check_limits(), *verify_marts_at_sinks(settings)]
    [*checks, *maintain_iceberg_tables(settings)] >> sweep()


maintain_cloudflare()
