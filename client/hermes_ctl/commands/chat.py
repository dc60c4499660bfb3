"""hermesctl chat: a conversation between two terminals, which can outlive both of them, and nodes as well."""

from __future__ import annotations

import argparse
import asyncio
import io
import shlex
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hermes_client.chat import Chat
from hermes_client.client import CONNECT_TIMEOUT_S, HermesClient
from hermes_client.errors import CallTimeoutError, ChatEndedError, StateLostError
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_client.store import AppStore
from hermes_client.tls import PLAIN, ClientTls, PlainText
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.patience import SPREAD
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, parse_app_id
from hermes_ctl.chat.chat_log import ChatLog
from hermes_ctl.chat.chat_store import make_store, with_cures
from hermes_ctl.chat.conversation import Conversation
from hermes_ctl.chat.echo import Echo
from hermes_ctl.chat.typed_lines import read_lines
from hermes_ctl.errors import CtlError
from hermes_ctl.terminal import say

LOCAL_NODES = 2
READY_TIMEOUT_S = 60.0

_EPILOG = """examples:
  first terminal:   hermesctl chat --local
  second terminal:  the line that the first one prints

  with a mesh that runs already; the chat goes on when the same line is given again:
    hermesctl chat --addresses node-0.example:8443,node-1.example:8443 --ca ca.crt --store ~/.hermes/chat
    hermesctl chat --addresses node-1.example:8443,node-0.example:8443 --ca ca.crt --store ~/.hermes/chat --to APP_ID

In the chat, a line that begins with / is a command: /help lists them, /quit leaves, and //TEXT sends /TEXT.

With --store, identity, chats, names and what was said since the last start are in a sealed file: end the program however you
like, nothing is lost or doubled. Without it everything lives in memory, and is gone when the program ends.
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
    parser.add_argument("--store", type=Path, metavar="DIR", help="keep identity and chats there (made when there is none)")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="of the store (default: ask on the terminal)")
    parser.add_argument(
        "--to", metavar="APP", help="call this app: its id, or the name that /name gave it (without --to: wait for a call)"
    )
    parser.add_argument("--echo", action="store_true", help="answer every call and send everything back")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.local and options.store is not None:
        raise CtlError("--store is for a mesh that stays; with --local its nodes end with the program: give --addresses")
    if options.passphrase_file is not None and options.store is None:
        raise CtlError("--passphrase-file is the store's: give --store as well")
    if options.echo and options.to is not None:
        raise CtlError("--echo waits for calls, --to makes one: give one of them")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # Before there is a loop, which would take the first Ctrl-C at the question for the passphrase to itself.
    store = None if options.store is None else make_store(options.store, options.passphrase_file)
    asyncio.run(_chat(options, store))
    return 0


async def _chat(options: argparse.Namespace, store: AppStore | None) -> None:
    async with AsyncExitStack() as stack:
        if options.local:
            say(f"starting {LOCAL_NODES} nodes …")
            mesh = await stack.enter_async_context(LocalMesh(LOCAL_NODES))
            addresses = [node.app for node in mesh.nodes]
            tls: ClientTls | PlainText = ClientTls(ca_file=mesh.ca_file)
        else:
            addresses, tls = options.addresses.split(","), _build_tls(options)
        client, log = await _open_client(options.store, store, addresses, tls, stack)
        say(f"connected to {client.home} as {client.app_id}")
        invitation = f"in another terminal:\n\n    {_build_invitation(client, addresses, tls)}\n"
        if options.echo:
            say(f"answering every call; {invitation}")
            await Echo(client, say).run()
            return
        chat = await _find_chat(client, log, options.to)
        if chat is None:
            say(f"waiting for a call; {invitation}")
            chat = await _answer(client)
        await Conversation(client, chat, log, say, kept=options.store is not None).run(read_lines())


async def _open_client(
    folder: Path | None, store: AppStore | None, addresses: list[str], tls: ClientTls | PlainText, stack: AsyncExitStack
) -> tuple[HermesClient, ChatLog]:
    if folder is None or store is None:
        return await stack.enter_async_context(HermesClient(addresses, tls=tls)), ChatLog(None)
    params = AppParams()
    # A home that is gone is waited for, and then another one is found.
    timeout_s = CONNECT_TIMEOUT_S + params.home_patience_s * (1 + SPREAD)
    client = HermesClient(addresses, tls=tls, params=params, connect_timeout_s=timeout_s, store=store)
    with with_cures(folder):
        await stack.enter_async_context(client)
    log = ChatLog(store)
    await log.open(client.chats)
    return client, log


async def _find_chat(client: HermesClient, log: ChatLog, to: str | None) -> Chat | None:
    """The chat that is meant: one that is kept, or a new one with whom is to be called; None: wait for a call."""
    kept = list(client.chats.values())
    if to is not None:
        app_id = log.find(to) or _parse_target(to, log)
        chat = next((chat for chat in reversed(kept) if chat.peer == app_id), None)
        if chat is None:
            say(f"calling {app_id} …")
            return await _call(client, app_id)
    elif len(kept) > 1:
        names = ", ".join(sorted({log.name_of(chat.peer) if log.find(log.name_of(chat.peer)) else chat.peer for chat in kept}))
        raise CtlError(f"this store has several chats; say which with --to: {names}")
    elif not kept:
        return None
    else:
        chat = kept[0]
    try:
        await chat.wait(lambda: chat.ready, READY_TIMEOUT_S)
    except (CallTimeoutError, ChatEndedError) as error:
        raise CtlError(f"the chat with {log.name_of(chat.peer)} was never confirmed ({error}); call again with --to") from None
    return chat


def _parse_target(to: str, log: ChatLog) -> AppId:
    try:
        return parse_app_id(to)
    except ProtocolError:
        known = ", ".join(log.names) or "none yet"
        raise CtlError(f"--to {to}: neither an app id nor a name of this store's book ({known})") from None


async def _call(client: HermesClient, app_id: AppId) -> Chat:
    try:
        return await client.start_chat(app_id)
    except ProtocolError as error:
        if error.code in (ErrorCode.TARGET_NOT_FOUND, ErrorCode.TARGET_OFFLINE):
            raise CtlError(f"{app_id} is not connected to this mesh; start it first, with the same --addresses") from None
        raise


async def _answer(client: HermesClient) -> Chat:
    async for offer in client.offers():
        try:
            return await offer.accept()
        except (ProtocolError, ChatEndedError, StateLostError) as error:  # whoever called has gone: wait for the next one
            say(f"* a call of {offer.app_id[:8]} came to nothing: {error}")
    raise CtlError("the client was closed")


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
