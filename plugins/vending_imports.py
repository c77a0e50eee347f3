"""Registers nothing: it is imported for what it imports.

Where plugins are loaded by the process that starts tasks and parses DAG files (`lazy_load_plugins`
is off: on MWAA, Astro and in compose), those inherit its modules. The client of the lake is among
what nearly every task needs, and importing it takes 0.35 CPU seconds. Where plugins are loaded
lazily each task would import it, needed or not, so there it is left to the tasks.
"""

from __future__ import annotations

from airflow.configuration import conf

if not conf.getboolean("core", "lazy_load_plugins"):
    import airflow.providers.amazon.aws.hooks.base_aws  # noqa: F401
