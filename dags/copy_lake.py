"""# Copy the lake

Keeps a copy of the lake in another bucket, such as one of R2: raw as `bronze/`, conformed and
rejected rows as `silver/`. Gold, the marts, `publish_cloudflare` writes there as Iceberg tables.

- **Inputs**: raw, processed and quarantine of the lake.
- **Outputs**: their objects in the copy, and below `manifests/` what was copied, with checksums.
- **Schedule**: daily at 10:00 UTC where `VENDING_LAKE_COPY_CONNECTION` is set, else by hand.
- **Parameter** `delete_extra`: delete from the copy what the lake has no more. It is off, since a
  copy also guards against what is deleted by mistake; turn it on after the erasure of a person.
- **Parameter** `read_back`: read every object of the copy and hold it to its checksum.
- **Owner**: data-platform.

## Tasks

`copy_bronze` and `copy_silver` copy what the copy lacks or has otherwise, 500 objects a step, and
write a manifest behind each step. `check_copy` compares the listings with the manifests and says
how many objects are missing, changed or extra; only extra ones do not fail it.

## When it fails

- *Nothing says where to copy*: set the two variables that it names.
- *no endpoint_url*: the connection is to name the account's endpoint of R2.
- *The copy of the lake differs*: run the DAG again. If it differs again, somebody writes to the
  bucket, or the lake is being written to all the time.

## Rerun safety

Any task may be killed and run again at any time; it goes on with the step that it was in. Objects
appear whole or not at all, and nothing is deleted unless `delete_extra` says so.
"""

from airflow.sdk import Param, dag

from include.dag_defaults import Impact, Layer, dag_arguments, leave_params_to_dag
from include.lake.copy_tasks import check_copy, copy_layer, copy_schedule
from include.settings import current_settings


@dag(
    dag_id="copy_lake",
    schedule=copy_schedule(current_settings()),
    params={
        "delete_extra": Param(False, type="boolean", title="Delete what the lake has no more"),
        "read_back": Param(False, type="boolean", title="Read every object of the copy"),
    },
    doc_md=__doc__,
    **dag_arguments(layer=Layer.OPERATIONS, impact=Impact.LOW),
)
def copy_lake() -> None:
    layers = ("bronze", "silver")
    [copy_layer.override(task_id=f"copy_{name}")(name) for name in layers] >> check_copy()


leave_params_to_dag(copy_lake())
