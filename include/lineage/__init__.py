"""Which data was made of which, as OpenLineage events (docs/lineage.md).

Airflow's own option `[openlineage] transport` says where events go; without one nothing of this
package but `telling` is imported.
"""
