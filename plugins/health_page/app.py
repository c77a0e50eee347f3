"""The pages as a FastAPI app: whoever may see the UI may see them, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from health_page import documentation, view
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

Lang = Annotated[str | None, Query(max_length=8)]
AcceptLanguage = Annotated[str | None, Header()]

app = FastAPI(title="Data health", openapi_url=None)
app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
pages = APIRouter(dependencies=[Depends(requires_access_view(AccessView.WEBSITE))])


@app.middleware("http")
async def set_security_headers(request: Request, call_next: Any) -> Response:
    response = await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@pages.get("/")
def page(
    request: Request, lang: Lang = None, accept_language: AcceptLanguage = None
) -> HTMLResponse:
    """The page, drawn from the snapshot as it is now."""
    snapshot = read_snapshot()
    document = snapshot.document
    return _render(
        "page.html.j2",
        snapshot,
        request,
        choose_language(lang, accept_language),
        answers=view.answers(document) if document else (),
        models=view.slowest_models(document) if document else (),
        old_hours=_old_hours(document) if document else None,
    )


@pages.get("/models/{name}")
def model_page(
    request: Request, name: str, lang: Lang = None, accept_language: AcceptLanguage = None
) -> HTMLResponse:
    """The last runs of one model."""
    snapshot = read_snapshot()
    document = snapshot.document
    return _render(
        "model.html.j2",
        snapshot,
        request,
        choose_language(lang, accept_language),
        name=name,
        model=view.model_named(document, name) if document else None,
    )


@pages.get("/dbt/{name:path}")
def dbt_documentation(name: str) -> Response:
    """The documentation that dbt makes of the project, with policies of its own."""
    return documentation.answer(name or documentation.INDEX)


app.include_router(pages)


def _render(
    template: str, snapshot: Snapshot, request: Request, language: str, **content: Any
) -> HTMLResponse:
    text = templates.get_template(template).render(
        root=request.scope["root_path"],
        language=language,
        other="en" if language == "ja" else "ja",
        words=WORDS[language],
        problem=snapshot.problem,
        health=snapshot.document,
        **content,
    )
    return HTMLResponse(text)


def _old_hours(document: dict[str, Any]) -> int | None:
    hours = view.age_hours(document, datetime.now(UTC))
    return round(hours) if hours > view.OLD_HOURS else None
