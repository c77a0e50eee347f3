"""# Replay quarantine

Conforms files with rejected rows again, from raw, under the contracts as they are now. For the day
on which a contract was mended and the rows that it refused are good.

- **Inputs**: the versions in raw of the files that the parameters select in `ops.quarantine`.
- **Outputs**: the raw tables, `ops.load_history`, `ops.quarantine` with what was resolved; an
  event of each raw asset, so `transform` follows in dev. A dry run changes and emits nothing.
- **Schedule**: by hand.
- **Parameters**: `source` (a vendor, or a source contract such as `fleet.sales`), `file` (its path
  below `sources/`), `reason` (a reason code, of any of a row's reasons), `contract_version` (the
  one that rejected). Empty ones do not restrict. `dry_run` is on unless it is taken off.
- **Owner**: data-platform.

## Tasks

`select_rejected` checks the parameters and plans. `conform` reads the versions in raw. `load`
replaces each load by the new one, in one transaction; after a dry run it only says in its log how
many rows would be loaded and quarantined. `verify` is as in `ingest_files`.

## When it fails

- `select_rejected`: a parameter names nothing that exists; the sentence lists what does.
- `conform`: a version in raw is missing or not what was loaded. The others go on.
- `load`, `verify`: as in `ingest_files`.

## Rerun safety

Any task, or the whole DAG, may be killed and run again. A row that is rejected again keeps one open
rejection; one that is accepted is marked with the run that did it. A file that was corrected
meanwhile keeps its newer rows.
"""

from airflow.sdk import Param, dag

from include.assets import RAW_ASSETS
from include.dag_defaults import Impact, Layer, dag_arguments, leave_params_to_dag
from include.ingest.tasks import conform, load, select_rejected, verify


@dag(
    dag_id="replay_quarantine",
    schedule=None,
    doc_md=__doc__,
    params={
        "source": Param("", type="string", pattern=r"^[a-z0-9_.]*$", maxLength=100),
        "file": Param("", type="string", maxLength=900),
        "reason": Param("", type="string", pattern=r"^[a-z_]*$", maxLength=50),
        "contract_version": Param("", type="string", pattern=r"^(\d+\.\d+\.\d+)?$"),
        "dry_run": Param(True, type="boolean"),
    },
    **dag_arguments(layer=Layer.INGEST, impact=Impact.MEDIUM),
)
def replay_quarantine() -> None:
    conformed = conform.override(max_active_tis_per_dag=2).expand(batches=select_rejected())
    loaded = load()
    verified = verify.override(outlets=list(RAW_ASSETS))()
    conformed >> loaded
    [conformed, loaded] >> verified


leave_params_to_dag(replay_quarantine())
