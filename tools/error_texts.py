"""Cause and cure of every error code, for docs/reference/errors.md. One sentence each; a test holds the list complete."""

from __future__ import annotations

from hermes_core.errors import ErrorCode

CAUSE_AND_CURE: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.INVALID_FRAME: (
        "A message breaks the format or a bound of the protocol: a wrong length, an unknown kind, an identifier that is none.",
        "Correct the sender; nothing changed, and the stream goes on until too many of them came.",
    ),
    ErrorCode.AUTH_FAILED: (
        "A signature, tag or seal does not verify.",
        "Check that both ends use the keys they claim, and the same chat and epoch; nothing changed here.",
    ),
    ErrorCode.INVALID_KEY: (
        "A public key is not a valid point, is of small order, or gives an all-zero shared secret.",
        "Make a fresh key with a maintained library; no honest one makes such keys.",
    ),
    ErrorCode.REPLAYED_KEY: (
        "An ephemeral key was used before in this channel.",
        "Make a fresh ephemeral for every offer and answer.",
    ),
    ErrorCode.REPLAYED_FRAME: (
        "A frame's position is below the next one expected: it was seen before, or was passed over.",
        "Nothing, when it is rare; an honest sender never uses a position twice, so a steady rate is an attack or a defect.",
    ),
    ErrorCode.KEY_MISMATCH: (
        "The two ends of a handshake derived different keys, so the confirmation tag is wrong.",
        "Check that both ends use the same protocol version; then open the chat again.",
    ),
    ErrorCode.KEY_VERSION_MISMATCH: (
        "A statement or frame names another epoch than the one that comes next or is in use.",
        "Resume the channel to learn where the other end stands, then rekey from there.",
    ),
    ErrorCode.CHAT_NOT_FOUND: (
        "The node has no record of this chat: it ended, was never confirmed, lives elsewhere, or the node lost its store.",
        "A client moves the chat to the node again by itself; if the other app has no such chat either, it ends.",
    ),
    ErrorCode.CHAT_EXISTS: (
        "A chat with this id is open already.",
        "Choose 16 fresh random bytes as the chat id.",
    ),
    ErrorCode.CHAT_NOT_READY: (
        "The chat is not confirmed yet, or its channel has not resumed.",
        "Wait for the acceptance or the end of the resume; the client library does.",
    ),
    ErrorCode.TARGET_NOT_FOUND: (
        "The node never heard of the app: nobody with this id connected to the mesh since it started.",
        "Check the app id; an app that has just connected elsewhere for the first time is known in a moment.",
    ),
    ErrorCode.TARGET_OFFLINE: (
        "The app is known, and away: not connected, or it did not answer in time.",
        "Try again when it is there; `start_chat` of the client library does, as long as it is told to. Nodes store no offers.",
    ),
    ErrorCode.ROUTE_UNAVAILABLE: (
        "There is no way at this moment, to the other app's node or from an app to any node, or one there was silent too long.",
        "Try again (the client library does); if it lasts, look at `/mesh/members` of both nodes.",
    ),
    ErrorCode.REKEY_REQUIRED: (
        "The epoch reached `crypto.max_key_lifetime_s` or `crypto.max_key_messages`.",
        "Rekey within `crypto.rekey_grace_s`; the client library does. After that the chat is closed.",
    ),
    ErrorCode.REKEY_THROTTLED: (
        "More rekeys of this chat than `crypto.rekey_burst` and `crypto.rekey_refill_s` allow.",
        "Wait `retry_after_ms`.",
    ),
    ErrorCode.HANDSHAKE_THROTTLED: (
        "An app opens chats, looks up others, or has resumes move positions faster than `limits` or the other app allow.",
        "Wait `retry_after_ms`, or a while where there is none; the client library does.",
    ),
    ErrorCode.RATCHET_DESYNC: (
        "The two ends are further apart than `crypto.max_skip`, or share no epoch; of a stream: a frame is missing on it.",
        "Rekey if the channel still authenticates; otherwise delete the chat and open a new one. Of a stream: connect again.",
    ),
    ErrorCode.RATCHET_FAILED: (
        "The ratchet cannot go on safely: its positions are used up, or its state does not hold together.",
        "Open a new chat; this one is closed so that no position is used twice.",
    ),
    ErrorCode.ROLLBACK_DETECTED: (
        "One end has proof of positions that the other's store has forgotten: that store is an older copy.",
        "Put the newest volume back, or rekey the chat with fresh keys; until then nothing flows. See the runbook.",
    ),
    ErrorCode.BACKPRESSURE: (
        "More messages or bytes are unacknowledged than the window allows.",
        "Wait for acknowledgements; the client library does.",
    ),
    ErrorCode.LIMIT_EXCEEDED: (
        "A bound of the node was reached: sessions, chats, offers that wait, members, or streams that proved nothing.",
        "Wait `retry_after_ms`; without it end chats, use another node, or raise the limit in `[limits]`.",
    ),
    ErrorCode.KEYSTORE_SEALED: (
        "The node's keystore is not open.",
        "Try another node; an operator looks at `/readyz` of this one, which says why.",
    ),
    ErrorCode.DRAINING: (
        "The node is about to leave and takes no new chats.",
        "Connect to another node; live chats resume when this one is back.",
    ),
    ErrorCode.UNSUPPORTED: (
        "The two ends allow no suite in common, or only such as are below the one their chat uses.",
        "Allow one that the other end allows too; one that used a stronger suite is opened anew to go on with less.",
    ),
    ErrorCode.INTERNAL: (
        "A defect of the node; nothing of the request took effect.",
        "Report it with the node's log line `unexpected_error`.",
    ),
    ErrorCode.SESSION_REPLACED: (
        "A newer stream of the same app took over.",
        "Give each process an identity of its own; a client of the library ends with `SessionReplacedError`.",
    ),
    ErrorCode.OFFER_OUTDATED: (
        "An offer whose order is not above that of another one of the same sender in this channel: a newer one overtook it.",
        "Nothing, when it is rare: the newer offer stands. Sent on purpose it is an attempt to undo it.",
    ),
    ErrorCode.CLOCK_SKEW: (
        "A first offer was made, or a Connect stamped, too far from its receiver's time: it is an old one, or a clock is off.",
        "Set the clock of both machines; then open the chat, or connect, again.",
    ),
    ErrorCode.STAMP_OUTDATED: (
        "An app connected with a stamp that is not above its highest one: the Connect was held back, or its clock went back.",
        "Nothing: the client takes a stamp above that one and connects again.",
    ),
}
