"""How either end of a link breaks its rules. Whoever sees one is done with the other: the owner kills it, a front exits."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    UNKNOWN_KIND = "unknown_kind"
    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    NOT_GREETED = "not_greeted"
    """Something came before a greeting, or a second one."""
    WRONG_VERSION = "wrong_version"
    WRONG_RUN = "wrong_run"
    STREAM_NUMBER = "stream_number"
    """Of a stream that was opened before, or never."""
    TOO_MANY_STREAMS = "too_many_streams"
    NO_CREDIT = "no_credit"
    TOO_MUCH_CREDIT = "too_much_credit"
    STRANGER_TOO_LONG = "stranger_too_long"
    """A message on a stream of which nothing is proven."""
    AFTER_END = "after_end"
    UNKNOWN_PATH = "unknown_path"
    UNASKED = "unasked"
    """An answer to a PING that was not sent."""
    TOO_OFTEN = "too_often"
    """What it may say, without end."""
    COUNTED_BACK = "counted_back"


class LinkFaultError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault
