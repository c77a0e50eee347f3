"""`python -m deploy.local run | up | down | pictures`: what the Makefile calls."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from deploy.local.commands import Publish, Request, down, run, up
from deploy.local.errors import LocalError
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.pictures import take_pictures
from deploy.local.preparation import Data, Fleet

COMMANDS = {"run": run, "up": up, "down": down, "pictures": take_pictures}
# As a shell reports a command that SIGINT ended.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, 1 when a task failed, 2 with one sentence, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)
    try:
        return COMMANDS[options.command](_request(options), Console(highlight=False))
    except LocalError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; everything that was started is stopped.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--data", type=Data, choices=list(Data), default=Data.FLEET)
    parser.add_argument("--machines", type=int)
    parser.add_argument("--days", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--faults", help="none, all, or names that `python -m simulator` knows")
    parser.add_argument("--api-faults", help="the same for the vendor API")
    parser.add_argument("--publish", type=Publish, choices=list(Publish))
    parser.add_argument("--data-dir", type=Path, default=REPOSITORY / "data")
    parser.add_argument("--airflow-home", type=Path, default=REPOSITORY / ".airflow")
    return parser


def _request(options: argparse.Namespace) -> Request:
    fleet = Fleet(options.machines, options.days, options.seed, options.faults, options.api_faults)
    layout = Layout(options.data_dir.resolve(), options.airflow_home.resolve())
    return Request(layout, options.data, fleet, options.publish)


if __name__ == "__main__":
    sys.exit(main())
