"""The dbt project as an Airflow DAG: one build, every node a task, results checked afterwards."""
