"""No honest party is told that it forged, replayed or lost its place, unless a fault explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hermes_core.endpoint.events import FrameRefused
from hermes_core.errors import ErrorCode
from hermes_core.protocol.messages import ErrorNotice
from tests.simulation.invariants.base import Invariant
from tests.simulation.old_volumes import ROLLBACKS

if TYPE_CHECKING:
    from hermes_core.endpoint.output import AppOutput
    from hermes_core.relay.output import NodeOutput
    from tests.simulation.loop import Process
    from tests.simulation.streams import SimStream

ACCUSING: Final = frozenset({ErrorCode.AUTH_FAILED, ErrorCode.REPLAYED_FRAME, ErrorCode.RATCHET_DESYNC, ErrorCode.REPLAYED_KEY})

EXPLAINING: Final = (*ROLLBACKS, "lose_volume", "lose_node", "lose_home_and_app", "hostile_middle", "put_app_back")
"""Who is not what it was, or not who it was, is told so; and who gets what a middle made of a frame says so."""


class NoHonestPartyIsAccused(Invariant):
    name = "no honest party is accused"

    def decided(self, process: Process, output: NodeOutput) -> None:
        for event in output.events:
            self._look(process, event, getattr(event, "code", None))

    def app_decided(self, process: Process, output: AppOutput) -> None:
        for event in output.events:
            if isinstance(event, FrameRefused):
                self._look(process, event, event.code)

    def written(self, stream: SimStream, process: Process, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, ErrorNotice):
                self._look(process, message, message.code)

    def _look(self, process: Process, what: object, code: ErrorCode | None) -> None:
        if code in ACCUSING and not self.world.happened(*EXPLAINING):
            of_chat = " of a chat" if getattr(what, "chat_id", None) is not None else ""
            self.violate(f"{process.name} says {code.name} ({type(what).__name__}{of_chat})")
