"""Takes what may be secret or personal out of texts that people are sent."""

from __future__ import annotations

import re

MASK = "***"
# E-mail addresses, and telephone numbers as they are written in Japan and abroad.
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|(?<![\w-])(?:\+\d|0\d)(?:[ ()-]?\d){7,}")


def mask_personal(text: str) -> str:
    """The text without e-mail addresses and telephone numbers."""
    return PERSONAL.sub(MASK, text)


def mask(text: str) -> str:
    """The same, and without the secrets that Airflow knows of its connections."""
    # Imported here: only a process that tells something pays for it.
    from airflow.sdk.log import redact

    return mask_personal(str(redact(text)))
