#!/bin/bash
# Runs on MWAA in every web server, scheduler and worker before requirements.txt is installed. It
# sets variables and checks them, and does nothing else: what takes time or can fail here would keep
# containers from starting.
#
# No `set -e`: a command that fails under it makes the container unhealthy and the service ends it.
# Nothing is lost silently all the same: what is wrong is said in the container's log, and
# VENDING_ENV then stays a word that every DAG refuses with a sentence, in the list of import errors.
# The DAG check_deployment says the rest: packages, connections, an unfinished sync.

# Terraform gives the project's variables as Airflow options of the section `vending`, which arrive
# as AIRFLOW__VENDING__<NAME>; include/settings.py reads VENDING_<NAME>.
for option in "${!AIRFLOW__VENDING__@}"; do
  export "VENDING_${option#AIRFLOW__VENDING__}=${!option}"
done

case "${VENDING_ENV:-}" in
  staging | prod) ;;
  *)
    echo "startup: ERROR: the Airflow option vending.env is '${VENDING_ENV:-}'; set it to staging or prod." >&2
    # Left unset it would mean dev: a DuckDB file on each worker.
    export VENDING_ENV=unconfigured
    ;;
esac

if [ -z "${VENDING_COMPANY:-}" ]; then
  echo "startup: ERROR: the Airflow option vending.company is not set; set it to the first part of the bucket's name." >&2
fi

if [ "${VENDING_ENV}" = prod ] && [ -z "${VENDING_KMS_KEY_ID:-}" ]; then
  echo "startup: ERROR: the Airflow option vending.kms_key_id is not set; prod needs the key of the lake." >&2
fi

# For when lineage is on (docs/lineage.md).
export AIRFLOW__OPENLINEAGE__DISABLED_FOR_OPERATORS=include.transform.node_task.DbtNodeOperator
export AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT=5

# dbt and Cosmos report their use to their makers unless they are told not to.
export DBT_SEND_ANONYMOUS_USAGE_STATS=false
export DO_NOT_TRACK=1
export AIRFLOW__COSMOS__ENABLE_TELEMETRY=False
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
# Plugins, and the packages that they import, are loaded once by the process that starts tasks and
# parses DAG files, and inherited by those; by default each of them loads all anew, for 1.5 CPU
# seconds.
export AIRFLOW__CORE__LAZY_LOAD_PLUGINS=False
# The manifests came with the bundle, and the folder of the DAGs belongs to the sync.
export PYTHONDONTWRITEBYTECODE=1

echo "startup: ${MWAA_AIRFLOW_COMPONENT:-component unknown}, environment ${VENDING_ENV}."
