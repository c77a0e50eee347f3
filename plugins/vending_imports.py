"""Registers nothing: it is imported for what it imports.

Where plugins are loaded by the process that starts tasks and parses DAG files (`lazy_load_plugins`
is off: on MWAA, Astro and in compose), those inherit what it has made. The client of the lake, and
pandas, which Arrow imports when it makes its first array, are among what nearly every task needs;
importing them takes 0.35 and 0.8 CPU seconds. Where plugins are loaded lazily each task would
import them, needed or not, so there it is left to the tasks.
"""

from __future__ import annotations

from airflow.configuration import conf

if not conf.getboolean("core", "lazy_load_plugins"):
    import airflow.providers.amazon.aws.hooks.base_aws  # noqa: F401
    import pandas  # noqa: F401
