"""Registers the health page: an app of the API server, its place in the UI's navigation, and links.

Every process of Airflow imports this file, tasks included, so the page itself is imported by its
first request.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from health_page.links import PREFIX, ModelDocumentation, ModelHistory


async def health_page(scope: Any, receive: Any, send: Any) -> None:
    """The page's app, as an ASGI callable."""
    from health_page.app import app

    await app(scope, receive, send)


class HealthPagePlugin(AirflowPlugin):
    """Data health, in the UI's navigation, and from each task of a dbt node to its model."""

    name = "health_page"
    fastapi_apps = [{"app": health_page, "url_prefix": PREFIX, "name": "Data health"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Data health",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "data-health",
        }
    ]
    operator_extra_links = [ModelDocumentation(), ModelHistory()]  # noqa: RUF012
