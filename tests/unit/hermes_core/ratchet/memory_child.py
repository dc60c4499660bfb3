"""A process with two ends of a live channel, for test_key_memory.py: `memory_child.py on|off BUSY` says ready and waits.

Keys are deterministic (the test knows them from the reference) but for ML-KEM's secrets, whose ciphertexts are told.
Nothing here holds a copy of a key.
"""

from __future__ import annotations

import hashlib
import sys

from hermes_core.crypto import mlkem, secret, x25519
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.ids import ChannelKind, ChatId, app_party, derive_app_id
from hermes_core.ratchet.channel import Channel, ChannelParams

FIRST_EPOCH_MESSAGES = 300
SECOND_EPOCH_MESSAGES = 40
NONCE = bytes(12)


def derive_input(name: str, length: int = 32) -> SecretBytes:
    """A deterministic input, in a buffer that is wiped."""
    held = SecretBytes(length)
    digest = (hashlib.sha256 if length == 32 else hashlib.sha512)(name.encode()).digest()
    held.buffer[:] = digest
    secret.wipe_bytes(digest)
    return held


def make_ends() -> list[Channel]:
    identities = [Identity.from_seed(derive_input(f"identity {side}")) for side in (0, 1)]
    parties = [app_party(derive_app_id(identity.public_key)) for identity in identities]

    def make(side: int) -> Channel:
        class Ephemerals:
            def __init__(self) -> None:
                self.asked = {x25519.KEY_BYTES: 0, mlkem.SEED_BYTES: 0}

            def fill(self, buffer: bytearray) -> None:
                self.asked[len(buffer)] += 1
                secret = derive_input(f"ephemeral {side} {self.asked[len(buffer)]}", len(buffer))
                buffer[:] = secret.buffer
                secret.wipe()

        return Channel(
            kind=ChannelKind.END_TO_END,
            chat_id=ChatId(bytes(16)),
            identity=identities[side],
            local=parties[side],
            peer=parties[1 - side],
            peer_public_key=identities[1 - side].public_key,
            params=ChannelParams(),
            random=Ephemerals(),
        )

    return [make(0), make(1)]


def exchange(ends: list[Channel], count: int, seconds_apart: float) -> None:
    for index in range(count):
        now = index * seconds_apart
        text = b"text" if index % 3 else b"text" * 1250  # long ones go through the other library
        for sender, receiver in (ends, ends[::-1]):
            receiver.open(sender.seal(text, now, nonce=NONCE), now)


def main(wiping: str, pace: str) -> None:
    secret._wiping_enabled = wiping == "on"
    ends = make_ends()
    for count in (FIRST_EPOCH_MESSAGES, SECOND_EPOCH_MESSAGES):
        answer, confirm = ends[1].answer_offer(ends[0].start_offer(0.0), 0.0)
        print(answer.kem.hex(), flush=True)
        ends[1].check_confirm(ends[0].epoch + 1, ends[0].complete(answer, confirm, 0.0), 0.0)
        exchange(ends, count, 0.0 if pace == "busy" else 60.0)
    print("live", flush=True)
    sys.stdin.readline()
    for end in ends:
        end.wipe()
    print("wiped", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
