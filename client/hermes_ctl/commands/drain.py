"""hermesctl drain: tell one node to send its apps away, until it is back or, with their chats, for good."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from hermes_client.scenario.admin_client import AdminClient
from hermes_ctl.admin_options import add_admin_options, open_admin
from hermes_ctl.errors import EXIT_BROKEN_PROMISE
from hermes_ctl.terminal import say

POLL_S: Final = 0.5

_EPILOG = """examples:
  before a restart: new apps and chats are refused, the chats that are there wait for the node:
    hermesctl drain --admin http://127.0.0.1:9090 --token-file token --back-within 60

  before a node goes for good: its apps move their chats to other nodes while it still serves; 1 when chats are left:
    hermesctl drain --admin http://127.0.0.1:9090 --token-file token --chats move --wait 120

Chats of apps that are away stay: those apps move them when they are back and do not find the node.
A node that drains takes no apps any more until it is restarted.
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "drain",
        help="tell one node to send its apps away, with their chats or without",
        description="Tell one node to refuse new apps and chats and to send its apps to other nodes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_admin_options(parser)
    parser.add_argument(
        "--chats", choices=("resume", "move"), default="resume", help="wait for the node (default), or move: it goes for good"
    )
    parser.add_argument(
        "--back-within", type=int, default=0, metavar="SECONDS", help="with resume: apps do not give the node up before"
    )
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="with move: until no chat is left, so long")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_drain(open_admin(options), options))


async def _drain(view: AdminClient, options: argparse.Namespace) -> int:
    move = options.chats == "move"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + options.wait
    left = await view.drain(move=move, back_within_s=options.back_within)
    say(f"draining: {left.sessions} apps and {left.live_chats} chats are still here")
    if not move or not options.wait:
        return 0
    while left.live_chats and loop.time() < deadline:
        await asyncio.sleep(min(POLL_S, options.wait))
        left = await view.drain(move=True)
    say("no chat is left" if not left.live_chats else f"{left.live_chats} chats are left after {options.wait:.0f} s")
    return EXIT_BROKEN_PROMISE if left.live_chats else 0
