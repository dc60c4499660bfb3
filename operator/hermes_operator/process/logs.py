"""Logs of the operator: one JSON object a line for machines, or text for people, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "settings", "k8s_skip", "k8s_ref"}
# They repeat what the worker says, or every request.
_QUIET = ("kopf", "kubernetes", "aiohttp", "asyncio", "urllib3")


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _RESERVED and not key.startswith("_")}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up_logs(level: str, log_format: str) -> None:
    """Configure the root logger."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.DEBUG if root.level == logging.DEBUG else max(logging.WARNING, root.level))
