"""The asyncio client library, and the restart/resume scenario."""

from __future__ import annotations

import os

# gRPC writes what it thinks of broken connections to the standard error of its process, unless it is told otherwise before.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from hermes_client.backoff import Backoff
from hermes_client.chat import Chat, Message
from hermes_client.client import HermesClient
from hermes_client.errors import (
    CallTimeoutError,
    ChatEndedError,
    ClientClosedError,
    ConnectError,
    ConnectSetupError,
    SessionReplacedError,
    StateLostError,
    StoreError,
)
from hermes_client.offer import ChatOffer
from hermes_client.store import AppStore
from hermes_client.tls import PLAIN, ClientTls, PlainText

__all__ = [
    "PLAIN",
    "AppStore",
    "Backoff",
    "CallTimeoutError",
    "Chat",
    "ChatEndedError",
    "ChatOffer",
    "ClientClosedError",
    "ClientTls",
    "ConnectError",
    "ConnectSetupError",
    "HermesClient",
    "Message",
    "PlainText",
    "SessionReplacedError",
    "StateLostError",
    "StoreError",
]
