"""What a connection knows of one of its streams."""

from __future__ import annotations

from collections import deque

from hermes_h2.messages import MessageBuffer


class StreamState:
    """Both directions. `ended`: the peer has said everything."""

    __slots__ = (
        "answered",
        "credit",
        "declared",
        "ended",
        "id",
        "incoming",
        "lent",
        "offset",
        "proven",
        "queue",
        "receive_left",
        "received",
        "send_left",
        "trailers",
    )

    def __init__(self, stream: int, *, receive_left: int, send_left: int, declared: int | None) -> None:
        self.id = stream
        self.incoming = MessageBuffer()
        self.receive_left = receive_left
        """What the peer may still send."""
        self.credit = 0
        """What was taken and the peer was not told of yet."""
        self.lent = 0
        """Window beyond the stream's own, for a message longer than it."""
        self.declared = declared
        self.received = 0
        self.ended = False
        self.proven = False
        self.send_left = send_left
        self.queue: deque[bytes] = deque()
        """Messages with gRPC's prefix that wait for window, or for the transport; of the first `offset` bytes are gone."""
        self.offset = 0
        self.answered = False
        self.trailers: bytes | None = None
        """How the stream ends once its queue is empty."""
