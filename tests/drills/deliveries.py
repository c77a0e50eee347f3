"""What vendors delivered, and what the warehouse must hold of it whatever happened on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.drills.stack import Platform
from tests.include.ingest.running import SALES_HEADER

UNBALANCED = (
    "SELECT object_key FROM ops.load_history "
    "WHERE rows_read <> rows_conformed + rows_quarantined + rows_duplicate"
)
# Loads of which the raw tables hold another number of rows than the ledger says.
UNACCOUNTED = """
SELECT load_history.object_key
FROM ops.load_history
LEFT JOIN raw.sales ON sales._load_id = load_history.load_id
WHERE load_history.dataset = 'sales'
GROUP BY load_history.load_id, load_history.object_key, is_current, rows_conformed
HAVING count(sales._load_id) <> if(is_current, rows_conformed, 0)
"""
STORED = "SELECT machine_id, transaction_id, amount::BIGINT FROM raw.sales ORDER BY ALL"
TWICE = (
    "SELECT object_key FROM ops.load_history WHERE is_current AND dataset = 'sales' "
    "GROUP BY ALL HAVING count(*) > 1"
)
OPEN_REJECTIONS = (
    "SELECT object_key, row_number FROM ops.quarantine WHERE resolution IS NULL ORDER BY ALL"
)


@dataclass
class Deliveries:
    """Sales files of machines, kept in step with what was written into the sources."""

    platform: Platform
    files: dict[str, tuple[object, ...]] = field(default_factory=dict)
    machines: int = 0

    def add(self, files: int, rows: int = 3) -> None:
        """Files of machines that are new, the first of them with a row that must be rejected."""
        for number in range(files):
            self.machines += 1
            amounts = tuple(range(100, 100 + rows))
            self.put(self.machines, amounts if number else (*amounts, "cheap"))

    def correct(self, machine: int, *amounts: object) -> None:
        """Another content for a file that was delivered."""
        self.put(machine, amounts)

    def put(self, machine: int, amounts: Iterable[object]) -> None:
        name = self.name(machine)
        self.files[name] = tuple(amounts)
        self.platform.deliver(name, _content(machine, self.files[name]))

    def name(self, machine: int) -> str:
        return f"sales_VM{machine:05}_20260101.csv"

    def expected(self) -> list[tuple[str, str, int]]:
        return sorted(
            (name[6:13], f"T{number:06}", amount)
            for name, amounts in self.files.items()
            for number, amount in enumerate(amounts, start=1)
            if isinstance(amount, int)
        )

    def rejected(self) -> list[tuple[str, int]]:
        """File and line of each row that must be in quarantine."""
        return sorted(
            (name, number)
            for name, amounts in self.files.items()
            for number, amount in enumerate(amounts, start=2)
            if not isinstance(amount, int)
        )

    def bad_files(self) -> set[str]:
        return {name for name, _ in self.rejected()}

    def check(self) -> None:
        """Every row once, in the raw table or in quarantine, and the ledger in balance."""
        rows = self.platform.rows
        assert rows(STORED) == self.expected()
        assert rows(OPEN_REJECTIONS) == self.rejected()
        assert rows(TWICE) == []
        assert rows(UNBALANCED) == []
        assert rows(UNACCOUNTED) == []


def _content(machine: int, amounts: Iterable[object]) -> bytes:
    lines = (
        f"VM{machine:05},T{number:06},1,P1,2026-01-01T10:00:00+09:00,1,120,{amount},cash,sale,\n"
        for number, amount in enumerate(amounts, start=1)
    )
    return f"{SALES_HEADER}\n{''.join(lines)}".encode()
