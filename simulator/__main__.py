"""`python -m simulator`: write, upload, serve, deliver, expect."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from simulator.api import MAXIMUM_LIMIT, VendorApi, VendorServer, serve_until_stopped
from simulator.api_faults import API_FAULT_NAMES, ApiFaults
from simulator.clock import SECONDS_PER_DAY
from simulator.deliveries import PHASES, deliver
from simulator.errors import SimulatorError
from simulator.expectations import expect
from simulator.faults import plan_faults
from simulator.feeds import TelemetryFeed, WeatherFeed
from simulator.fleet import Fleet
from simulator.state import FAULT_NAMES, Request, agreed_state, keep_state, parse_names, read_state
from simulator.writer import write_fleet


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except SimulatorError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    commands = parser.add_subparsers(required=True)
    write = commands.add_parser("write", help="write the vendor's files")
    write.add_argument("--out", type=Path, required=True, help="the sources directory")
    write.add_argument("--state", type=Path, required=True, help="the fleet's state file")
    write.add_argument("--machines", type=int, help="default 50")
    write.add_argument("--days", type=int, help="default 90")
    write.add_argument("--seed", type=int, help="default 7")
    write.add_argument("--end-date", type=date.fromisoformat, help="default: yesterday in Tokyo")
    write.add_argument("--faults", help=f"none (default), all, or some of {','.join(FAULT_NAMES)}")
    write.add_argument(
        "--machines-per-file", type=int, help="default 1; more make fewer and larger files"
    )
    write.set_defaults(command=_write)
    uploaded = commands.add_parser("upload", help="bring the vendor's files to a bucket")
    uploaded.add_argument("--from", dest="sources", type=Path, required=True)
    uploaded.add_argument("--bucket", required=True, help="made if it is not there")
    uploaded.add_argument("--prefix", default="raw-data", help="default raw-data")
    uploaded.set_defaults(command=_upload)
    serve = commands.add_parser("serve", help="serve the vendor API on 127.0.0.1")
    serve.add_argument("--state", type=Path, required=True, help="the fleet's state file")
    serve.add_argument("--port", type=int, default=0, help="default 0: a free one")
    serve.add_argument("--port-file", type=Path, help="gets the port once the server answers")
    serve.add_argument("--token", required=True, help="the bearer token that clients must send")
    serve.add_argument(
        "--api-faults",
        default="none",
        help=f"none (default), all, or some of {','.join(API_FAULT_NAMES)}",
    )
    serve.add_argument(
        "--through",
        type=date.fromisoformat,
        help="only what had arrived by the end of this day (Tokyo); default: everything",
    )
    serve.add_argument(
        "--max-limit", type=int, default=MAXIMUM_LIMIT, help="items a page at most, default 1000"
    )
    serve.set_defaults(command=_serve)
    later = commands.add_parser("deliver", help="write what the vendor delivers later")
    later.add_argument("--state", type=Path, required=True, help="the fleet's state file")
    later.add_argument("--out", type=Path, required=True, help="the sources directory")
    later.add_argument("phase", choices=PHASES)
    later.set_defaults(command=_deliver)
    expected = commands.add_parser("expect", help="print as JSON what was injected")
    expected.add_argument("--state", type=Path, required=True, help="the fleet's state file")
    expected.add_argument("--api-faults", default="none", help="as given to serve")
    expected.set_defaults(command=_expect)
    return parser


def _write(options: argparse.Namespace) -> None:
    faults = options.faults and parse_names(options.faults, FAULT_NAMES, "fault")
    request = Request(
        seed=options.seed,
        machines=options.machines,
        days=options.days,
        end_date=options.end_date,
        faults=faults,
        machines_per_file=options.machines_per_file,
    )
    state = agreed_state(options.state, request)
    fleet = Fleet(state)
    plan = plan_faults(fleet)  # before the state is kept: it may find the fleet too small
    keep_state(options.state, state)
    result = write_fleet(fleet, plan, options.out)
    if result.written:
        print(f"Wrote {result.written} files below {options.out}.")
    else:
        print(f"Nothing to write: all {result.already_there} files are below {options.out}.")


def _upload(options: argparse.Namespace) -> None:
    # Imported here: nothing else of the simulator needs them.
    import boto3

    from simulator.bucket import upload

    # Address and credentials are boto3's own: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and the like.
    count = upload(boto3.client("s3"), options.sources, options.bucket, options.prefix)
    print(f"Uploaded {count} files to s3://{options.bucket}/{options.prefix}.")


def _serve(options: argparse.Namespace) -> None:
    faults = parse_names(options.api_faults, API_FAULT_NAMES, "API fault")
    state = read_state(options.state)
    fleet = Fleet(state)
    arrived_before = None
    if options.through is not None:
        arrived_before = ((options.through - state.first_day).days + 1) * SECONDS_PER_DAY
    feeds = TelemetryFeed(fleet, arrived_before), WeatherFeed(fleet, arrived_before)
    api = VendorApi(feeds, options.token, ApiFaults(frozenset(faults)), options.max_limit)
    serve_until_stopped(VendorServer(api, options.port), options.port_file)


def _deliver(options: argparse.Namespace) -> None:
    keys = deliver(Fleet(read_state(options.state)), options.out, options.phase)
    for key in keys:
        print(f"Delivered {key}.")
    if not keys:
        print(f"Nothing to deliver: {options.phase} is already below {options.out}.")


def _expect(options: argparse.Namespace) -> None:
    faults = ApiFaults(frozenset(parse_names(options.api_faults, API_FAULT_NAMES, "API fault")))
    fleet = Fleet(read_state(options.state))
    feeds = (TelemetryFeed(fleet), WeatherFeed(fleet)) if faults.names else ()
    content = expect(fleet, feeds, faults).as_json()
    print(json.dumps(content, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    sys.exit(main())
