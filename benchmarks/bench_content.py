"""End-to-end content, encrypt + decrypt of 1 KiB, against PyPI's vodozemac (Olm) and DoubleRatchet.

All three run one way over an established session: the sender encrypts, the receiver decrypts, every message once.
Hermes pays for reserve-ahead as a node's channel does, durable commits excepted (the peers store nothing either).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import vodozemac

from benchmarks.measure import Figure, build_speed_figure, interleave
from benchmarks.peer_double_ratchet import make_double_ratchet
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.ids import ChannelKind, ChatId, app_party, derive_app_id
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.header import START_BYTES, build_nonce

CONTENT = os.urandom(1024)
OPERATIONS = 2560  # ten windows
ROUNDS = 21


def run() -> list[Figure]:
    double_ratchet = make_double_ratchet(CONTENT)
    samples = interleave({"hermes": make_hermes(), "vodozemac": make_vodozemac()}, operations=OPERATIONS, rounds=ROUNDS)
    slower = interleave({"hermes": make_hermes(), "DoubleRatchet": double_ratchet}, operations=256, rounds=ROUNDS)
    name = "end-to-end content of 1 KiB, encrypt + decrypt: times as fast as {}"
    return [
        build_speed_figure("10a", name.format("vodozemac's Olm session"), samples, "hermes", "vodozemac", must=1.2, aim=2),
        build_speed_figure("10b", name.format("DoubleRatchet"), slower, "hermes", "DoubleRatchet", must=8, aim=15),
    ]


def make_hermes() -> Callable[[int], object]:
    identities = (Identity.generate(), Identity.generate())
    parties = [app_party(derive_app_id(identity.public_key)) for identity in identities]
    params = ChannelParams()
    nonce = build_nonce(bytes(START_BYTES))
    sender, receiver = (
        Channel(
            kind=ChannelKind.END_TO_END,
            chat_id=ChatId(bytes(16)),
            identity=identities[side],
            local=parties[side],
            peer=parties[1 - side],
            peer_public_key=identities[1 - side].public_key,
            params=params,
            random=SYSTEM_RANDOM,
        )
        for side in (0, 1)
    )
    answer, confirm = receiver.answer_offer(sender.start_offer(0.0), 0.0)
    receiver.check_confirm(1, sender.complete(answer, confirm, 0.0), 0.0)
    sequence = 0

    def send(operations: int) -> None:
        nonlocal sequence
        for _ in range(operations):
            sequence += 1
            suffix = sequence.to_bytes(8, "big")
            frame = sender.seal(CONTENT, 0.0, nonce=nonce, aad_suffix=suffix)
            if receiver.open(frame, 0.0, aad_suffix=suffix) != CONTENT:
                raise AssertionError("content changed on its way")

    return send


def make_vodozemac() -> Callable[[int], object]:
    alice, bob = vodozemac.Account(), vodozemac.Account()
    bob.generate_one_time_keys(1)
    sender = alice.create_outbound_session(bob.curve25519_key, next(iter(bob.one_time_keys.values())))
    first = sender.encrypt(b"first").to_pre_key()
    if first is None:
        raise AssertionError("a session begins with a pre-key message")
    receiver, _ = bob.create_inbound_session(alice.curve25519_key, first)
    sender.decrypt(receiver.encrypt(b"established"))

    def send(operations: int) -> None:
        for _ in range(operations):
            kind, message = sender.encrypt(CONTENT).to_parts()
            if receiver.decrypt(vodozemac.AnyOlmMessage.from_parts(kind, message)) != CONTENT:
                raise AssertionError("content changed on its way")

    return send
