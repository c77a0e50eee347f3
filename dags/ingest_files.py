"""# Ingest files

Finds the files that vendors delivered and the warehouse does not have yet, keeps them in raw as
they came, conforms them to their contracts and loads them.

- **Inputs**: every file below `sources/` in the lake that a source contract matches by name.
- **Outputs**: the raw tables fed by files, `ops.load_history`, `ops.quarantine`; an event of each
  of those tables' assets, also when nothing was new. Together with `ingest_apis` it starts
  `transform`.
- **Schedule**: by hand in dev; daily in staging and prod.
- **Owner**: data-platform.

## Tasks

In staging and prod `wait_for_deployment` comes first: it waits while the code is being copied to
its worker, and says which package or connection is missing. `discover_files` compares the listing
with the ledger and plans batches. `conform` (one task for each large batch, one for all small ones)
copies files to raw and writes typed Parquet and quarantine. `load` publishes each batch in one
transaction. `verify` checks that rows read = conformed + quarantined + duplicates, for every file
and against the tables, and emits the assets.

## When it fails

Every failure is one sentence in the task's log that says what to do. Then clear the failed task.

- `wait_for_deployment`: see `check_deployment`, which asks the same.
- `conform`: a file could not be read, or its contract is wrong. The other files of its batch and
  the other batches are loaded all the same; `verify` does not run, so `transform` waits.
- `load`: the database is in use, damaged, or the disk is full. A batch is loaded whole or not at
  all.
- `verify`: rows are missing or too many. Nothing repairs this by itself: stop and find out why.
- Warnings of `discover_files` name files that were not read: unknown to every contract, refused for
  their name, waiting for their marker. They name loaded files that were removed as well.
- `verify` tells what it noticed in a run that succeeds: columns that drifted, names refused.

## Rerun safety

Any task, or the whole DAG, may be killed and run again at any time. A version that is in the ledger
is not loaded twice, and a corrected file replaces exactly its own rows.
"""

from airflow.sdk import dag

from include.assets import FILE_ASSETS
from include.dag_defaults import Layer, begin_when_deployed, dag_arguments
from include.ingest.tasks import conform, discover_files, load, verify
from include.schedules import INGEST_WINDOWS, deadlines, ingest_schedule


@dag(
    dag_id="ingest_files",
    schedule=ingest_schedule(),
    deadline=deadlines("ingest_files", INGEST_WINDOWS),
    doc_md=__doc__,
    **dag_arguments(layer=Layer.INGEST),
)
def ingest_files() -> None:
    discovered = discover_files()
    conformed = conform.expand(batches=discovered)
    loaded = load()
    verified = verify.override(outlets=list(FILE_ASSETS))()
    begin_when_deployed(discovered)
    conformed >> loaded
    [conformed, loaded] >> verified


ingest_files()
