"""``make detokenise TOKEN=… REASON=…``: prints what stands behind a token.

Who asked, for which token and why is in ``ops.privacy_audit`` before the value is looked up, and so
is a request for a token that is not there.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import sys

from cryptography.fernet import MultiFernet

from include.contracts import Masking, MaskingStrategy
from include.lake import Lake, LakeError, open_lake
from include.privacy.audit import Action, AuditEntry, write_audit
from include.privacy.masking_sql import masked_pattern
from include.privacy.pepper import PepperError
from include.privacy.vault import VaultError, find_value, vault_keys
from include.quality.store import open_store
from include.settings import Settings, current_settings
from include.warehouse import WarehouseError

# Long enough for a ticket's number; "x" is no reason.
_SHORTEST_REASON = 5
# Anything else, such as the number behind a token, must not come into the audit table.
_TOKEN = re.compile(masked_pattern(Masking(MaskingStrategy.TOKEN)) or "")


def detokenise(
    settings: Settings, lake: Lake, keys: MultiFernet, token: str, *, actor: str, reason: str
) -> str:
    """The value behind a token, after the request has been written to the audit table.

    Raises VaultError, LakeError, and WarehouseError if the request cannot be written down.
    """
    if not _TOKEN.fullmatch(token):
        raise VaultError("That is no token; give one as it is stored, such as t1:0123….")
    if len(reason.strip()) < _SHORTEST_REASON:
        raise VaultError("Give the reason in words, such as a ticket's number: REASON=….")
    entry = AuditEntry(actor, Action.DETOKENISED, token, reason.strip())
    with open_store(settings.warehouse) as store:
        write_audit(store, entry)
    return find_value(lake, keys, token)


def machine_user() -> str:
    """The user of the machine by its id: variables such as LOGNAME can be set to anything."""
    return pwd.getpwuid(os.getuid()).pw_name


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Print what stands behind a token.")
    parser.add_argument("token")
    parser.add_argument("--reason", required=True, help="why; it is kept in ops.privacy_audit")
    options = parser.parse_args(arguments)
    settings = current_settings()
    try:
        value = detokenise(
            settings,
            open_lake(settings.lake),
            vault_keys(settings.vault),
            options.token,
            actor=machine_user(),
            reason=options.reason,
        )
    except (VaultError, PepperError, LakeError, WarehouseError) as error:
        print(error, file=sys.stderr)
        return 1
    print(value)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
