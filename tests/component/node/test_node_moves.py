"""A node is lost with its volume: its apps come up elsewhere with their chats, over real nodes and streams."""

from __future__ import annotations

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatEnded, ChatReady
from tests.support.nodes import QUICK, wait_logged, wait_ready
from tests.support.raw_app import RawApp

COUNT = 40


def numbered(prefix: str, start: int, end: int) -> list[bytes]:
    return [f"{prefix}{index}".encode() for index in range(start, end)]


async def test_a_chat_goes_on_when_its_home_is_killed_with_its_volume() -> None:
    """Said before, while the home is gone, and after: everything comes once and in order, both ways."""
    async with LocalMesh(3, settings=QUICK) as mesh:
        await wait_ready(mesh)
        async with (
            RawApp(mesh.nodes[0].app, mesh.ca_file) as one,
            RawApp(mesh.nodes[1].app, mesh.ca_file) as two,
        ):
            await one.wait_found(two)
            chat = await one.start_chat(two)
            await one.wait_event(ChatReady)
            await two.wait_event(ChatReady)
            await one.say(chat, *numbered("m", 0, COUNT))
            await two.say(chat, *numbered("r", 0, COUNT))
            await mesh.kill(0)
            mesh.nodes[0].keystore_path.unlink()
            await one.disconnect()
            await one.say(chat, *numbered("m", COUNT, 2 * COUNT))
            await two.say(chat, *numbered("r", COUNT, 2 * COUNT))
            await one.reconnect(mesh.nodes[2].app)
            await one.do(one.chats.move)
            await one.wait(lambda: one.chats.chats[chat].can_send)
            await one.say(chat, *numbered("m", 2 * COUNT, 3 * COUNT))
            await two.say(chat, *numbered("r", 2 * COUNT, 3 * COUNT))
            await two.wait(lambda: len(two.contents()) >= 3 * COUNT)
            await one.wait(lambda: len(one.contents()) >= 3 * COUNT)
            assert two.contents() == numbered("m", 0, 3 * COUNT)
            assert one.contents() == numbered("r", 0, 3 * COUNT)
            assert not any(isinstance(event, ChatEnded) for app in (one, two) for event in app.events)
            await wait_logged(mesh.nodes[2], "chat_moved", direction="arrived", channel="leg")
            await wait_logged(mesh.nodes[1], "chat_moved", direction="arrived", channel="tieline")
