"""Secrets in the memory of a real node process with a real keystore, measured at every stage of its life.

The parent reads what is secret from copies of the node's volume, with passphrase and independent reference, so that the node
tells nothing; then it searches the node's memory. A node is not dumpable: who is not root may not look, and skips.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hermes_client.chat import Chat
from hermes_client.client import HermesClient
from hermes_client.scenario.local_mesh import LocalMesh, LocalNode
from hermes_client.tls import ClientTls
from tests.support.keystore_image import Image, Secrets, take_image
from tests.support.memory import read_memory
from tests.support.nodes import QUICK, ask_admin, wait_logged, wait_ready, wait_until

CHATS = 6
SETTINGS = {**QUICK, "keystore": {"rotate_after_deletes": 1}}
STAYS = {"seed", "floor key"}
"""Of what is no generation's and no chat's, this is in use as long as a node serves."""


class Watched:
    """Node 0 of a mesh of two with an app on each, several chats between them, and what is known of node 0's secrets."""

    def __init__(self, mesh: LocalMesh, folder: Path, app: HermesClient) -> None:
        self.mesh = mesh
        self.app = app
        self._folder = folder
        self._numbers = itertools.count()
        self.images: list[Image] = []
        self.pairs: list[tuple[Chat, Chat]] = []
        self.contents: list[bytes] = []

    @property
    def node(self) -> LocalNode:
        return self.mesh.nodes[0]

    def look(self) -> Image:
        """What the keystore holds now."""
        image = take_image(self.node, self.mesh.passphrase, self._folder / f"image-{next(self._numbers)}")
        self.images.append(image)
        return image

    def of_records(self) -> Secrets:
        """Pieces of every record that was ever seen."""
        return {f"{name}, image {n}": piece for n, image in enumerate(self.images) for name, piece in image.of_records.items()}

    def find(self, secrets: Secrets) -> set[str]:
        """Names of those that are in the node's memory.

        Searched for without their first and last 8 bytes: the allocator overwrites the first ones of what it frees.
        """
        try:
            memory = read_memory(self.node.pid)
        except PermissionError:
            pytest.skip("a node is not dumpable, and only root reads its memory all the same")
        middles = {value[8:-8] for value in secrets.values()}
        present = {middle for middle in middles if middle in memory}
        return {name for name, value in secrets.items() if value[8:-8] in present}

    def ordinary(self) -> Secrets:
        """What a node keeps as `bytes`."""
        key = Path(str(self.node.settings["mesh"]["tls_key"])).read_bytes()
        return {"TLS key": key.splitlines()[1], "admin token": self.mesh.admin_token.encode()}

    def of_session(self) -> Secrets:
        """The keys of the first app's session."""
        session = self.app._open_keeper.session
        assert session is not None
        assert session._keys is not None
        return {"to node": bytes(session._keys.writer._key.buffer), "to app": bytes(session._keys.reader._key.buffer)}

    def of_apps(self) -> Secrets:
        """What was said, and the end-to-end keys of the first app, by the chats' places in `pairs`."""
        found = {f"content {number}": content for number, content in enumerate(self.contents)}
        for number, (chat, _) in enumerate(self.pairs):
            epoch = self.app.driver._machine._chats[chat.chat_id].end_to_end.epochs.current
            assert epoch is not None
            keys = {"mac": epoch.mac.buffer, "ratchet": epoch.ratchet.buffer}
            keys |= {"send": epoch.send._key, "recv": epoch.recv._key}
            found |= {f"end-to-end {name} {number}": bytes(key) for name, key in keys.items()}
        return found

    async def is_gone(self, secrets: Secrets) -> bool:
        return not self.find(secrets)

    async def open_chats(self, first: HermesClient, second: HermesClient) -> None:
        offers = second.offers()
        for _ in range(CHATS):
            starting = asyncio.create_task(first.start_chat(second.app_id))
            other = await (await anext(offers)).accept()
            self.pairs.append((await starting, other))

    async def talk(self) -> None:
        for pair in self.pairs:
            for chat in pair:
                self.contents.append(os.urandom(40))
                await chat.send(self.contents[-1])
            for chat in pair:
                (await anext(chat)).ack()
            for chat in pair:
                await chat.drain()

    async def settle(self) -> None:
        """Until nothing is committed any more, for a second."""
        marks: list[object] = []
        while marks[-4:] != marks[-1:] * 4 or not marks:
            marks.append((await ask_admin(self.mesh, 0, "GET", "/resume"))[1]["keystore"])
            await asyncio.sleep(0.3)


@asynccontextmanager
async def watch(folder: Path) -> AsyncIterator[Watched]:
    async with LocalMesh(2, settings=SETTINGS) as mesh:
        await wait_ready(mesh)
        tls = ClientTls(ca_file=mesh.ca_file)
        async with HermesClient(mesh.nodes[0].app, tls=tls) as first, HermesClient(mesh.nodes[1].app, tls=tls) as second:
            await first.wait_for_app(second.app_id)
            watched = Watched(mesh, folder, first)
            await watched.open_chats(first, second)
            await watched.talk()
            await watched.settle()
            yield watched


async def test_what_a_serving_node_has_used_up_is_gone(tmp_path: Path) -> None:
    async with watch(tmp_path) as watched:
        began = watched.look()
        assert len(began.chats) == CHATS
        found = watched.find(began.everything)
        assert (
            STAYS | began.in_use.keys() | began.of_chats.keys() == found
        )  # a live node's own, and proof that the scan finds it

        for chat, _ in watched.pairs:
            await chat.rekey()
        await watched.talk()
        await watched.settle()
        rekeyed = watched.look()
        await wait_until(lambda: watched.is_gone(began.of_chats))
        assert watched.find(rekeyed.of_chats) == rekeyed.of_chats.keys()
        assert not watched.find(watched.of_records())

        ended = watched.pairs[0][0]
        await ended.delete()
        await wait_logged(watched.node, "keystore_rotated")
        await watched.settle()
        rotated = watched.look()
        assert rotated.generation == began.generation + 1
        assert not watched.find(rekeyed.chats[ended.chat_id])
        former = {name: key for name, key in (began.in_use | began.passing).items() if name not in rotated.everything}
        assert len(former) == 5
        assert not watched.find(former | rotated.passing)
        assert not watched.find(watched.of_records())
        assert watched.find(rotated.everything) >= STAYS | rotated.in_use.keys() | rotated.of_chats.keys()


@asynccontextmanager
async def asking(watched: Watched) -> AsyncIterator[None]:
    """An admin request is under way, with the token: its body is still to come."""
    host, _, port = str(watched.node.admin).rpartition(":")
    head = f"POST /resume HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {watched.mesh.admin_token}\r\n"
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"{head}Content-Length: 1\r\nExpect: 100-continue\r\n\r\n".encode())
        assert b" 100 " in await reader.readline()
        yield
    finally:
        writer.close()


async def test_a_dump_holds_what_the_security_page_says(tmp_path: Path) -> None:
    """docs/concepts/security.md, What CPython may leave behind; what is of the keystore is searched for above.

    The token is that of a request under way: after one it is left until something else is written there.
    """
    async with watch(tmp_path) as watched:
        ordinary, session = watched.ordinary(), watched.of_session()
        assert len(watched.of_apps()) == CHATS * (2 + 4)
        async with asking(watched):
            assert watched.find(ordinary | session | watched.of_apps()) == ordinary.keys() | session.keys()
        assert (await ask_admin(watched.mesh, 0, "POST", "/wipe"))[0] == 200
        async with asking(watched):
            assert watched.find(ordinary | session) == ordinary.keys()


async def test_a_start_leaves_nothing_of_what_it_read_and_a_wipe_nothing_at_all(tmp_path: Path) -> None:
    async with watch(tmp_path) as watched:
        watched.look()
        await watched.mesh.stop(0)
        stopped = watched.look()
        await watched.mesh.start(0)
        assert not watched.find(stopped.of_records | stopped.passing)
        assert watched.find(stopped.everything) >= STAYS | stopped.in_use.keys()
        await watched.settle()
        watched.look()
        assert (await ask_admin(watched.mesh, 0, "POST", "/wipe"))[0] == 200
        for image in watched.images:
            assert not watched.find(image.everything)


async def test_without_wiping_the_scan_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("from hermes_core.crypto import secret\nsecret._wiping_enabled = False\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), *filter(None, sys.path))))
    async with watch(tmp_path) as watched:
        began = watched.look()
        await watched.mesh.stop(0)
        await watched.mesh.start(0)
        assert watched.find(began.of_records)
        assert (await ask_admin(watched.mesh, 0, "POST", "/wipe"))[0] == 200
        assert watched.find(began.everything)  # which of them is left is up to the allocator
