"""The scenario against any mesh: `python -m hermes_client.scenario --addresses …`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hermes_client.scenario.admin_client import AdminClient
from hermes_client.scenario.cli_options import add_report_options, write_reports
from hermes_client.scenario.delivery import choose_delivery
from hermes_client.scenario.kill import CutStreams, KilledFromOutside, Killer, KillWithKubectl, build_kubectl_kill
from hermes_client.scenario.option_rules import SCENARIO_RULES, kills_pod, refuse_ignored
from hermes_client.scenario.progress import Progress, choose_progress
from hermes_client.scenario.reach import MeshReach
from hermes_client.scenario.report import EXIT_UNPROVEN, ScenarioReport
from hermes_client.scenario.restart_resume import RESTART_TIMEOUT_S, STEP_TIMEOUT_S, RestartResume
from hermes_client.scenario.soak import Soak
from hermes_client.tls import PLAIN, ClientTls, PlainText
from hermes_core.errors import HermesError

_EPILOG = """examples:
  against two nodes, harming none (the apps' own streams are cut):
    python -m hermes_client.scenario --addresses a.example:8443,b.example:8443 --ca ca.crt
  in the cluster, while a harness kills a node once READY is printed:
    python -m hermes_client.scenario --addresses M-0.M-nodes:8443,M-1.M-nodes:8443 --ca /tls/ca.crt --wait-for-kill
  taking a pod away with kubectl:
    python -m hermes_client.scenario --addresses … --ca ca.crt --kill kubectl --namespace default --pod M-0
  messages for two minutes while nodes are restarted, at least two resumes expected:
    python -m hermes_client.scenario --addresses … --ca ca.crt --duration 120 --min-resumes 2
  with positions and records checked on the nodes:
    … --admin http://M-0.M-nodes:9090,http://M-1.M-nodes:9090 --admin-token-file /admin/token
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hermes_client.scenario",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_scenario_options(parser)
    parser.add_argument("--addresses", required=True, help="app addresses of the nodes, host:port, with commas between")
    return parser


def add_scenario_options(parser: argparse.ArgumentParser, more_kills: Sequence[str] = ("kubectl",)) -> None:
    """Everything but --addresses. `more_kills` are ways to kill that the caller offers besides the scenario's own."""
    reach = parser.add_argument_group("how to reach the mesh")
    reach.add_argument("--ca", type=Path, metavar="FILE", help="CA (PEM) that signed the nodes' certificates")
    reach.add_argument("--server-name", metavar="NAME", help="name to expect in the certificates instead of the address")
    reach.add_argument("--plain", action="store_true", help="no TLS")
    reach.add_argument("--admin", default="", metavar="URLS", help="admin servers, with commas between")
    reach.add_argument("--admin-token-file", type=Path, metavar="FILE", help="bearer token of the admin servers")
    kill = parser.add_argument_group("how to kill a node")
    kill.add_argument(
        "--kill",
        choices=("none", "external", "operator", *more_kills),
        help="none (default): cut the apps' own streams; external, operator: somebody else does it once READY is printed "
        "(a freeze that cost no message passes, and is told; where nothing is noticed to happen within --restart-timeout, "
        "nothing is proven); kubectl: delete a pod",
    )
    kill.add_argument("--wait-for-kill", action="store_true", help="the same as --kill external")
    kill.add_argument("--ready-file", type=Path, metavar="FILE", help="also write this file when READY is printed")
    kill.add_argument("-n", "--namespace", help="of the pod, for --kill kubectl (default: the context's)")
    kill.add_argument("--pod", help="the pod to take away, for --kill kubectl")
    kill.add_argument("--context", help="kubeconfig context, for --kill kubectl")
    soak = parser.add_argument_group("soak: keep messages flowing while nodes are restarted from outside")
    soak.add_argument("--duration", type=float, default=0.0, metavar="SECONDS", help="more than 0 chooses this mode")
    soak.add_argument("--pairs", type=int, default=1, help="chats at once")
    soak.add_argument("--rate", type=float, default=20.0, help="messages a second from each app")
    soak.add_argument("--min-resumes", type=int, default=0, help="fewer resumes than this prove nothing")
    soak.add_argument("--stop-file", type=Path, metavar="FILE", help="end the flow early once this file exists")
    parser.add_argument("--messages", type=int, default=400, help="messages in all (default 400)")
    parser.add_argument("--step-timeout", type=float, default=STEP_TIMEOUT_S, metavar="SECONDS")
    parser.add_argument("--restart-timeout", type=float, default=RESTART_TIMEOUT_S, metavar="SECONDS")
    add_report_options(parser)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when every promise was kept, 1 when one was broken, 2 when nothing was proven (or it could not run)."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    refuse_ignored(parser, options, SCENARIO_RULES)
    try:
        report = asyncio.run(run_from_options(options, choose_progress(sys.stdout, notes=True)))
    except HermesError as error:
        sys.stderr.write(f"hermes scenario: {error}\n")
        return EXIT_UNPROVEN
    except KeyboardInterrupt:
        return 130
    write_reports(report, options)
    return report.exit_code


async def run_from_options(options: argparse.Namespace, progress: Progress) -> ScenarioReport:
    """Run what the options of `build_parser` ask for."""
    reach = build_reach(options)
    delivery = choose_delivery(os.environ)
    if options.duration > 0:
        soak = Soak(
            reach,
            progress,
            KilledFromOutside(options.ready_file, options.stop_file),
            duration_s=options.duration,
            pairs=options.pairs,
            rate=options.rate,
            min_resumes=options.min_resumes,
            delivery=delivery,
            step_timeout_s=options.step_timeout,
        )
        return await soak.run()
    scenario = RestartResume(
        reach,
        build_killer(options),
        progress,
        messages=options.messages,
        delivery=delivery,
        step_timeout_s=options.step_timeout,
        restart_timeout_s=options.restart_timeout,
    )
    return await scenario.run()


def build_reach(options: argparse.Namespace) -> MeshReach:
    """Addresses, TLS and admin servers from the options; HermesError says what is missing."""
    addresses = tuple(filter(None, options.addresses.split(",")))
    if not addresses:
        raise HermesError("--addresses is empty; give host:port of at least one node")
    urls = [url.rstrip("/") for url in options.admin.split(",") if url]
    if urls and options.admin_token_file is None:
        raise HermesError("--admin needs --admin-token-file")
    admin = {url: AdminClient.from_file(url, options.admin_token_file) for url in urls}
    return MeshReach(addresses, _build_tls(options), admin)


def build_killer(options: argparse.Namespace) -> Killer:
    """The way to kill that the options ask for."""
    if options.wait_for_kill or options.kill in ("external", "operator"):
        return KilledFromOutside(options.ready_file)
    if kills_pod(options):
        if not options.pod:
            raise HermesError("--kill kubectl needs --pod (and --namespace)")
        return KillWithKubectl(build_kubectl_kill(options.namespace, options.pod, context=options.context))
    return CutStreams()


def _build_tls(options: argparse.Namespace) -> ClientTls | PlainText:
    if options.plain:
        return PLAIN
    return ClientTls(ca_file=options.ca, server_name=options.server_name)
