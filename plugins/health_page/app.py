"""The page as a FastAPI app: whoever may see the UI may see it, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from health_page import view
from health_page.charts import bar_chart
from health_page.snapshot import Snapshot, read_snapshot
from health_page.wording import WORDS, choose_language

FOLDER = Path(__file__).parent
# Nothing from another host, nothing inline, and no frame but Airflow's own.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined
)
templates.filters |= {"local_time": view.local_time, "size": view.size}
templates.globals |= {"bar_chart": bar_chart}

app = FastAPI(title="Data health", openapi_url=None)
app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")


@app.middleware("http")
async def set_security_headers(request: Request, call_next: Any) -> Response:
    response = await call_next(request)
    response.headers.update(SECURITY_HEADERS)
    return response


@app.get("/", dependencies=[Depends(requires_access_view(AccessView.WEBSITE))])
def page(
    request: Request,
    lang: Annotated[str | None, Query(max_length=8)] = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> HTMLResponse:
    """The page, drawn from the snapshot as it is now."""
    language = choose_language(lang, accept_language)
    return HTMLResponse(_render(read_snapshot(), language, request.scope["root_path"]))


def _render(snapshot: Snapshot, language: str, root: str) -> str:
    document = snapshot.document
    return templates.get_template("page.html.j2").render(
        root=root,
        language=language,
        other="en" if language == "ja" else "ja",
        words=WORDS[language],
        problem=snapshot.problem,
        health=document,
        answers=view.answers(document) if document else (),
        old_hours=_old_hours(document) if document else None,
    )


def _old_hours(document: dict[str, Any]) -> int | None:
    hours = view.age_hours(document, datetime.now(UTC))
    return round(hours) if hours > view.OLD_HOURS else None
