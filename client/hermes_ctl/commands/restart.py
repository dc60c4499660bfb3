"""hermesctl restart: ask the operator for a verified rolling restart."""

from __future__ import annotations

import argparse
import datetime as dt
import time
from typing import Any

from hermes_ctl.errors import EXIT_BROKEN_PROMISE
from hermes_ctl.kube import Cluster, Json, add_kube_options
from hermes_ctl.terminal import say
from hermes_operator import names

POLL_S = 1.0

_EPILOG = """examples:
  hermesctl restart demo                 ask for it, return at once
  hermesctl restart demo --wait          show each node as it comes back, end with the result
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "restart",
        help="restart a mesh node by node, each verified",
        description="Restart the nodes of a mesh one at a time; the operator checks that each resumed its chats.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mesh", help="name of the HermesMesh")
    parser.add_argument("--wait", action="store_true", help="wait for the end of the rollout")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS", help="with --wait (default 900)")
    add_kube_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    cluster = Cluster.from_options(options)
    before = cluster.get_mesh(options.mesh).get("status", {}).get("rollout", {}).get("finishedAt")
    asked_at = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.annotate_mesh(options.mesh, {names.ANNOTATION_RESTARTED: asked_at})
    say(f"hermesmesh {options.mesh}: restart asked for at {asked_at}")
    if not options.wait:
        say(f"follow it with: hermesctl status {options.mesh} -n {cluster.namespace} --watch")
        return 0
    return _follow(cluster, options, before)


def _follow(cluster: Cluster, options: argparse.Namespace, finished_before: str | None) -> int:
    deadline = time.monotonic() + options.timeout
    shown = ""
    while time.monotonic() < deadline:
        rollout = cluster.get_mesh(options.mesh).get("status", {}).get("rollout", {})
        line = describe_rollout(rollout)
        if line != shown:
            say(line)
            shown = line
        if rollout.get("step") == "Halted":
            return EXIT_BROKEN_PROMISE
        if rollout.get("step") == "Idle" and rollout.get("finishedAt") not in (None, finished_before):
            return 0
        time.sleep(POLL_S)
    say(f"not finished after {options.timeout:.0f} s; it goes on in the cluster")
    return EXIT_BROKEN_PROMISE


def describe_rollout(rollout: Json) -> str:
    """Where a rolling restart stands, in one line."""
    done = ", ".join(rollout.get("completed", []))
    parts = [rollout.get("step", "Idle"), rollout.get("pod", ""), rollout.get("message", ""), f"done: {done}" if done else ""]
    return "  ".join(part for part in parts if part)
