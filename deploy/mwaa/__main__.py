"""python -m deploy.mwaa bundle | check | deploy"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from deploy.mwaa.bundle import build_bundle
from deploy.mwaa.check.bundle_check import check_bundle
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import AIRFLOW_VERSIONS, BUNDLE, TARGETS


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except MwaaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.mwaa")
    commands = parser.add_subparsers(required=True)
    bundle = commands.add_parser("bundle", help="build dist/mwaa")
    bundle.add_argument("--airflow", choices=AIRFLOW_VERSIONS, default=AIRFLOW_VERSIONS[0])
    bundle.set_defaults(command=_bundle)
    check = commands.add_parser("check", help="install and import a bundle as the service would")
    check.add_argument("--airflow", choices=AIRFLOW_VERSIONS, action="append", default=None)
    check.set_defaults(command=_check)
    deploy = commands.add_parser("deploy", help="bring dist/mwaa to an environment")
    deploy.add_argument("target", choices=TARGETS, help="staging or prod")
    deploy.add_argument("--name", help="the environment's name; default vending-data-<target>")
    deploy.add_argument("--dry-run", action="store_true", help="only say what would be done")
    deploy.add_argument("--rollback", action="store_true", help="bring back the bundle before")
    deploy.set_defaults(command=_deploy)
    return parser


def _bundle(options: argparse.Namespace) -> None:
    bundle = build_bundle(options.airflow)
    print(f"{BUNDLE}: {len(bundle.files)} files, bundle {bundle.bundle_id[:12]}.")


def _check(options: argparse.Namespace) -> None:
    for version in options.airflow or AIRFLOW_VERSIONS:
        with tempfile.TemporaryDirectory(prefix="mwaa-bundle-") as folder:
            build_bundle(version, Path(folder))
            check_bundle(Path(folder), version)


def _deploy(options: argparse.Namespace) -> None:
    # Imported here: building and checking need no AWS.
    from deploy.mwaa.command import deploy

    name = options.name or f"vending-data-{options.target}"
    deploy(name, dry_run=options.dry_run, rollback=options.rollback)


if __name__ == "__main__":
    sys.exit(main())
