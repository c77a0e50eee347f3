"""# Ingest APIs

Pages through the vendors' APIs, keeps every page in raw as it came, conforms the pages to their
contracts and loads them.

- **Inputs**: the APIs that source contracts name, reached through their Airflow connections
  (`fleet_api`, `weather_api`: host, port, and the token as password). An API whose connection does
  not exist is skipped.
- **Outputs**: the raw tables fed by APIs, `ops.load_history`, `ops.quarantine`; an event of each of
  those tables' assets, also when nothing was new. Together with `ingest_files` it starts
  `transform`.
- **Schedule**: by hand in dev; daily in staging and prod.
- **Owner**: data-platform.

## Tasks

`fetch` (one task for each API) lands pages from where the last one ended. `discover_pages` compares
the pages in raw with the ledger, so pages of a fetch that failed half-way are loaded too. The rest
is as in `ingest_files`.

## When it fails

Every failure is one sentence in the task's log that says what to do. Then clear the failed task.

- `fetch`: the token was refused, the API kept failing, or it pages in a circle. The pages before
  are kept, and the other API is not held back; `verify` does not run, so `transform` waits.
- A body that is no page is kept and quarantined as `malformed_page`; the fetch goes on after it.
- `wait_for_deployment`, `conform`, `load`, `verify`: as in `ingest_files`.

## Rerun safety

Any task, or the whole DAG, may be killed and run again at any time. A page that landed is not
fetched again, and a page that is in the ledger is not loaded twice.
"""

from airflow.sdk import dag

from include.assets import API_ASSETS, API_SOURCE_CONTRACTS
from include.dag_defaults import Layer, begin_when_deployed, dag_arguments
from include.ingest.tasks import conform, discover_pages, fetch, load, verify
from include.schedules import INGEST_WINDOWS, deadlines, ingest_schedule


@dag(
    dag_id="ingest_apis",
    schedule=ingest_schedule(),
    deadline=deadlines("ingest_apis", INGEST_WINDOWS),
    doc_md=__doc__,
    **dag_arguments(layer=Layer.INGEST),
)
def ingest_apis() -> None:
    fetched = fetch.expand(source_contract=list(API_SOURCE_CONTRACTS))
    discovered = discover_pages()
    conformed = conform.expand(batches=discovered)
    loaded = load()
    verified = verify.override(outlets=list(API_ASSETS))()
    begin_when_deployed(fetched, discovered)
    fetched >> discovered
    conformed >> loaded
    [fetched, conformed, loaded] >> verified


ingest_apis()
