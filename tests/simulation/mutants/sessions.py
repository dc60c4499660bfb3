"""Mutants in proofs and tags: what a receiver does not check, somebody in the middle makes use of."""

from __future__ import annotations

from typing import Any

from hermes_client.session import HomeSession
from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u64
from hermes_core.crypto.hashing import compute_tag
from hermes_core.protocol.messages import Closed
from hermes_core.protocol.session import Connect
from hermes_core.relay.entrance import Entrance, ProvenApp
from hermes_core.relay.session import Session
from hermes_core.relay.sessions import Sessions
from hermes_core.session import connect, control
from hermes_core.session.canonical import CONTROL, encode_control
from hermes_core.session.control import ControlReader, Tagged
from tests.simulation.invariants.controls import ControlsCountAsSent
from tests.simulation.invariants.ends import EndsSayWhy
from tests.simulation.invariants.proofs import BothSidesProved
from tests.simulation.mutants.mutant import Catalogue, Patches, Room

SESSIONS = Catalogue(Room.CORE)


@SESSIONS.add(
    "tag-unchecked",
    "Any tag will do.",
    ControlsCountAsSent.name,
    schedule="mended-a-flipped-bit-ends-a-chat.json",
)
def _(patches: Patches) -> None:
    patches.set(control, "equal_tags", lambda _ours, _theirs: True)


@SESSIONS.add(
    "content-untagged",
    "A tag says nothing of the message that has it, but for its place.",
    ControlsCountAsSent.name,
    schedule="mended-a-flipped-bit-ends-a-chat.json",
)
def _(patches: Patches) -> None:
    patches.set(control, "encode_control", lambda _: (0, b""))


@SESSIONS.add(
    "tag-not-needed",
    "A control message without a tag is taken for an authentic one.",
    ControlsCountAsSent.name,
    starts_at=650,
)
def _(patches: Patches) -> None:
    def open_item(self: ControlReader, item: Any) -> Any:
        return former(self, Tagged(item, self._next_tag(item)) if type(item) in CONTROL else item)

    former = patches.set(ControlReader, "open", open_item)


def _place_with(patches: Patches, *, controls: bool, sealed: bool) -> None:
    def next_tag(self: Any, message: object) -> bytes:
        place = u64(self._controls if controls else 0) + u64(self._sealed if sealed else 0)
        number, data = encode_control(message)
        return compute_tag(self._hash_id, self._key, b"".join((control._LABEL, place, u8(number), data)))

    patches.set(control._Direction, "_next_tag", next_tag)


@SESSIONS.add(
    "counter-unchecked",
    "A tag says nothing of the messages before it: they are replayed.",
    ControlsCountAsSent.name,
    starts_at=1081,
)
def _(patches: Patches) -> None:
    _place_with(patches, controls=False, sealed=True)


@SESSIONS.add(
    "sealed-count-unchecked",
    "A tag says nothing of the frames before it: one is left out, and nobody knows.",
    ControlsCountAsSent.name,
    starts_at=1317,
)
def _(patches: Patches) -> None:
    _place_with(patches, controls=True, sealed=False)


# before there are tags


@SESSIONS.add(
    "connected-unverified",
    "A client goes on with a Connected whose signature it did not check.",
    BothSidesProved.name,
    starts_at=25,
)
def _(patches: Patches) -> None:
    def verify_signature(key: bytes, data: bytes, signature: bytes) -> None:
        if not data.startswith(lp(labels.CONNECTED)):
            former(key, data, signature)

    former = patches.set(connect, "verify_signature", verify_signature)


@SESSIONS.add(
    "challenge-serves-twice",
    "A challenge that was answered can be answered again on its stream, and the stamp of an answer counts again there.",
    BothSidesProved.name,
    starts_at=16,
)
def _(patches: Patches) -> None:
    again: list[Session] = []
    answered: list[Session] = []

    def receive(self: Sessions, stream: Any, message: Any, now: float) -> None:
        session = self._sessions.get(stream)
        if session is not None and session.link is not None and isinstance(message, Connect) and not session.ending:
            session.wipe()
            self._apps = {app_id: known for app_id, known in self._apps.items() if known is not session}
            again.append(session)
            self._prove(session, message, now)
            again.clear()
        else:
            former(self, stream, message, now)

    def require_newest(self: Sessions, session: Session, *claim: Any) -> None:
        if session not in again:
            require(self, session, *claim)

    def accept(self: Entrance, session: Session, proof: ProvenApp) -> Any:
        answered.append(session)
        try:
            return real_accept(self, session, proof)
        finally:
            answered.clear()

    def forget_question(self: Entrance, session: Session) -> None:
        if session not in answered:
            forget(self, session)

    former = patches.set(Sessions, "receive", receive)
    require = patches.set(Sessions, "_require_newest", require_newest)
    real_accept = patches.set(Entrance, "accept", accept)
    forget = patches.set(Entrance, "_forget_question", forget_question)


@SESSIONS.add(
    "believed-before-proof",
    "A client believes what it was told of its chats before its node had proved who it is.",
    EndsSayWhy.name,
    starts_at=18,
)
def _(patches: Patches) -> None:
    async def read_first(self: HomeSession, *wanted: Any) -> Any:
        real_read = self._stream.read

        async def read() -> Any:
            batch = await real_read()
            while batch and isinstance(batch[0], Closed):
                vars(self).setdefault("_told", []).extend(batch)
                batch = await real_read()
            return batch

        vars(self._stream)["read"] = read
        try:
            return await former(self, *wanted)
        finally:
            del vars(self._stream)["read"]

    async def serve(self: HomeSession, *args: Any) -> None:
        for message in vars(self).pop("_told", ()):
            self._driver.receive(message)
        await former_serve(self, *args)

    former = patches.set(HomeSession, "_read_first", read_first)
    former_serve = patches.set(HomeSession, "serve", serve)
