"""What ends a stream or a connection; raised inside the core only and turned into frames there."""

from __future__ import annotations

from hermes_h2.events import Refusal
from hermes_h2.frames import Code


class ConnectionFault(Exception):  # noqa: N818 - the peer's fault, which is answered, and no error of this program
    def __init__(self, code: Code, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.refusal = refusal
        self.detail = detail


class StreamFault(Exception):  # noqa: N818 - as ConnectionFault
    def __init__(self, code: Code, stream: int) -> None:
        super().__init__(code.name)
        self.code = code
        self.stream = stream


def protocol_fault(detail: str) -> ConnectionFault:
    return ConnectionFault(Code.PROTOCOL_ERROR, Refusal.PROTOCOL, detail)


def size_fault(detail: str) -> ConnectionFault:
    return ConnectionFault(Code.FRAME_SIZE_ERROR, Refusal.PROTOCOL, detail)


def flow_fault(detail: str) -> ConnectionFault:
    return ConnectionFault(Code.FLOW_CONTROL_ERROR, Refusal.FLOW_CONTROL, detail)


def calm_fault(refusal: Refusal, detail: str) -> ConnectionFault:
    return ConnectionFault(Code.ENHANCE_YOUR_CALM, refusal, detail)
