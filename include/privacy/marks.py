"""What stands in a text where something was masked."""

from __future__ import annotations

from enum import StrEnum

WITHHELD_MARK = "[masked]"
# What was found, as a group.
FOUND_PATTERN = r"\[masked:([a-z_]+)\]"


class PersonalKind(StrEnum):
    """What can be recognised in a text without knowing whom it names."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    MY_NUMBER = "my_number"
    SSN = "ssn"
    ADDRESS = "address"

    @property
    def mark(self) -> str:
        return f"[masked:{self.value}]"
