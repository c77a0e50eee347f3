"""dbt's own documentation of the project, from the objects that the pipeline keeps in the lake.

[vending]
dbt_documentation = the folder they lie in, a path or s3://bucket/dbt-artifacts/documentation
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from functools import lru_cache

from airflow.configuration import conf
from fastapi import Response
from fastapi.responses import PlainTextResponse

from health_page.places import read_place

log = logging.getLogger(__name__)

INDEX = "index.html"
MEDIA_TYPES = {
    INDEX: "text/html; charset=utf-8",
    "manifest.json": "application/json",
    "catalog.json": "application/json",
}
_INLINE_SCRIPT = re.compile(rb"<script(?: defer=\"defer\")?>(.*?)</script>", re.DOTALL)


def answer(name: str) -> Response:
    """One of the three objects; a sentence with status 404 or 503 where there is none."""
    folder = conf.get("vending", "dbt_documentation", fallback="")
    if name not in MEDIA_TYPES or not folder:
        return PlainTextResponse("There is no such page.", 404)
    try:
        content = read_place(f"{folder}/{name}")
    except FileNotFoundError:
        return PlainTextResponse("dbt's documentation is kept once transform has ended.", 404)
    except Exception as error:
        log.warning("dbt's documentation cannot be read (%s).", type(error).__name__)
        return PlainTextResponse("dbt's documentation cannot be read; see the server's log.", 503)
    headers = {"Content-Security-Policy": _policy(content)} if name == INDEX else {}
    return Response(content, media_type=MEDIA_TYPES[name], headers=headers)


@lru_cache(maxsize=1)
def _policy(page: bytes) -> str:
    """What dbt's page needs and no more: its own inline scripts, named by their hashes.

    It styles itself inline. It evaluates no text as code where a policy forbids it.
    """
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src 'self' data:; font-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
