"""# Check deployment

Finds out whether a deployment arrived: the smoke run of `make mwaa-deploy`, and the first thing to
run when tasks fail in ways that make no sense.

- **Inputs**: the worker's own copy of the code with its `bundle.json`, the installed packages, the
  Airflow connections.
- **Outputs**: none but its verdict.
- **Schedule**: by hand; a deployment starts it.
- **Owner**: data-platform.

## Tasks

`wait_for_code` compares every file with the checksums of `bundle.json`, and looks again every half
minute while the copying to this worker is unfinished. `check_packages` compares what is installed
with `constraints.txt`. `check_connections` asks for each connection that the environment needs. On
a laptop, where nothing is deployed, there is nothing to compare and all of them pass. The ingest
DAGs and transform ask the same in their first task, `wait_for_deployment`.

## When it fails

- `wait_for_code`: the copy is not complete after 15 minutes. Run `make mwaa-deploy` again; if the
  same files stay different, somebody wrote to the bucket by hand.
- `check_packages`: requirements.txt was not installed whole. The service only logs that.
- `check_connections`: create the connection that is named.

## Rerun safety

It changes nothing, and may be run at any time. It speaks for the workers that its tasks ran on.
"""

from airflow.sdk import dag

from include.dag_defaults import Impact, Layer, dag_arguments
from include.deployment_tasks import check_connections, check_packages, wait_for_code


@dag(
    dag_id="check_deployment",
    schedule=None,
    doc_md=__doc__,
    **dag_arguments(layer=Layer.OPERATIONS, impact=Impact.MEDIUM),
)
def check_deployment() -> None:
    wait_for_code() >> check_packages() >> check_connections()


check_deployment()
