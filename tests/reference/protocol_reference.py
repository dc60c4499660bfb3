"""The wire protocol once more, straight from docs/reference/protocol.md: hashlib, hmac, PyNaCl, cryptography's ML-KEM.

No line of the product: plain functions of plain bytes, secrets are test data. `h` is "sha256" or "sha512", the suite's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)

HASHES = ("sha256", "sha512")
SUITES = {1: "sha256", 2: "sha512", 3: "sha256", 4: "sha512"}
"""Number of a suite to its hash; ML-KEM-768 takes part from 3 on."""
KINDS = {"end-to-end": 1, "leg": 2, "tieline": 3}


# Notation


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def lp(value: bytes) -> bytes:
    return u32(len(value)) + value


def digest(h: str, data: bytes) -> bytes:
    return hashlib.new(h, data).digest()


def mac(h: str, key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, h).digest()


def hkdf_expand(h: str, prk: bytes, info: bytes, length: int) -> bytes:
    okm = block = b""
    counter = 1
    while len(okm) < length:
        block = mac(h, prk, block + info + u8(counter))
        okm += block
        counter += 1
    return okm[:length]


# Parties


def public_key(seed: bytes) -> bytes:
    return bytes(crypto_sign_seed_keypair(seed)[0])


def sign(seed: bytes, data: bytes) -> bytes:
    return bytes(crypto_sign(data, crypto_sign_seed_keypair(seed)[1])[:64])


def verifies(key: bytes, data: bytes, signature: bytes) -> bool:
    try:
        return bool(crypto_sign_open(signature + data, key) == data)
    except Exception:  # noqa: BLE001  # whatever the binding raises means no
        return False


def fingerprint(key: bytes) -> str:
    return base64.b32encode(hashlib.sha256(key).digest()[:20]).decode().lower().rstrip("=")


def app_party(key: bytes) -> str:
    return "app:" + fingerprint(key)


def node_party(node_id: str, key: bytes) -> str:
    return f"node:{node_id}:{fingerprint(key)}"


# Connect


def hello(suites: bytes, suite: int, node: str, node_half: bytes, app: str, app_half: bytes, handed_back: bytes) -> bytes:
    """A half: public key, 32 random bytes, ephemeral."""
    head = lp(b"hermes/v2 session") + lp(suites) + u8(suite)
    return head + lp(node.encode()) + node_half + lp(app.encode()) + app_half + lp(handed_back)


def connect_data(node: str, app_key: bytes, stamp: int, hello_bytes: bytes) -> bytes:
    return lp(b"hermes/v2 connect") + lp(node.encode()) + app_key + u64(stamp) + digest("sha256", hello_bytes)


def settings(app_id: str, heartbeat_interval_ms: int, max_frame_bytes: int, window_frames: int, own_mark: bytes) -> bytes:
    numbers = u64(heartbeat_interval_ms) + u64(max_frame_bytes) + u64(window_frames)
    return lp(app_id.encode()) + numbers + lp(own_mark)


def mark(seed: bytes, open_id: bytes, generation: int, commit_counter: int) -> bytes:
    body = public_key(seed) + open_id + u64(generation) + u64(commit_counter)
    return body + sign(seed, b"hermes/v2 keystore mark" + body)


def judge_mark(
    openings: list[tuple[bytes, int, int]], settled: int, noted: list[bytes], counter: int, own: bool, mark_bytes: bytes
) -> str:
    """Each opening: id, start, reached; the last is the present one. `own`: the mark's key is the node's, or was."""
    open_id, commit = mark_bytes[32:48], int.from_bytes(mark_bytes[56:64], "big")
    if not own or commit <= openings[0][1]:
        return "IGNORED"
    reached = {opened: until for opened, _, until in openings} | {openings[-1][0]: counter}
    if commit <= reached.get(open_id, -1):
        return "FINE"
    return "IGNORED" if commit <= settled or open_id in noted or commit > counter + 2**40 else "ROLLED_BACK"


def session_transcript(hello_bytes: bytes, stamp: int, app_signature: bytes, settings_bytes: bytes) -> bytes:
    return digest("sha256", hello_bytes + u64(stamp) + app_signature + lp(settings_bytes))


def connected_data(transcript: bytes) -> bytes:
    return lp(b"hermes/v2 connected") + lp(transcript)


def session_keys(shared: bytes, transcript: bytes) -> dict[str, bytes]:
    prk = mac("sha256", digest("sha256", b"hermes/v2 session"), shared)
    keys = {"prk": prk}
    for purpose, length in (("a2n mac", 32), ("n2a mac", 32), ("a2n nonce", 12), ("n2a nonce", 12), ("binding", 32)):
        info = lp(b"hermes/v2 session keys") + lp(transcript) + lp(purpose.encode())
        keys[purpose] = hkdf_expand("sha256", prk, info, length)
    return keys


# Between nodes


def node_half(party: str, key: bytes, challenge: bytes, ephemeral: bytes, suites: bytes) -> bytes:
    return lp(party.encode()) + key + challenge + ephemeral + lp(suites)


def proof_data(kind: int, role: int, halves: bytes, suite: int) -> bytes:
    """`halves`: the dialler's, then the acceptor's."""
    return lp(b"hermes/v2 join") + u8(kind) + u8(role) + halves + u8(suite)


def join_transcript(kind: int, halves: bytes, suite: int, proofs: bytes) -> bytes:
    return digest("sha256", lp(b"hermes/v2 join") + u8(kind) + halves + u8(suite) + proofs)


# Tags of control messages

STATEMENT = "nnbbbb"
CLAIM = "nnbnnnnb"
DESCRIPTOR = "tbtntbtb"
HOME_ENTRY = "tbb"
MOVE = "bttnbb"
PROOF = "nb"
FACTS = {1: (DESCRIPTOR,), 2: "tbnb", 3: "tbntbnb"}
"""Of membership: its number, then what it holds."""
CONTROL: dict[str, tuple[int, tuple[Any, ...]]] = {
    "Offer": (1, ("b", "b", "t", STATEMENT, STATEMENT)),
    "Answer": (2, ("b", "b", STATEMENT, "b", STATEMENT, "b")),
    "Confirm": (3, ("b", "n", "b", "n", "b")),
    "Reject": (4, ("b", "n", "n")),
    "Resume": (5, ("b", [CLAIM])),
    "PathState": (6, ("b", "f")),
    "Closed": (7, ("b", "n", [PROOF])),
    "ClosedAck": (8, ("b", "n")),
    "Delete": (9, ("b", "f", [PROOF])),
    "ErrorNotice": (10, ("n", "n", "b", "t", "n")),
    "FindApp": (11, ("t",)),
    "AppFound": (12, ("t", "f", "t")),
    "NodeChange": (13, ("n", "n", "f")),
    "HeldMark": (15, ("b",)),
    "OwnMark": (16, ("b",)),
    "Clock": (17, ("n",)),
    "MoveOffer": (18, ("b", MOVE, STATEMENT)),
    "MoveAnswer": (19, ("b", "n", STATEMENT, "b")),
    "Moved": (20, ("b", MOVE)),
    "MoveWanted": (21, ("b",)),
    "Ping": (22, ("n", "b", "t", [FACTS])),
    "Pong": (23, ("n", "b", [FACTS])),
    "PingRequest": (24, ("n", "t", "b", [FACTS])),
    "PingReport": (25, ("n", "b")),
    "SyncDigests": (26, (["n"],)),
    "SyncListing": (27, ("n", ["tnb"])),
    "SyncWanted": (28, (["t"],)),
    "SyncFacts": (29, ([FACTS],)),
    "HoldEntries": (30, ("n", "b", ["b"], [("t", "b", ["bn"])])),
    "EntriesHeld": (31, ("n",)),
    "FindEntry": (32, ("n", "t")),
    "EntryFound": (33, ("n", HOME_ENTRY)),
    "EntryOvertaken": (34, (HOME_ENTRY,)),
    "FindRefused": (35, ("n", "n", "n")),
    "CarryTo": (36, ("t",)),
    "CarryFrom": (37, ("t",)),
    "Carried": (38, ("b", "f")),
    "MembershipUpdate": (14, ([(DESCRIPTOR, "n", "n")],)),
}
"""Number and layout: b bytes, t text, n number, f flag, a list of what it holds, a choice by number, and parts in a row."""


def canonical(layout: Any, value: Any) -> bytes:
    if layout in ("b", "t"):
        return lp(value.encode() if layout == "t" else value)
    if layout == "n":
        return u64(value)
    if layout == "f":
        return u8(value)
    if isinstance(layout, list):
        return u32(len(value)) + b"".join(canonical(layout[0], item) for item in value)
    if isinstance(layout, dict):
        number, held = value
        return u8(number) + canonical(layout[number], held)
    return b"".join(canonical(part, item) for part, item in zip(layout, value, strict=True))


def control_tag(key: bytes, counter: int, sealed: int, number: int, data: bytes) -> bytes:
    return mac("sha256", key, lp(b"hermes/v2 control") + u64(counter) + u64(sealed) + u8(number) + data)


# The mesh


def descriptor_data(node_id: str, key: bytes, address: str, incarnation: int, version: str, app_address: str) -> bytes:
    said = lp(node_id.encode()) + key + lp(address.encode()) + u64(incarnation) + lp(version.encode())
    return lp(b"hermes/v2 descriptor") + said + lp(app_address.encode())


def home_entry(node_seed: bytes, node_id: str, claim: tuple[bytes, int, bytes, bytes], word: tuple[int, int, bool]) -> bytes:
    """`claim`: app key, stamp, hash of the hello, the app's signature; `word`: incarnation, version, online."""
    (app_key, stamp, hello_hash, signature), (incarnation, version, online) = claim, word
    said = u64(incarnation) + u64(version) + u8(online)
    party = node_party(node_id, public_key(node_seed))
    presence = sign(node_seed, lp(b"hermes/v2 presence") + lp(party.encode()) + app_key + said)
    return app_key + u64(stamp) + hello_hash + signature + said + presence


# Moves


def move_data(chat_id: bytes, mover: str, peer: str, home: str, number: int, leg_offer: bytes) -> bytes:
    parties = lp(mover.encode()) + lp(peer.encode()) + lp(home.encode())
    return lp(b"hermes/v2 move") + chat_id + parties + u64(number) + digest("sha256", leg_offer)


# Witnesses


def ring_place(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(lp(b"hermes/v2 ring") + data).digest()[:8], "big")


def ring_holders(members: list[str], key: str, count: int) -> list[str]:
    points = {ring_place(lp(b"member") + lp(name.encode()) + u32(i)): name for name in members for i in range(64)}
    start = ring_place(lp(b"key") + lp(key.encode()))
    found: list[str] = []
    for place in sorted(points, key=lambda place: (place < start, place)):
        if points[place] not in found:
            found.append(points[place])
    return found[:count]


# Handshake


def head(suites: bytes, kind: int, chat_id: bytes, epoch: int, initiator: str, responder: str) -> bytes:
    """`suites`: lp of an offer's list, u8 of an answer's pick."""
    parties = lp(initiator.encode()) + lp(responder.encode())
    return u8(2) + u8(kind) + suites + chat_id + u32(epoch) + parties


def offer(head_bytes: bytes, order: int, ephemeral: bytes, encapsulation_key: bytes, previous_transcript_hash: bytes) -> bytes:
    keys = ephemeral + lp(encapsulation_key)
    return lp(b"hermes/v2 offer") + head_bytes + u64(order) + keys + lp(previous_transcript_hash)


def answer(h: str, head_bytes: bytes, ephemeral: bytes, ciphertext: bytes, offer_bytes: bytes) -> bytes:
    return lp(b"hermes/v2 answer") + head_bytes + ephemeral + lp(ciphertext) + lp(digest(h, offer_bytes))


def transcript_hash(h: str, offer_bytes: bytes, answer_bytes: bytes) -> bytes:
    return digest(h, lp(b"hermes/v2 transcript") + lp(offer_bytes) + lp(answer_bytes))


def ephemeral_public(private: bytes) -> bytes:
    return bytes(crypto_scalarmult_base(private))


def shared_secret(private: bytes, peer_public: bytes) -> bytes:
    return bytes(crypto_scalarmult(private, peer_public))


def encapsulation_key(seed: bytes) -> bytes:
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def epoch_keys(h: str, shared: bytes, transcript: bytes, previous_ratchet: bytes | None) -> dict[str, bytes]:
    """`shared`: X25519's secret, and ML-KEM-768's behind it when the suite takes it."""
    salt = digest(h, b"hermes/v2 kdf") if previous_ratchet is None else previous_ratchet
    prk = mac(h, salt, shared)
    keys = {"salt": salt, "prk": prk}
    for purpose in ("i2r", "r2i", "mac", "ratchet"):
        keys[purpose] = hkdf_expand(h, prk, lp(b"hermes/v2 keys") + lp(transcript) + lp(purpose.encode()), 32)
    return keys


def confirm(h: str, mac_key: bytes, role: int, transcript: bytes) -> bytes:
    return mac(h, mac_key, lp(b"hermes/v2 confirm") + u8(role) + transcript)


# Ratchet


def step(h: str, chain_key: bytes) -> tuple[bytes, bytes]:
    """(next chain key, message key)."""
    okm = hkdf_expand(h, chain_key, b"hermes/v2 chain", 64)
    return okm[:32], okm[32:]


def message_key(h: str, chain_key: bytes, position: int) -> bytes:
    """The message key of `position`, from the chain key at position 0."""
    for _ in range(position):
        chain_key, _ = step(h, chain_key)
    return step(h, chain_key)[1]


def frame_header(kind: int, chat_id: bytes, epoch: int, direction: int, position: int, start: bytes = b"") -> bytes:
    """`start` end to end, nothing on legs and tielines."""
    return u8(2) + u8(kind) + chat_id + u32(epoch) + u8(direction) + u64(position) + start


def content_nonce(start: bytes) -> bytes:
    return bytes(4) + start


def seal(key: bytes, nonce: bytes, header: bytes, plaintext: bytes, seq: int | None) -> bytes:
    """`seq` end to end, None on legs and tielines."""
    aad = header if seq is None else header + u64(seq)
    return header + bytes(crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, aad, nonce, key))


def padded_length(content_length: int) -> int:
    """Padmé, in the words of the paper: E = ⌊log2 L⌋, S = ⌊log2 E⌋ + 1; rounded up to a multiple of 2^(E - S)."""
    length = 4 + content_length
    e = math.floor(math.log2(length))
    s = math.floor(math.log2(e)) + 1
    unit: int = 2 ** (e - s)
    return max(128, math.ceil(length / unit) * unit)


def content_plaintext(content: bytes, length: int) -> bytes:
    return (u32(len(content)) + content).ljust(length, b"\0")


def ack_tag(h: str, mac_key: bytes, chat_id: bytes, epoch: int, role: int, seq: int) -> bytes:
    return mac(h, mac_key, lp(b"hermes/v2 ack") + chat_id + u32(epoch) + u8(role) + u64(seq))[:16]


def chat_claim(nonce: bytes, epoch: int, transcript: bytes, *numbers: int) -> bytes:
    """The numbers: send_next, recv_proven, order, last seq, delivered, lowest."""
    return nonce + u32(epoch) + transcript[:32] + b"".join(map(u64, numbers))


def chat_claim_tag(h: str, mac_key: bytes, chat_id: bytes, role: int, claimed: bytes) -> bytes:
    return mac(h, mac_key, lp(b"hermes/v2 chat claim") + chat_id + u8(role) + claimed)[:32]


def end_tag(h: str, mac_key: bytes, chat_id: bytes, epoch: int, role: int) -> bytes:
    return mac(h, mac_key, lp(b"hermes/v2 delete") + chat_id + u32(epoch) + u8(role))[:16]


# Resume


def claim(epoch: int, suite: int, transcript: bytes, send_next: int, recv_next: int, recv_proven: int, order: int) -> bytes:
    return u32(epoch) + u8(suite) + lp(transcript) + u64(send_next) + u64(recv_next) + u64(recv_proven) + u64(order)


def claim_tag(h: str, mac_key: bytes, kind: int, chat_id: bytes, role: int, claim_bytes: bytes, binding: bytes) -> bytes:
    data = lp(b"hermes/v2 resume") + u8(2) + u8(kind) + chat_id + u8(role) + claim_bytes + lp(binding)
    return mac(h, mac_key, data)
