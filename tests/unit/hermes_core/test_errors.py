"""What an error shows of itself."""

from __future__ import annotations

from hermes_core.errors import ErrorCode, ProtocolError


def test_an_error_of_the_protocol_shows_its_code_wherever_it_is_printed() -> None:
    assert repr(ProtocolError(ErrorCode.TARGET_OFFLINE)) == "ProtocolError('TARGET_OFFLINE')"
    assert repr(ProtocolError(ErrorCode.INVALID_FRAME, "too long")) == "ProtocolError('INVALID_FRAME: too long')"
