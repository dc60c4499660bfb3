"""What a node's chat machine adds to the cryptography of a relayed frame, at 1, 16 and 64 frames a pass.

Bare is what no relay can do without: open the frame on one channel, seal it on another. Ours is everything between the message
and the output: finding the chat, the window, both channels, what settles with the output, the output itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.measure import Figure, build_cost_figure, interleave
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.endpoint.events import ChatOffered
from hermes_core.endpoint.params import AppParams
from hermes_core.endpoint.router import AppChats
from hermes_core.ids import ChannelKind, ChatId, NodeId, app_party, derive_app_id
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.payload import encode_data
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.params import ChannelParams
from hermes_core.relay.neighbour import Neighbour, app_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.router import NodeChats
from hermes_core.session.keys import StreamKeys

PASSES = (1, 16, 64)
FRAMES = 1_920
ROUNDS = 7
NODE = NodeId("node-0")
NONCE = bytes(12)
PAYLOAD = encode_data(1, bytes(1024))
"""A message of the size of 1 KiB; its end-to-end half is nothing a node looks into."""


def run() -> list[Figure]:
    figures = []
    for frames in PASSES:
        samples = interleave({"machine": Relayed(frames).relay, "bare": Bare().relay}, operations=FRAMES, rounds=ROUNDS)
        name = f"a relayed frame through the chat machine, {frames} a pass ÷ opening and sealing it"
        figures.append(build_cost_figure(f"15-{frames}", name, samples, "machine", "bare", must=1.7, aim=1.4) | {"lower": True})
    return figures


def feed(seal: Callable[[], bytes]) -> Iterator[bytes]:
    """Frames made ahead, as many as all rounds and the warm-up need: making them is not part of the figure."""
    return iter([seal() for _ in range(FRAMES * ROUNDS + FRAMES)])


class Relayed:
    """One chat between two apps of one node; `relay` hands it frames of the first app."""

    def __init__(self, frames_a_pass: int) -> None:
        self._frames_a_pass = frames_a_pass
        identity = Identity.generate()
        self._node = NodeChats(identity=identity, node_id=NODE, params=ChatParams(), random=SYSTEM_RANDOM)
        identities = [Identity.generate() for _ in range(2)]
        self._apps = [AppChats(identity=each, params=AppParams(), random=SYSTEM_RANDOM) for each in identities]
        self._names: list[Neighbour] = [app_neighbour(app.app_id) for app in self._apps]
        for stream, (each, app) in enumerate(zip(identities, self._apps, strict=True)):
            keys = StreamKeys(bytes([stream]) * 32, NONCE, NONCE)
            self._node.connected(self._names[stream], stream, each.public_key, keys, 0.0)
            app.connected(NODE, identity.public_key, keys, 0.0)
        chat_id = self._apps[0].start_chat(self._apps[1].app_id, 0.0)
        while self._exchange():
            pass
        leg = self._apps[0].chats[chat_id].leg
        self._frames = feed(lambda: leg.seal(PAYLOAD, 0.0, nonce=NONCE))

    def _exchange(self) -> bool:
        moved = False
        for app, name in zip(self._apps, self._names, strict=True):
            output = app.take_output()
            for event in output.events:
                if isinstance(event, ChatOffered):
                    app.accept(event.chat_id, 0.0)
            for message in output.sends:
                self._node.receive(name, message, 0.0)
            moved |= bool(output.sends or output.events)
        for send in self._node.take_output().sends:
            self._apps[send.stream].receive(send.message, 0.0)  # type: ignore[arg-type]
            moved = True
        return moved

    def relay(self, operations: int) -> None:
        node, source = self._node, self._names[0]
        for start in range(0, operations, self._frames_a_pass):
            for _ in range(min(self._frames_a_pass, operations - start)):
                node.receive(source, Sealed(next(self._frames)), 0.0)
            output = node.take_output()
            for record in output.puts.values():
                record.wipe()
            if not output.relayed_messages:
                raise AssertionError("nothing was relayed")


class Bare:
    """Two channels: the frame is opened on one and sealed on the other."""

    def __init__(self) -> None:
        near, far = make_channels()
        self._incoming = far
        self._onward, _ = make_channels()
        self._frames = feed(lambda: near.seal(PAYLOAD, 0.0, nonce=NONCE))

    def relay(self, operations: int) -> None:
        for _ in range(operations):
            self._onward.seal(self._incoming.open(next(self._frames), 0.0, nonce=NONCE), 0.0, nonce=NONCE)


def make_channels() -> tuple[Channel, Channel]:
    identities = (Identity.generate(), Identity.generate())
    parties = [app_party(derive_app_id(identity.public_key)) for identity in identities]
    near, far = (
        Channel(
            kind=ChannelKind.LEG,
            chat_id=ChatId(bytes(16)),
            identity=identities[side],
            local=parties[side],
            peer=parties[1 - side],
            peer_public_key=identities[1 - side].public_key,
            params=ChannelParams(),
            random=SYSTEM_RANDOM,
        )
        for side in (0, 1)
    )
    answer, confirm = far.answer_offer(near.start_offer(0.0), 0.0)
    far.check_confirm(1, near.complete(answer, confirm, 0.0), 0.0)
    return near, far
