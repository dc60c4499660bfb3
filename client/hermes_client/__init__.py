"""The asyncio client library, the mock app and the restart/resume scenario."""

from __future__ import annotations

from hermes_client.backoff import Backoff
from hermes_client.chat import Chat, Message
from hermes_client.client import ChatOffer, HermesClient
from hermes_client.errors import ChatEndedError, ClientClosedError, ConnectError
from hermes_client.tls import PLAIN, ClientTls, PlainText

__all__ = [
    "PLAIN",
    "Backoff",
    "Chat",
    "ChatEndedError",
    "ChatOffer",
    "ClientClosedError",
    "ClientTls",
    "ConnectError",
    "HermesClient",
    "Message",
    "PlainText",
]
