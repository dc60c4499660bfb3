"""The admin HTTP server: health and metrics for everybody who reaches it, the rest for who holds the token."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_node.admin.bodies import read_body
from hermes_node.admin.departure import read_departure
from hermes_node.admin.scrapes import Scrapes
from hermes_node.admin.view import AdminView, ProcessAnswers, SealedView
from hermes_node.config.addresses import Address
from hermes_node.config.preflight import MAX_TOKEN_BYTES, MIN_TOKEN_BYTES
from hermes_node.errors import ListenError
from hermes_node.logs.event_log import EventLog
from hermes_proto.v2 import admin_pb2
from hermes_wire.http_server import Handler, HttpBounds, HttpServer, OnHttpRefused

BODY_S: Final = 10.0
"""How long the body of a request may take, which holds a place of its own."""
_STATUS: Final = {ErrorCode.KEYSTORE_SEALED: 503, ErrorCode.INVALID_FRAME: 400}
"""What an admin request can be refused with; any other code is a defect of ours: 500."""


class AdminServer:
    """Listens from the first moment, so that liveness holds while the keystore is still sealed."""

    def __init__(
        self,
        process: ProcessAnswers,
        token_file: str,
        log: EventLog,
        on_refused: OnHttpRefused = lambda *_: None,
        bounds: HttpBounds | None = None,
    ) -> None:
        self._process = process
        self._scrapes = Scrapes(process.render_metrics)
        self._view: AdminView = SealedView(process.why_not_ready)
        self._token_file = token_file
        self._log = log
        self._server = HttpServer(self._routes(), bounds, on_refused)

    def show(self, view: AdminView) -> None:
        """Answer from `view` from now on: the node reached another step."""
        self._view = view

    async def start(self, address: Address) -> Address:
        """Listen; the bound address. ListenError when that is not possible."""
        try:
            return Address(*await self._server.start(address.host, address.port))
        except OSError as error:
            raise ListenError(f"admin.listen: {address}: {error.strerror}") from None

    async def stop(self) -> None:
        await self._server.stop()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self._health),
            web.get("/readyz", self._ready),
            web.get("/metrics", self._metrics),
            web.post("/drain", self._guarded(self._drain)),
            web.get("/mesh/members", self._guarded(lambda _: self._view.list_members())),
            web.get("/crypto/ratchets", self._guarded(lambda _: self._view.list_ratchets())),
            web.get("/resume", self._guarded(lambda _: self._view.report_resume())),
            web.post("/resume", self._guarded(self._check_resume)),
            web.post("/resume/mark", self._guarded(self._take_mark)),
            web.post("/resume/witness", self._guarded(lambda _: self._view.take_witness())),
            web.post("/wipe", self._guarded(lambda _: self._view.wipe())),
        ]

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        reasons = self._process.why_not_ready()
        return _answer(admin_pb2.Readiness(ready=not reasons, reasons=reasons), status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._scrapes.answer(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _drain(self, request: web.Request) -> Message:
        left = self._process.begin_drain(read_departure(request.query))
        return admin_pb2.DrainStatus(draining=True, sessions=left.sessions, live_chats=left.live_chats)

    async def _check_resume(self, request: web.Request) -> Message:
        return await self._view.check_resume(read_body(await _read(request), admin_pb2.ResumeWitness()))

    async def _take_mark(self, request: web.Request) -> Message:
        return await self._view.take_mark(read_body(await _read(request), admin_pb2.HandedBack()))

    def _guarded(self, handle: Callable[[web.Request], Awaitable[Message]]) -> Handler:
        """Only with the bearer token; errors become JSON with their code."""

        async def respond(request: web.Request) -> web.Response:
            if not self._authorized(request):
                self._log.warning("admin_refused", path=request.path)
                return _error(401, "AUTH_FAILED", "send Authorization: Bearer <content of admin.token_file>")
            try:
                return _answer(await handle(request))
            except ProtocolError as error:
                return _error(_STATUS.get(error.code, 500), error.code.name, error.detail)

        return respond

    def _authorized(self, request: web.Request) -> bool:
        token = read_token(self._token_file)
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return token is not None and hmac.compare_digest(given, b"Bearer " + token)


def read_token(path: str) -> bytes | None:
    """The admin token, read anew at each request so that it can be rotated; None when there is no usable one."""
    if not path:
        return None
    try:
        with Path(path).open("rb") as stream:
            token = stream.read(MAX_TOKEN_BYTES + 1).strip()
    except OSError:
        return None
    return token if MIN_TOKEN_BYTES <= len(token) <= MAX_TOKEN_BYTES else None


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body took too long\n") from None
    except web.RequestPayloadError:
        raise web.HTTPBadRequest(text="the body is not what its head says\n") from None


def _answer(message: Message, status: int = 200) -> web.Response:
    body = json_format.MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return web.Response(text=body + "\n", status=status, content_type="application/json")


def _error(status: int, code: str, detail: str) -> web.Response:
    return web.json_response({"code": code, "detail": detail}, status=status)
