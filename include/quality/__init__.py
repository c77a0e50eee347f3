"""What is known about the quality of the data: dbt's results, metrics of tables, the snapshot of
health that the page in the Airflow UI shows.
"""
