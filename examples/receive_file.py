"""Receives files from send_file.py into a folder, one after the other. Kill it, start it again: it goes on where it was.

python receive_file.py ADDRESSES CA_FILE STORE FOLDER        (the passphrase of the store: HERMES_EXAMPLE_PASSPHRASE)

Each piece has its place in the file by the number of its message, so one that comes again after a kill is written to the same
place. A piece is acknowledged once the disk has it; that is what holds a sender back who is faster than this disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermes_client import AppStore, Chat, ChatEndedError, ClientTls, HermesClient, Message
from hermes_core.errors import HermesError, ProtocolError

PIECE_BYTES = 60 * 1024  # as send_file.py cuts it
SYNC_EVERY = 32  # pieces; a window of the sender has room for more
HEAD = b"head "  # of a key among the app's own records: what message 1 of a chat said


@dataclass
class Arrival:
    """A file that is on its way: it has another name until it is whole."""

    head: dict[str, Any]
    folder: Path
    key: str

    @property
    def part(self) -> Path:
        return self.folder / f"{self.key}.part"

    @property
    def whole(self) -> Path:
        return self.folder / str(self.head["name"])

    @property
    def pieces(self) -> int:
        return -(-int(self.head["bytes"]) // PIECE_BYTES)

    def has_arrived(self) -> bool:
        """It has its name already: this app was killed before it said so."""
        return not self.part.exists() and self.whole.exists() and self.matches(self.whole)

    def matches(self, path: Path) -> bool:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == str(self.head["sha256"])


def parse_head(content: bytes) -> dict[str, Any]:
    """ValueError for what is none: the other app may be any. A name is never a path."""
    head = json.loads(content)
    if not re.fullmatch(r"\w[\w. -]{0,99}", head["name"]) or not isinstance(head["bytes"], int) or head["bytes"] < 0:
        raise ValueError(head)
    return {"name": head["name"], "bytes": head["bytes"], "sha256": str(head["sha256"])}


async def open_arrival(chat: Chat, messages: AsyncIterator[Message], store: AppStore, folder: Path) -> Arrival:
    """The file of this chat: what message 1 said, now or in a former start."""
    content = (await store.read_own()).get(HEAD + chat.chat_id)
    if content is None:
        first = await anext(messages)
        content = first.content
        parse_head(content)
        await store.write_own({HEAD + chat.chat_id: content})
        first.ack()
    return Arrival(parse_head(content), folder, chat.chat_id.hex())


async def write_pieces(messages: AsyncIterator[Message], arrival: Arrival) -> Message | None:
    """Until the last one is on the disk; returns it, not acknowledged: a start to which none comes would wait for nothing."""
    arrival.part.touch()
    with arrival.part.open("r+b") as file:
        while arrival.pieces:
            message = await anext(messages)
            if message.seq > 1:  # the head may come again as well
                file.seek((message.seq - 2) * PIECE_BYTES)
                file.write(message.content)
            last = message.seq >= arrival.pieces + 1
            if last or message.seq % SYNC_EVERY == 0:
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
                print(f"received {(message.seq - 1) * 100 // arrival.pieces} %", flush=True)
            if last:
                return message
            if message.seq % SYNC_EVERY == 0:
                message.ack()  # all up to this one are safe: only now may the sender forget them
    return None


async def receive(chat: Chat, store: AppStore, folder: Path) -> None:
    messages = chat.messages()
    arrival = await open_arrival(chat, messages, store, folder)
    last: Message | None = None
    if chat.last_sent == 0:  # the verdict is our only message: it was not sent yet
        arrived = await asyncio.to_thread(arrival.has_arrived)
        if not arrived:
            last = await write_pieces(messages, arrival)
            arrived = await asyncio.to_thread(arrival.matches, arrival.part)
            if arrived:
                arrival.part.replace(arrival.whole)
        verdict = f"{'whole' if arrived else 'damaged'}: {arrival.head['name']}, {arrival.head['bytes']} bytes"
        await chat.send(verdict.encode())
        print(verdict, flush=True)
    if last is not None:
        last.ack()
    async for message in messages:  # until the sender, who has read that, ends the chat
        message.ack()
    await store.write_own({}, [HEAD + chat.chat_id])


async def receive_or_complain(chat: Chat, store: AppStore, folder: Path) -> None:
    """What is wrong with one sender is not the others' trouble."""
    try:
        await receive(chat, store, folder)
    except (HermesError, ValueError, KeyError, TypeError, StopAsyncIteration) as error:
        print(f"{chat.peer}: {type(error).__name__}: {error}", flush=True)
        if chat.ended is None:
            await chat.delete()


async def main(addresses: str, ca_file: str, store: str, folder: str) -> None:
    kept, place = AppStore(store, os.environ["HERMES_EXAMPLE_PASSPHRASE"]), Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    async with HermesClient(addresses.split(","), tls=ClientTls(ca_file=Path(ca_file)), store=kept) as client:
        print("receiving as", client.app_id, flush=True)
        chats = {asyncio.create_task(receive_or_complain(chat, kept, place)) for chat in client.chats.values()}
        async for offer in client.offers():
            try:
                chat = await offer.accept()
            except (ProtocolError, ChatEndedError) as error:  # it did not wait for us
                print(f"{offer.app_id}: {error}", flush=True)
                continue
            task = asyncio.create_task(receive_or_complain(chat, kept, place))
            chats.add(task)
            task.add_done_callback(chats.discard)


if __name__ == "__main__":
    if len(sys.argv) != 5 or "HERMES_EXAMPLE_PASSPHRASE" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (HermesError, OSError) as error:
        sys.exit(f"receive_file: {error}")
    except KeyboardInterrupt:
        pass
