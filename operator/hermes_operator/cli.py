"""Command line of the operator: `hermes-operator run`."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence

from hermes_operator.version import operator_version

EXTRA = "hermes-mesh[operator]"

try:
    from hermes_operator.process.election import LeaseSettings
    from hermes_operator.process.logs import set_up_logs
    from hermes_operator.process.run import OperatorSettings, run_operator
    from hermes_operator.process.worker import WorkerSettings
except ModuleNotFoundError as missing:
    sys.exit(f"hermes-operator: there is no module {missing.name}: the client is here alone; pip install '{EXTRA}'")


def build_parser() -> argparse.ArgumentParser:
    """Every option can be given by an environment variable as well, named in its help."""
    parser = argparse.ArgumentParser(prog="hermes-operator", description="Runs Hermes meshes on Kubernetes.")
    parser.add_argument("--version", action="version", version=f"hermes-operator {operator_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run the operator until it is told to stop")
    run.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        default=[name for name in os.environ.get("HERMES_OPERATOR_NAMESPACES", "").split(",") if name],
        help="serve only this namespace; may be repeated (HERMES_OPERATOR_NAMESPACES, with commas; default: all)",
    )
    run.add_argument("--lease-namespace", default=_own_namespace(), help="namespace of the Lease (POD_NAMESPACE; %(default)s)")
    run.add_argument("--lease-name", default="hermes-operator", help="name of the Lease (default: %(default)s)")
    run.add_argument("--no-leader-election", action="store_true", help="run without a Lease: only ever one process")
    run.add_argument("--listen", default="0.0.0.0:8080", help="host:port of /healthz and /metrics (default: %(default)s)")
    run.add_argument("--cluster-domain", default="cluster.local", help="DNS domain of the cluster (default: %(default)s)")
    resync_s = WorkerSettings().resync_s
    run.add_argument("--resync-seconds", type=float, default=resync_s, help="look at every mesh this often (%(default)s)")
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    run.add_argument("--log-format", choices=("json", "text"), default="json")
    return parser


def parse_settings(options: argparse.Namespace) -> OperatorSettings:
    """ValueError when an option makes no sense."""
    host, _, port = str(options.listen).rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"--listen: {options.listen!r} is not host:port")
    if options.resync_seconds < 1:
        raise ValueError(f"--resync-seconds: {options.resync_seconds} is below 1")
    identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}-{os.getpid()}"
    lease = None if options.no_leader_election else LeaseSettings(options.lease_namespace, options.lease_name, identity)
    return OperatorSettings(
        namespaces=tuple(options.namespace),
        lease=lease,
        http_host=host or "0.0.0.0",  # noqa: S104 - as the option's default
        http_port=int(port),
        cluster_domain=options.cluster_domain,
        identity=identity,
        worker=WorkerSettings(resync_s=options.resync_seconds),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 told to stop, 2 wrong options, 3 lost the lease, 4 failed."""
    parser = build_parser()
    options = parser.parse_args(argv)
    try:
        settings = parse_settings(options)
    except ValueError as error:
        parser.error(str(error))
    set_up_logs(options.log_level, options.log_format)
    return asyncio.run(run_operator(settings))


def _own_namespace() -> str:
    return os.environ.get("POD_NAMESPACE", "default")


if __name__ == "__main__":
    sys.exit(main())
