"""What a process that starts tasks has ready, so that no task has to make it again.

Airflow forks a process for each task. What the parent has made is there for all of them; what it
has not, each makes for itself. Called where tasks are forked from: by the plugin `vending_imports`
in the cloud, by `deploy.local.supervisor` on a laptop.
"""

from __future__ import annotations

_is_begun = False


def preload_listeners() -> None:
    """Load the plugins for the listeners of tasks in this process; once, however often called.

    A quarter of the CPU time of a task that does nothing (3.2.1): the Task SDK keeps its plugins
    apart from those of Airflow's core, and loads them in each task.
    """
    # Plugins load while the listeners are made, and one of them calls this function.
    global _is_begun
    if _is_begun:
        return
    _is_begun = True
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()
