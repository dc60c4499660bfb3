"""hermesctl check: the restart/resume scenario, against this machine, any addresses, or a mesh in a cluster."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from typing import Any

from hermes_client.scenario.cli import add_scenario_options, run_from_options
from hermes_client.scenario.cli_options import write_reports
from hermes_client.scenario.demo import MAX_NODES, run_demo
from hermes_client.scenario.option_rules import SCENARIO_RULES, OptionRule, kills_pod, refuse_ignored
from hermes_client.scenario.progress import choose_progress
from hermes_ctl.check_job import check_in_cluster
from hermes_ctl.kube import Cluster

_EPILOG = """examples:
  hermesctl check --local
      two nodes on this machine, SIGKILL of one in the middle of a chat
  hermesctl check --mesh demo -n chat
      in the cluster: a Job with two apps; the streams are cut, no node is killed
  hermesctl check --mesh demo -n chat --kill pod
      the same, and the first app's pod (or the one of --pod) is taken away without grace
  hermesctl check --addresses a.example:8443,b.example:8443 --ca ca.crt --junit report.xml
      any mesh that can be reached from here

The exit code is 0 when every promise was kept, 1 when one was broken, 2 when nothing was proven: the check could not run, or
nothing was noticed to happen to any node while it waited (every promise was kept, and the last line begins with UNPROVEN).
"""

_REACH = ("ca", "server_name", "plain", "admin", "admin_token_file")
_SOAK = ("duration", "pairs", "rate", "min_resumes", "stop_file")
_KILL = ("kill", "wait_for_kill", "ready_file", "namespace", "pod", "context")
_NOT_LOCAL = (*_REACH, *_KILL, *_SOAK, "kubeconfig")
_NODES = OptionRule("with --local", lambda options: options.local, ("nodes",))
_NOT_MESH = (*_REACH, "stop_file", "json", "junit")


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "check",
        help="prove that a chat survives the death of a node",
        description="Handshake, messages, rekey, death of a node, resume, messages, teardown: nothing lost, nothing left over.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--local", action="store_true", help="a mesh of processes on this machine, made for the check")
    where.add_argument("--mesh", metavar="NAME", help="a HermesMesh in the cluster; the check runs there as a Job")
    where.add_argument("--addresses", help="app addresses of the nodes, host:port, with commas between")
    parser.add_argument(
        "--nodes",
        type=int,
        choices=range(1, MAX_NODES + 1),
        default=2,
        metavar=f"1..{MAX_NODES}",
        help="nodes of --local (default 2)",
    )
    parser.add_argument("--kubeconfig", help="kubeconfig file, for --mesh")
    add_scenario_options(parser, more_kills=("kubectl", "pod"))
    parser.set_defaults(run=partial(run, parser))


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    refuse_ignored(parser, options, _choose_rules(options))
    if options.mesh:
        return check_in_cluster(Cluster.from_options(options), options)
    if options.local:
        timeouts = {"step_timeout_s": options.step_timeout, "restart_timeout_s": options.restart_timeout}
        report = asyncio.run(run_demo(options.nodes, messages=options.messages, **timeouts))
    else:
        report = asyncio.run(run_from_options(options, choose_progress(sys.stdout, notes=True)))
    write_reports(report, options)
    return report.exit_code


def _choose_rules(options: argparse.Namespace) -> tuple[OptionRule, ...]:
    """What each place understands; the first rule that an option breaks is the one that is told."""
    if options.local:
        return (
            OptionRule("with --mesh or --addresses: --local kills one of its own nodes, once", _never, _NOT_LOCAL),
            *SCENARIO_RULES,
        )
    if options.mesh:
        # The Job reaches every node of its mesh, and writes nothing; namespace and context are those of the mesh.
        rules = tuple(rule for rule in SCENARIO_RULES if not {"pod", "kill"} & set(rule.names))
        return (
            OptionRule("with --addresses", _never, _NOT_MESH),
            OptionRule("with --kill pod", kills_pod, ("pod",)),
            _NODES,
            *rules,
        )
    return (OptionRule("with --mesh", _never, ("kubeconfig",)), _NODES, *SCENARIO_RULES)


def _never(_options: argparse.Namespace) -> bool:
    return False
