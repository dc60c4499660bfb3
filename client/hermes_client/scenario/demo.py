"""`make demo`: real node processes with real keystores on this machine, and a chat that survives SIGKILL of one of them.

`make demo ACT=loss`: the node does not come back, its volume is gone as well, and the chat goes on at another node.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from hermes_client.scenario import home_loss
from hermes_client.scenario.cli_options import add_report_options, write_reports
from hermes_client.scenario.delivery import choose_delivery
from hermes_client.scenario.kill import KillLocalNode
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.scenario.progress import choose_progress
from hermes_client.scenario.reach import MeshReach
from hermes_client.scenario.report import ScenarioReport
from hermes_client.scenario.restart_resume import RESTART_TIMEOUT_S, STEP_TIMEOUT_S, RestartResume
from hermes_core.errors import HermesError

MAX_NODES = 9
RESTART, LOSS = "restart", "loss"

_EPILOG = """examples:
  python -m hermes_client.scenario.demo                  two nodes, 400 messages, SIGKILL of the first app's node
  python -m hermes_client.scenario.demo --nodes 3 --kill-node 2
  python -m hermes_client.scenario.demo --act loss       three nodes; the first one is lost with its volume
  DEMO_BREAK=drop-message python -m hermes_client.scenario.demo    must fail, and name the message
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hermes-demo",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--act", choices=(RESTART, LOSS), default=RESTART, help="a node comes back (default), or it does not")
    parser.add_argument("--nodes", type=int, default=2, choices=range(1, MAX_NODES + 1), metavar=f"1..{MAX_NODES}")
    parser.add_argument(
        "--kill-node",
        type=int,
        default=0,
        metavar="N",
        help="which node dies: 0, where the first app is at home (default), or the last one, where the second is",
    )
    parser.add_argument("--messages", type=int, default=400, help="messages in all (default 400)")
    add_report_options(parser)
    return parser


async def run_demo(
    nodes: int = 2,
    kill_node: int = 0,
    messages: int = 400,
    *,
    environment: dict[str, str] | None = None,
    step_timeout_s: float = STEP_TIMEOUT_S,
    restart_timeout_s: float = RESTART_TIMEOUT_S,
) -> ScenarioReport:
    """Start the mesh, run the scenario against it, end every process."""
    delivery = choose_delivery(os.environ if environment is None else environment)
    if kill_node not in (0, nodes - 1):
        raise HermesError(f"the chat does not pass through node {kill_node}; --kill-node is 0 or {nodes - 1}")
    progress = choose_progress(sys.stdout)
    async with LocalMesh(nodes) as mesh:
        scenario = RestartResume(
            MeshReach.of_local(mesh),
            KillLocalNode(mesh, kill_node),
            progress,
            messages=messages,
            delivery=delivery,
            step_timeout_s=step_timeout_s,
            restart_timeout_s=restart_timeout_s,
        )
        return await scenario.run()


async def run_loss(messages: int = 400, *, environment: dict[str, str] | None = None) -> ScenarioReport:
    """Start a mesh, take one of its nodes away for good, end every process."""
    delivery = choose_delivery(os.environ if environment is None else environment)
    async with LocalMesh(home_loss.NODES) as mesh:
        return await home_loss.HomeLoss(mesh, choose_progress(sys.stdout), messages=messages, delivery=delivery).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when every promise was kept, 1 when one was broken, 2 when the demo could not run."""
    options = build_parser().parse_args(arguments)
    try:
        report = asyncio.run(_run_until_signal(options))
    except HermesError as error:
        sys.stderr.write(f"hermes-demo: {error}\n")
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("hermes-demo: interrupted; every node was stopped\n")
        return 130
    write_reports(report, options)
    return report.exit_code


async def _run_until_signal(options: argparse.Namespace) -> ScenarioReport:
    # SIGTERM must end the node processes as Ctrl-C does.
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if options.act == LOSS:
        return await run_loss(options.messages)
    return await run_demo(options.nodes, options.kill_node, options.messages)


if __name__ == "__main__":
    sys.exit(main())
