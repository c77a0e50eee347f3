"""Takes what may be secret or personal out of texts that people are sent."""

from __future__ import annotations


def mask_personal(text: str) -> str:
    """The text with a mark in place of personal data that has a form, such as an address."""
    # Imported here, like the log's filter below: only a process that tells something pays for it.
    from include.privacy.finder import mask_text

    return mask_text(text)


def mask(text: str) -> str:
    """The same, and without the secrets that Airflow knows of its connections."""
    from airflow.sdk.log import redact

    return mask_personal(str(redact(text)))
