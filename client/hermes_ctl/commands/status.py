"""hermesctl status: meshes, and the members of one."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hermes_ctl.commands.restart import describe_rollout
from hermes_ctl.errors import CtlError
from hermes_ctl.kube import Cluster, Json, add_kube_options
from hermes_ctl.output import add_output_option, format_table, print_data
from hermes_ctl.terminal import say

POLL_S = 1.0
MESH_COLUMNS = ("mesh", "ready", "replicas", "resumed", "phase", "version")
MEMBER_COLUMNS = ("pod", "chats", "resumed", "lost", "generation", "commits", "last resume")
WIDE_COLUMNS = ("fingerprint", "version", "detail")
_STYLES = {"Running": "green", "RollingOut": "yellow", "Creating": "yellow", "Halted": "bold red", "Degraded": "bold red"}

_EPILOG = """examples:
  hermesctl status                      meshes of the namespace
  hermesctl status -A                   meshes of all namespaces
  hermesctl status demo                 its nodes, keystores and resume results
  hermesctl status demo --watch         the same, live
  hermesctl status demo -o json
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "status",
        help="show meshes and their nodes",
        description="Show the meshes of a namespace, or the nodes of one mesh with their keystores and resume results.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mesh", nargs="?", help="name of a HermesMesh; all when absent")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="meshes of all namespaces")
    parser.add_argument("-w", "--watch", action="store_true", help="keep showing, until Ctrl-C")
    add_output_option(parser)
    add_kube_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.mesh and options.all_namespaces:
        raise CtlError("a mesh has one namespace: give its name or -A, not both")
    cluster = Cluster.from_options(options)
    if options.watch:
        return _watch(cluster, options)
    meshes = _read(cluster, options)
    if options.output in ("json", "yaml"):
        print_data(meshes[0] if options.mesh else {"items": meshes}, options.output)
    else:
        say(_format(meshes, options))
    return 0


def mesh_row(mesh: Json) -> tuple[str, ...]:
    """One line of a mesh, as the printer columns of the CRD."""
    status = mesh.get("status", {})
    ready = next((c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"), "Unknown")
    return (
        mesh["metadata"]["name"],
        ready,
        status.get("replicasReady", "-"),
        status.get("epochsResumed", "-"),
        status.get("phase", "-"),
        status.get("version", "-"),
    )


def member_row(member: Json, *, wide: bool) -> tuple[str, ...]:
    """One line of a node."""
    row = (
        member["pod"],
        str(member.get("liveChats", "-")),
        str(member.get("resumedChats", "-")),
        str(member.get("lostChats", "-")),
        str(member.get("keystoreGeneration", "-")),
        str(member.get("keystoreCommitCounter", "-")),
        member.get("resumeVerdict", "-"),
    )
    if not wide:
        return row
    return (*row, member.get("identityFingerprint", "-"), member.get("version", "-"), member.get("resumeDetail", "-"))


def list_troubles(mesh: Json) -> list[str]:
    """Conditions that want attention, with their message."""
    troubles = []
    for condition in mesh.get("status", {}).get("conditions", []):
        bad = {"Ready": "False", "CertificatesReady": "False", "ResumeVerified": "False"}.get(condition["type"], "True")
        if condition["status"] == bad and condition["type"] != "Progressing":
            troubles.append(f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}")
    return troubles


def _read(cluster: Cluster, options: argparse.Namespace) -> list[Json]:
    if options.mesh:
        return [cluster.get_mesh(options.mesh)]
    return cluster.list_meshes(all_namespaces=options.all_namespaces)


def _format(meshes: list[Json], options: argparse.Namespace) -> str:
    if not meshes:
        return "no HermesMesh here; look everywhere with -A, or apply docs/examples/hermesmesh.yaml"
    if options.all_namespaces:
        header: tuple[str, ...] = ("namespace", *MESH_COLUMNS)
        rows = [(mesh["metadata"]["namespace"], *mesh_row(mesh)) for mesh in meshes]
    else:
        header, rows = MESH_COLUMNS, [mesh_row(mesh) for mesh in meshes]
    parts = [format_table(header, rows)]
    if options.mesh:
        wide = options.output == "wide"
        members = meshes[0].get("status", {}).get("members", [])
        parts.append(format_table(_member_columns(wide=wide), [member_row(member, wide=wide) for member in members]))
        rollout = meshes[0].get("status", {}).get("rollout", {})
        if rollout.get("step", "Idle") != "Idle":
            parts.append("rollout: " + describe_rollout(rollout))
        parts += list_troubles(meshes[0])
    return "\n\n".join(parts)


def _member_columns(*, wide: bool) -> tuple[str, ...]:
    return (*MEMBER_COLUMNS, *WIDE_COLUMNS) if wide else MEMBER_COLUMNS


def _watch(cluster: Cluster, options: argparse.Namespace) -> int:
    console = Console(file=sys.stdout, highlight=False)
    try:
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(_render(_read(cluster, options), options), refresh=True)
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        return 0


def _render(meshes: list[Json], options: argparse.Namespace) -> Group:
    parts: list[Table | Text] = [_rich_table(MESH_COLUMNS, [mesh_row(mesh) for mesh in meshes])]
    for mesh in meshes:
        status = mesh.get("status", {})
        if options.mesh:
            wide = options.output == "wide"
            rows = [member_row(member, wide=wide) for member in status.get("members", [])]
            parts.append(_rich_table(_member_columns(wide=wide), rows))
        if status.get("rollout", {}).get("step", "Idle") != "Idle":
            parts.append(Text("rollout  " + describe_rollout(status["rollout"]), style="yellow"))
        parts += [Text(trouble, style="red") for trouble in list_troubles(mesh)]
    parts.append(Text(time.strftime("%H:%M:%S") + "  Ctrl-C ends", style="dim"))
    return Group(*parts)


def _rich_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*header, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return table
