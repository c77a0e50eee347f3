"""What goes wrong at Cloudflare, in one sentence with Cloudflare's own code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CloudflareError(RuntimeError):
    """Cloudflare refused or did not answer. ``code`` is Cloudflare's, None without an answer."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


_BY_STATUS = {
    401: "check the token in the connection",
    403: "give the token the permission that docs/cloudflare.md lists for it",
    404: "check the account and the ids in the connection",
    413: "the body is too large, which is a mistake of ours",
    429: "too many requests; wait five minutes and run the task again",
}


@contextmanager
def told_as(doing: str) -> Iterator[None]:
    """Raise CloudflareError for what the SDK raises in the block; ``doing`` ends "Cannot ..."."""
    # Imported here: the SDK costs most of a second.
    import cloudflare

    try:
        yield
    except cloudflare.APIStatusError as error:
        code, message = _first_error(error)
        remedy = _BY_STATUS.get(error.status_code, "mend the cause and run the task again")
        raise CloudflareError(
            f"Cannot {doing}: Cloudflare answered {error.status_code}, code {code} ({message}); "
            f"{remedy}.",
            code=code,
        ) from error
    except cloudflare.APIConnectionError as error:
        raise CloudflareError(
            f"Cannot {doing}: {error.request.url.host} did not answer; check the network and the "
            "host of the connection, and run the task again."
        ) from error


def _first_error(error: object) -> tuple[int | None, str]:
    body = getattr(error, "body", None)
    errors = body.get("errors") if isinstance(body, dict) else None
    if not errors:
        return None, "no reason given"
    return errors[0].get("code"), str(errors[0].get("message", "")).rstrip(".")
