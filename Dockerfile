# The image of the Astro CLI and of Astro. Runtime 3.2-4 holds Airflow 3.2.1; what a tag holds is
# listed at https://www.astronomer.io/docs/runtime/runtime-release-notes.
# The -base variant runs no build steps of its own: the plain one installs requirements.txt before
# anything else can be copied, and so without the constraints that the file names.
FROM astrocrpublic.azurecr.io/runtime:3.2-4-base

WORKDIR /usr/local/airflow
USER root
COPY packages.txt .
RUN if grep '^[^#]' packages.txt >/tmp/packages; then \
      apt-get update \
      && xargs --arg-file=/tmp/packages apt-get install -y --no-install-recommends \
      && rm -rf /var/lib/apt/lists/*; \
    fi

USER astro
COPY --chown=astro:0 requirements.txt .
COPY --chown=astro:0 constraints.txt dags/constraints.txt
RUN pip install --no-cache-dir --requirement requirements.txt

# As in deploy/mwaa/startup.sh: by default each task loads the plugins anew.
ENV AIRFLOW__CORE__LAZY_LOAD_PLUGINS=False
# What the health page reads.
ENV AIRFLOW__VENDING__HEALTH_SNAPSHOT=/usr/local/airflow/data/monitoring/health.json \
    AIRFLOW__VENDING__DBT_DOCUMENTATION=/usr/local/airflow/data/dbt-artifacts/documentation
# For when lineage is on (docs/lineage.md).
ENV AIRFLOW__OPENLINEAGE__DISABLED_FOR_OPERATORS=include.transform.node_task.DbtNodeOperator \
    AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT=5
COPY --chown=astro:0 . .
RUN python -m include.transform.manifest
