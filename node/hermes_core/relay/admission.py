"""Who may open or rekey a chat: limits and throttles, all checked before any cryptography."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId
from hermes_core.relay.neighbour import app_neighbour
from hermes_core.relay.params import ChatParams
from hermes_core.relay.rows import ChatIndex
from hermes_core.relay.token_bucket import TokenBucket

MAX_THROTTLED_APPS: Final = 10_000
"""Apps whose recent handshakes are remembered; the one longest unseen is forgotten first."""


class AppThrottle:
    """How often one app may open chats and ask for rekeys."""

    __slots__ = ("handshakes", "rekeys")

    def __init__(self, params: ChatParams, now: float) -> None:
        self.handshakes = TokenBucket(params.max_handshakes_per_app, params.handshake_refill_s, now)
        factor = params.rekey_app_factor
        self.rekeys = TokenBucket(params.rekey_burst * factor, params.rekey_refill_s / factor, now)


class Admission:
    """The owner of throttles and of how many first handshakes wait for each app."""

    def __init__(self, params: ChatParams, index: ChatIndex) -> None:
        self._params = params
        self._index = index
        self._waiting: dict[AppId, int] = {}
        self._throttles: OrderedDict[AppId, AppThrottle] = OrderedDict()
        self._draining = False

    def drain(self) -> None:
        """Take no new chats; those that live go on."""
        self._draining = True

    def check_open(self) -> None:
        """DRAINING once the node is about to leave."""
        if self._draining:
            raise ProtocolError(ErrorCode.DRAINING, "this node is about to leave")

    def check_room(self, apps: tuple[AppId, AppId]) -> None:
        """LIMIT_EXCEEDED when the node, or one of the apps, has as much as it may have."""
        params = self._params
        if len(self._index) >= params.max_chats:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "this node has as many chats as it may have")
        for app_id in apps:
            if self._index.count_of(app_neighbour(app_id)) >= params.max_chats_per_app:
                raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "the app has as many chats as it may have")
            if self._waiting.get(app_id, 0) >= params.max_handshakes_per_app:
                raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "too many offers of or to the app wait for an answer")

    def charge_handshake(self, app_id: AppId, now: float) -> None:
        """HANDSHAKE_THROTTLED when the app has opened too many chats of late."""
        charge(self._throttle_of(app_id, now).handshakes, now, ErrorCode.HANDSHAKE_THROTTLED)

    def charge_rekey(self, app_id: AppId, now: float) -> None:
        """REKEY_THROTTLED when the app has rekeyed too often, over all its chats."""
        charge(self._throttle_of(app_id, now).rekeys, now, ErrorCode.REKEY_THROTTLED)

    def count_waiting(self, apps: tuple[AppId, AppId], by: int) -> None:
        """Count a first handshake for both its apps, so that neither can be made to hold more than its share."""
        for app_id in apps:
            count = self._waiting.get(app_id, 0) + by
            if count:
                self._waiting[app_id] = count
            else:
                self._waiting.pop(app_id, None)

    def _throttle_of(self, app_id: AppId, now: float) -> AppThrottle:
        throttle = self._throttles.get(app_id)
        if throttle is None:
            throttle = self._throttles[app_id] = AppThrottle(self._params, now)
            if len(self._throttles) > MAX_THROTTLED_APPS:
                self._throttles.popitem(last=False)
        self._throttles.move_to_end(app_id)
        return throttle


def charge(bucket: TokenBucket, now: float, code: ErrorCode) -> None:
    """Take a token; `code`, with the wait, when there is none."""
    wait_ms = bucket.peek(now)
    if wait_ms:
        raise ProtocolError(code, retry_after_ms=wait_ms)
    bucket.take()
