"""hermesctl mesh: who of a mesh sees whom."""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format

from hermes_client.scenario.admin_client import AdminClient, AdminError
from hermes_ctl.errors import EXIT_BROKEN_PROMISE, CtlError
from hermes_ctl.kube import Cluster, add_kube_options
from hermes_ctl.output import add_output_option, print_data
from hermes_ctl.sight import Sight
from hermes_ctl.terminal import may_colour, say
from hermes_operator import names
from hermes_operator.crd_spec import parse_mesh
from hermes_proto.v2.admin_pb2 import MeshMembers

ASKED_AT_ONCE: Final = 8

_EPILOG = """examples:
  hermesctl mesh demo                    every node of a mesh in the cluster is asked, in its own pod
  hermesctl mesh --admin http://127.0.0.1:9090 --admin http://127.0.0.1:9091 --token-file token
  hermesctl mesh demo -o json

A row is what one node says of every other one; a column has the number of its node's row. `#` is half of a broken pair: it
answers others, and not this node. `slow: 5 of 8` says a node of itself (local health). Exit code 1 when a node that answers, or
that others see, is not seen or not reached by all, and when one does not answer. Colours: on a terminal without NO_COLOR.
In a cluster this runs a command in each pod, which needs the right to `create` on `pods/exec`.
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "mesh",
        help="show who of a mesh sees whom, and which pairs do not",
        description="Ask every node of a mesh whom it sees, and show it as a matrix that makes a broken pair visible.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mesh", nargs="?", help="name of a HermesMesh")
    parser.add_argument(
        "--admin", action="append", default=[], metavar="URL", help="or one node's admin server; again for each"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="with --admin: the mesh's admin token")
    add_output_option(parser, ("table", "json", "yaml"))
    add_kube_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if bool(options.mesh) == bool(options.admin):
        raise CtlError("give the name of a mesh in the cluster, or --admin for each node")
    if options.admin and options.token_file is None:
        raise CtlError("--admin needs --token-file, the mesh's admin token")
    sight = _ask_pods(Cluster.from_options(options), options.mesh) if options.mesh else asyncio.run(_ask_nodes(options))
    if options.output == "table":
        say(sight.format(colours=may_colour()))
    else:
        print_data(_plain(sight), options.output)
    return EXIT_BROKEN_PROMISE if sight.list_broken() or sight.silent else 0


def _plain(sight: Sight) -> dict[str, Any]:
    """For programs: words, not signs."""
    return {
        "seen": {by: {of: view.word for of, view in others.items()} for by, others in sight.seen.items()},
        "silent": dict(sight.silent),
        "gone": sight.list_gone(),
        "health": dict(sight.health),
        "broken": [{"view": b.view.word, "of": b.of, "by": list(b.by), "text": b.text} for b in sight.list_broken()],
    }


async def _ask_nodes(options: argparse.Namespace) -> Sight:
    nodes = [AdminClient.from_file(url, options.token_file) for url in options.admin]
    found = await asyncio.gather(*(node.read_members() for node in nodes), return_exceptions=True)
    answers, silent = [], {}
    for node, answer in zip(nodes, found, strict=True):
        if isinstance(answer, MeshMembers):
            answers.append(answer)
        elif isinstance(answer, AdminError):
            silent[node.url] = str(answer)
        else:
            raise answer
    return Sight.of(answers, silent)


def _ask_pods(cluster: Cluster, mesh: str) -> Sight:
    """Each node in its own pod: the token does not leave the cluster."""
    pods = parse_mesh(cluster.get_mesh(mesh)).pods
    command = ["python3", "-m", "hermes_ctl.cli", "node", "--admin", f"http://127.0.0.1:{names.ADMIN_PORT}"]
    command += ["--token-file", f"{names.ADMIN_DIR}/{names.TOKEN_KEY}", "-o", "json"]

    def ask(pod: str) -> MeshMembers | str:
        try:
            said = cluster.run_in_pod(pod, command)
            return json_format.ParseDict(said["members"], MeshMembers(), ignore_unknown_fields=True)
        except (CtlError, json_format.ParseError, KeyError, TypeError) as error:
            return str(error)

    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        found = dict(zip(pods, pool.map(ask, pods), strict=True))
    return Sight.of(
        [answer for answer in found.values() if isinstance(answer, MeshMembers)],
        {pod: answer for pod, answer in found.items() if isinstance(answer, str)},
    )
