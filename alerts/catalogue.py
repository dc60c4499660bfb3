"""All recording and alert rules, in the order in which people read them."""

from __future__ import annotations

from alerts import crypto, handshakes, members, mesh, operator
from alerts.model import Alert, Recording

RECORDINGS: tuple[Recording, ...] = mesh.RECORDINGS + handshakes.RECORDINGS
ALERTS: tuple[Alert, ...] = mesh.ALERTS + members.ALERTS + handshakes.ALERTS + crypto.ALERTS + operator.ALERTS

NAMES: tuple[str, ...] = tuple(dict.fromkeys(alert.name for alert in ALERTS))
"""Names once each; some have several rules."""
