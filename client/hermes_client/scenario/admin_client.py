"""Asks a node's admin server for ratchet positions and records held, to check a promise from outside."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from google.protobuf import json_format
from google.protobuf.message import Message as ProtoMessage

from hermes_core.errors import HermesError
from hermes_proto.v2.admin_pb2 import DrainStatus, MeshMembers, Ratchets, Readiness, ResumeReport

REQUEST_TIMEOUT_S: Final = 5.0
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
FIRST_ANSWER_S: Final = 20.0
"""Network policies let a pod through by its address, which whatever enforces them learns a while after the pod started."""
ASK_AGAIN_S: Final = 0.5

_M = TypeVar("_M", bound=ProtoMessage)


class AdminError(HermesError):
    """The admin server could not be asked; the text says the cure."""


class AdminUnreachableError(AdminError):
    """Nobody answered, which may pass."""


@dataclass(frozen=True, slots=True)
class AdminClient:
    """`url` such as http://127.0.0.1:9090, and the bearer token of the endpoints that tell more than health."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def from_file(cls, url: str, token_file: Path) -> AdminClient:
        """AdminError when `url` is none, or the file cannot be read."""
        if not _is_url(url):
            raise AdminError(f"{url!r} is not the URL of an admin server; it is such as http://127.0.0.1:9090")
        try:
            return cls(url.rstrip("/"), token_file.read_text().strip())
        except OSError as error:
            raise AdminError(f"cannot read the admin token {token_file}: {error.strerror}") from error

    async def read_ratchets(self) -> Ratchets:
        return await self._get("/crypto/ratchets", Ratchets())

    async def read_members(self) -> MeshMembers:
        return await self._get("/mesh/members", MeshMembers())

    async def read_resume(self) -> ResumeReport:
        return await self._get("/resume", ResumeReport())

    async def read_readiness(self) -> Readiness:
        return await self._get("/readyz", Readiness(), accepted=(200, 503))

    async def drain(self, *, move: bool, back_within_s: int = 0) -> DrainStatus:
        """Tell the node to send its apps away: for good, with their chats, or until it is back. What is left."""
        promise = f"&back_within_s={back_within_s}" if back_within_s else ""
        return await self._ask("POST", f"/drain?chats={'move' if move else 'resume'}{promise}", DrainStatus())

    async def _get(self, path: str, into: _M, accepted: tuple[int, ...] = (200,)) -> _M:
        return await self._ask("GET", path, into, accepted)

    async def _ask(self, method: str, path: str, into: _M, accepted: tuple[int, ...] = (200,)) -> _M:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=False) as session,
                session.request(method, self.url + path) as response,
            ):
                body = await response.content.read(MAX_BODY_BYTES)
                if response.status in (401, 403):
                    raise AdminError(f"{self.url} refuses the token; give the one of the mesh's admin Secret")
                if response.status not in accepted:
                    raise AdminError(f"{self.url}{path} answered {response.status}")
                json_format.Parse(body, into, ignore_unknown_fields=True)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AdminUnreachableError(f"cannot reach {self.url}: {_explain(error)}") from error
        except json_format.ParseError as error:
            raise AdminError(f"{self.url}{path} did not answer as an admin server does: {error}") from error
        return into


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        named = parts.hostname is not None and parts.port != 0
    except ValueError:  # no port is written so, or no IPv6 address
        return False
    return parts.scheme in ("http", "https") and named


def _explain(error: Exception) -> str:
    """The system's word for it; the library's names its own settings for TLS, be there TLS or not."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)  # asyncio's own text of a refused connection has no reason
    said = cause.strerror if isinstance(cause, OSError) else str(cause)
    return said or str(cause) or "no answer in time"


@dataclass(frozen=True, slots=True)
class Position:
    """Where one direction of one channel stands on one node."""

    node: str
    chat_ref: str
    channel: int
    kind: str
    direction: str
    epoch: int
    position: int

    @property
    def where(self) -> str:
        return f"{self.kind} {self.direction} of chat {self.chat_ref} on {self.node}"


def list_positions(node: str, ratchets: Ratchets) -> Iterator[Position]:
    """Every direction of every channel that a node reports."""
    for chat in ratchets.chats:
        for index, channel in enumerate(chat.channels):
            for name, direction in (("send", channel.send), ("recv", channel.recv)):
                yield Position(node, chat.chat_ref, index, channel.kind, name, channel.epoch, direction.position)


def place(position: Position) -> tuple[str, str, int, str]:
    """What stays the same when the position moves."""
    return (position.node, position.chat_ref, position.channel, position.direction)


def find_lowered(before: list[Position], after: list[Position]) -> list[str]:
    """Positions that went backwards, in words. Only what both lists name is compared; a higher epoch counts anew from 0."""
    now = {place(position): position for position in after}
    found = []
    for old in before:
        new = now.get(place(old))
        if new is not None and (new.epoch, new.position) < (old.epoch, old.position):
            found.append(f"{old.where} went from {old.epoch}/{old.position} back to {new.epoch}/{new.position}")
    return found


async def read_positions(views: dict[str, AdminClient]) -> list[Position]:
    """Positions of every node that answers, by node name."""
    reports = await asyncio.gather(*(view.read_ratchets() for view in views.values()))
    return [position for node, report in zip(views, reports, strict=True) for position in list_positions(node, report)]


async def count_chats_at_first(views: dict[str, AdminClient], patience_s: float = FIRST_ANSWER_S) -> dict[str, int]:
    """As `count_chats`, for a process that has just started: a server that cannot be reached is asked again meanwhile."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while True:
        try:
            return await count_chats(views)
        except AdminUnreachableError:
            if loop.time() + ASK_AGAIN_S > deadline:
                raise
        await asyncio.sleep(ASK_AGAIN_S)


async def count_chats(views: dict[str, AdminClient]) -> dict[str, int]:
    """Chat records held by each node."""
    reports = await asyncio.gather(*(view.read_resume() for view in views.values()))
    return {node: report.live_chats for node, report in zip(views, reports, strict=True)}
