"""What a person does on a laptop: `make run`, `make up`, `make down`.

Where to look: the way of a run (`commands`), what Airflow is told (`airflow_env`), the processes
(`stack` from outside, `supervisor` from inside), the REST client (`airflow_api`), what is shown
while it runs (`follow`, `progress`) and what is said at the end (`summary`). `find-python` and
`bootstrap.py` come before all of them and use nothing but a shell and the standard library.
"""
