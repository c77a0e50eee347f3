"""`python -m deploy.snowflake staging …`: prints the bootstrap of one environment. Runs nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent

SUFFIXES = {"staging": "STG", "prod": "PROD"}


@dataclass(frozen=True)
class Bootstrap:
    """The values of one environment. Keys are the base64 lines of a public key, without header."""

    environment: str
    company: str
    aws_role: str
    egress: tuple[str, ...]
    loader_key: str
    transformer_key: str
    credits: int = 100

    @property
    def values(self) -> dict[str, str]:
        suffix = SUFFIXES[self.environment]
        return {
            "environment": self.environment,
            "database": f"VENDING_DATA_{suffix}",
            "warehouse": f"COMPUTE_WH_{suffix}",
            "integration": f"VENDING_LAKE_{suffix}",
            "policy": f"VENDING_SERVICES_{suffix}",
            "bucket": f"{self.company}-vending-data-{self.environment}",
            "aws_role": self.aws_role,
            "egress": ", ".join(f"'{address}'" for address in self.egress),
            "loader_key": self.loader_key,
            "transformer_key": self.transformer_key,
            "credits": str(self.credits),
        }

    def render(self, files: Iterable[Path]) -> str:
        """The files one after the other, filled in. Raises KeyError for a value that is unknown."""
        return "\n".join(
            Template(path.read_text("utf-8")).substitute(self.values) for path in files
        )


def ordered_files() -> list[Path]:
    """The files of the bootstrap in the order in which they are run."""
    return sorted(FOLDER.glob("[0-9]*.sql"))


def rehearsal_file() -> Path:
    return FOLDER / "rehearsal.sql"


def public_key(path: Path) -> str:
    """The content of a PEM file as Snowflake wants it: one line, without header and footer."""
    lines = path.read_text("ascii").splitlines()
    return "".join(line.strip() for line in lines if not line.startswith("-----"))


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    bootstrap = Bootstrap(
        environment=options.environment,
        company=options.company,
        aws_role=options.aws_role,
        egress=tuple(options.egress),
        loader_key=public_key(options.loader_key),
        transformer_key=public_key(options.transformer_key),
        credits=options.credits,
    )
    print(bootstrap.render([rehearsal_file()] if options.rehearsal else ordered_files()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.snowflake", description=__doc__)
    parser.add_argument("environment", choices=SUFFIXES)
    parser.add_argument("--company", required=True, help="first part of the bucket's name")
    parser.add_argument("--aws-role", required=True, help="ARN that the integration assumes")
    parser.add_argument("--egress", required=True, nargs="+", help="addresses of the NAT gateways")
    parser.add_argument("--loader-key", required=True, type=Path, help="public key, PEM")
    parser.add_argument("--transformer-key", required=True, type=Path, help="public key, PEM")
    parser.add_argument("--credits", type=int, default=100, help="a month, default 100")
    parser.add_argument("--rehearsal", action="store_true", help="print the clone instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
