"""hermesctl node: what one node's admin server tells."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from hermes_client.scenario.admin_client import AdminClient
from hermes_ctl.admin_options import add_admin_options, open_admin
from hermes_ctl.output import add_output_option, format_table, print_data
from hermes_ctl.terminal import say
from hermes_proto.v2.admin_pb2 import MeshMembers, Ratchets

_EPILOG = """examples:
  kubectl port-forward demo-0 9090 &
  hermesctl node --admin http://127.0.0.1:9090 --token-file token            readiness, members, chats
  hermesctl node --admin http://127.0.0.1:9090 --token-file token -o json
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "node",
        help="ask one node: readiness, members, ratchets",
        description="Ask one node's admin server for its readiness, the members it sees, and where its ratchets stand.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_admin_options(parser)
    add_output_option(parser, ("table", "json", "yaml"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    view = open_admin(options)
    readiness, members, resume, ratchets = asyncio.run(_ask(view))
    if options.output != "table":
        named = {"readiness": readiness, "members": members, "resume": resume, "ratchets": ratchets}
        print_data({name: _to_dict(message) for name, message in named.items()}, options.output)
        return 0
    say("ready" if readiness.ready else "not ready: " + "; ".join(readiness.reasons))
    say(
        f"{resume.node_id}: {resume.live_chats} chats, {resume.resumed} resumed at its start, keystore generation "
        f"{resume.keystore.generation}, {resume.keystore.commit_counter} commits\n"
    )
    say(_format_members(members) + "\n")
    say(_format_ratchets(ratchets))
    return 0


async def _ask(view: AdminClient) -> tuple[Any, Any, Any, Any]:
    return await asyncio.gather(view.read_readiness(), view.read_members(), view.read_resume(), view.read_ratchets())


def _to_dict(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _format_members(members: MeshMembers) -> str:
    rows = [
        (
            entry.node_id + (" (this)" if entry.self else ""),
            entry.state + (", out of reach from here" if entry.unreached else ""),
            entry.address,
            str(entry.apps) if entry.self else "",
            entry.version,
        )
        for entry in members.members
    ]
    return format_table(("node", "state", "address", "apps", "version"), rows)


def _format_ratchets(ratchets: Ratchets) -> str:
    rows = [
        (
            chat.chat_ref,
            chat.state,
            channel.kind,
            "up" if channel.up else "down",
            str(channel.epoch) + (f"→{channel.pending_epoch}" if channel.pending_epoch else ""),
            f"{channel.send.position}/{channel.send.reserved}",
            f"{channel.recv.position}/{channel.recv.reserved}",
        )
        for chat in ratchets.chats
        for channel in chat.channels
    ]
    if not rows:
        return "no chats"
    return format_table(("chat", "state", "channel", "path", "epoch", "send/reserved", "recv/reserved"), rows)
