"""hermesctl chat: a conversation between two terminals, to see a mesh work."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hermes_client.client import HermesClient
from hermes_client.mock_app import MockApp
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.tls import PLAIN, ClientTls, PlainText
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import parse_app_id
from hermes_ctl.errors import CtlError
from hermes_ctl.terminal import say

LOCAL_NODES = 2

_EPILOG = """examples:
  first terminal:   hermesctl chat --local
  second terminal:  the line that the first one prints

  with a mesh that runs already:
    hermesctl chat --addresses node-0.example:8443,node-1.example:8443 --ca ca.crt
    hermesctl chat --addresses node-1.example:8443,node-0.example:8443 --ca ca.crt --to APP_ID

Identity and keys live in memory only: they are gone when the program ends.
"""


def register(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "chat",
        help="chat between two terminals",
        description="Wait for a call, or call another app, and exchange lines of text, encrypted end to end.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--addresses", help="app addresses of the nodes, host:port, with commas between")
    where.add_argument("--local", action="store_true", help=f"start a mesh of {LOCAL_NODES} nodes on this machine for it")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="CA (PEM) that signed the nodes' certificates")
    parser.add_argument("--plain", action="store_true", help="no TLS")
    parser.add_argument("--to", metavar="APP_ID", help="call this app; without it, wait for a call")
    parser.add_argument("--echo", action="store_true", help="answer every call and send everything back")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    asyncio.run(_chat(options))
    return 0


async def _chat(options: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        if options.local:
            say(f"starting {LOCAL_NODES} nodes …")
            mesh = await stack.enter_async_context(LocalMesh(LOCAL_NODES))
            addresses = [node.app for node in mesh.nodes]
            tls: ClientTls | PlainText = ClientTls(ca_file=mesh.ca_file)
        else:
            addresses, tls = options.addresses.split(","), _build_tls(options)
        client = await stack.enter_async_context(HermesClient(addresses, tls=tls))
        say(f"connected to {client.home} as {client.app_id}")
        app = MockApp(client, say)
        if options.echo:
            await app.echo()
        elif options.to:
            await _call(app, options.to)
        else:
            say("waiting for a call; in another terminal:\n\n    " + _build_invitation(client, addresses, tls) + "\n")
            await app.answer()
        await app.converse(_read_lines())


async def _call(app: MockApp, to: str) -> None:
    try:
        await app.call(parse_app_id(to))
    except ProtocolError as error:
        if error.code in (ErrorCode.TARGET_NOT_FOUND, ErrorCode.TARGET_OFFLINE):
            raise CtlError(f"{to} is not connected to this mesh; start it first, with the same --addresses") from None
        raise


def _build_tls(options: argparse.Namespace) -> ClientTls | PlainText:
    return PLAIN if options.plain else ClientTls(ca_file=options.ca)


def _build_invitation(client: HermesClient, addresses: list[str], tls: ClientTls | PlainText) -> str:
    """The command for the other terminal; it starts at the other node where there is one."""
    words = ["hermesctl", "chat", "--addresses", ",".join(reversed(addresses))]
    if isinstance(tls, PlainText):
        words.append("--plain")
    elif tls.ca_file is not None:
        words += ["--ca", str(tls.ca_file)]
    return shlex.join([*words, "--to", client.app_id])


async def _read_lines() -> AsyncIterator[str]:
    """Lines of standard input, until it ends."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            yield line.decode(errors="replace")
    finally:
        transport.close()
