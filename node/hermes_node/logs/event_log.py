"""Structured logs: one event name per event, one line each, rate limited; never a secret, a full app id or ciphertext."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, TextIO

from hermes_node.logs.events import EVENTS

MAX_FIELD_CHARS: Final = 300
SHORT_CHARS: Final = 8
BURST_LINES: Final = 50
REFILL_LINES_PER_S: Final = 5.0

# App ids and fingerprints (32 characters of base32); chat ids, digests and keys in hex: the first characters are enough.
_LONG_IDS: Final = re.compile(r"(?<![a-z0-9])(?:[a-z2-7]{32}|[0-9a-f]{32,})(?![a-z0-9])")


class Level(IntEnum):
    """Severities; numbers are those of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class EventLog:
    """Writes events to a stream. Each event name has a burst of lines and a steady rate; what was dropped is counted."""

    def __init__(
        self,
        *,
        node_id: str,
        level: str = "info",
        format: str = "json",  # noqa: A002 - the name of the setting
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.level = Level[level.upper()]
        self._format = format
        self._node_id = node_id
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._buckets: dict[str, tuple[float, float, int]] = {}  # event -> lines left, at, dropped

    def info(self, event: str, **fields: object) -> None:
        self.write(Level.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self.write(Level.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        self.write(Level.ERROR, event, fields)

    def write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        """Write one event; its name must be one of `logs.events.EVENTS`."""
        if event not in EVENTS:
            raise KeyError(f"event {event!r} is not in hermes_node.logs.events")
        if level < self.level:
            return
        now = self._clock()
        dropped = self._admit(event, now)
        if dropped is None:
            return
        record: dict[str, object] = {
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level.name.lower(),
            "event": event,
            "node": self._node_id,
        }
        record.update({name: _plain(value) for name, value in fields.items()})
        if dropped:
            record["dropped_before"] = dropped
        with contextlib.suppress(OSError):  # a full disk or a closed pipe behind the log must not stop the node
            self._stream.write(_render(record, self._format) + "\n")
            self._stream.flush()

    def _admit(self, event: str, now: float) -> int | None:
        """None: over the rate; otherwise how many lines of this event were dropped since the last one."""
        left, at, dropped = self._buckets.get(event, (float(BURST_LINES), now, 0))
        left = min(BURST_LINES, left + max(0.0, now - at) * REFILL_LINES_PER_S)
        if left < 1:
            self._buckets[event] = (left, now, dropped + 1)
            return None
        self._buckets[event] = (left - 1, now, 0)
        return dropped


class LibraryHandler(logging.Handler):
    """Turns what libraries say through `logging` into `library_message` events."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            # The type only: an exception's text could quote what an outsider sent.
            fields["exception"] = record.exc_info[0].__name__
        level = Level.ERROR if record.levelno >= Level.ERROR else Level.WARNING
        self._log.write(level, "library_message", fields)


def capture_library_logs(log: EventLog) -> None:
    """Send what libraries log, from WARNING on, through `log`; nothing else writes to standard error."""
    root = logging.getLogger()
    root.handlers[:] = [LibraryHandler(log)]
    root.setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").disabled = True


def shorten_ids(text: str) -> str:
    """Cut every app id, fingerprint and long hex string in `text` to its first 8 characters."""
    return _LONG_IDS.sub(lambda match: match[0][:SHORT_CHARS], text)


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value[:32]]
    return shorten_ids(str(value)[:MAX_FIELD_CHARS])


def _render(record: dict[str, object], format_name: str) -> str:
    if format_name == "json":
        return json.dumps(record, separators=(",", ":"))
    head = f"{record.pop('time')} {str(record.pop('level')).upper():7} {record.pop('event')}"
    return " ".join([head, *(f"{name}={json.dumps(value)}" for name, value in record.items())])
