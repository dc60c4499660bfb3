"""The product against tests/vectors: every construction of the protocol page, byte for byte, both ways."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hermes_core.crypto.hashing import HashId, hash_bytes
from hermes_core.crypto.mlkem import ML_KEM_768, Encapsulation
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.sodium import ffi
from hermes_core.crypto.suites import Suite
from hermes_core.crypto.x25519 import EphemeralKey
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.confirmation import compute_confirm
from hermes_core.handshake.exchange import build_answer, build_offer, complete_offer, verify_offer
from hermes_core.handshake.key_schedule import EpochKeys
from hermes_core.handshake.move import hash_leg_offer, sign_move, verify_move
from hermes_core.handshake.statement import KeyStatement
from hermes_core.handshake.transcript import HandshakeContext, encode_offer
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId, Party, Role, app_party, derive_app_id, node_party
from hermes_core.keystore.lineage import Lineage, Opening, judge_mark
from hermes_core.keystore.mark import encode_mark, parse_mark, sign_mark
from hermes_core.keystore.state import KeystoreMark
from hermes_core.mesh.descriptor import sign_descriptor, verify_descriptor
from hermes_core.mesh.homes.entry import HomeEntry, NodeName, build_entry, check_entry, sign_presence
from hermes_core.mesh.messages import Hello
from hermes_core.mesh.opening_check import WITNESSES
from hermes_core.mesh.ring import HashRing
from hermes_core.protocol.claims import verify_claim
from hermes_core.protocol.messages import Sealed
from hermes_core.protocol.payload import encode_claim, parse_claim
from hermes_core.protocol.session import Challenge, Connected
from hermes_core.ratchet.chain import Chain
from hermes_core.ratchet.channel import Channel, ChannelParams
from hermes_core.ratchet.chat_claim import MessageCursor, build_chat_claim
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.ratchet.epoch import Epoch
from hermes_core.ratchet.header import build_nonce
from hermes_core.ratchet.padding import pad, padded_length, unpad
from hermes_core.ratchet.resume import ResumeContext, compute_claim_tag
from hermes_core.ratchet.state import NO_ORDERS, ChannelSnapshot, DirectionSnapshot, EpochSnapshot
from hermes_core.session.canonical import CONTROL, encode_control
from hermes_core.session.connect import (
    accept_connect,
    build_claim,
    build_connect,
    complete_connect,
    verify_connect,
)
from hermes_core.session.control import ControlReader, ControlWriter, Tagged
from hermes_core.session.join import JoinRole, PeerHandshake, StreamKind
from hermes_core.session.keys import SessionKeys
from tests.reference import make_vectors
from tests.support.control_samples import CONTROL_SAMPLES
from tests.support.random_sources import ListedRandom

VECTORS = Path(__file__).parents[1] / "vectors"
HASHES = {"sha256": HashId.SHA256, "sha512": HashId.SHA512}
KINDS = {"end-to-end": ChannelKind.END_TO_END, "leg": ChannelKind.LEG, "tieline": ChannelKind.TIELINE}
TEXT_FIELDS = {
    "address",
    "node_version",
    "app_address",
    "verdict",
    "hash",
    "kind",
    "node_id",
    "app_id",
    "initiator_party",
    "responder_party",
    "peer_party",
    "home_party",
    "name",
    "members",
    "witnesses",
}


def load(name: str) -> list[dict[str, Any]]:
    """The cases of a file, hex turned into bytes."""
    cases: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    return [_decode(case) for case in cases]


def _decode(case: dict[str, Any]) -> dict[str, Any]:
    def value(name: str, item: Any) -> Any:
        if isinstance(item, list):
            return [_decode(entry) for entry in item]
        return bytes.fromhex(item) if isinstance(item, str) and name not in TEXT_FIELDS else item

    return {name: value(name, item) for name, item in case.items()}


def secret(data: bytes) -> SecretBytes:
    return SecretBytes.take(bytearray(data))


def read_key(key: Any) -> bytes:
    return bytes(ffi.buffer(key, 32))


@pytest.mark.parametrize("name", list(make_vectors.FILES))
def test_files_are_what_the_reference_writes(name: str) -> None:
    assert (VECTORS / f"{name}.json").read_text() == make_vectors.render(name)


def check_session_keys(case: dict[str, Any], dialler: SessionKeys, acceptor: SessionKeys) -> None:
    assert dialler.stream == (case["binding"], case["a2n nonce"], case["n2a nonce"])
    assert acceptor.stream == (case["binding"], case["n2a nonce"], case["a2n nonce"])
    assert dialler.writer._key.buffer == acceptor.reader._key.buffer == case["a2n mac"]
    assert dialler.reader._key.buffer == acceptor.writer._key.buffer == case["n2a mac"]


@pytest.mark.parametrize("case", load("connect"))
def test_connect(case: dict[str, Any]) -> None:
    node, app = (Identity.from_seed(secret(case[name])) for name in ("node_seed", "app_seed"))
    ours, theirs = (EphemeralKey(secret(case[name])) for name in ("node_ephemeral_private", "app_ephemeral_private"))
    challenge = Challenge(NodeId(case["node_id"]), node.public_key, case["challenge"], ours.public, case["suites"])
    connect = build_connect(app, challenge, case["nonce"], theirs, case["stamp"], case["handed_back_mark"])
    assert (connect.app_key, connect.suite, connect.signature) == (case["app_key"], case["suite"], case["signature"])
    assert verify_connect(challenge, connect) == derive_app_id(connect.app_key) == case["app_id"]
    claim = build_claim(challenge, connect)
    assert (claim.hello_hash, claim.stamp) == (hashlib.sha256(case["hello"]).digest(), case["stamp"])
    assert verify_claim(node_party(challenge.node_id, node.public_key), claim) == case["app_id"]
    with pytest.raises(ProtocolError):
        verify_claim(node_party(NodeId("another"), node.public_key), claim)
    numbers = (case["heartbeat_interval_ms"], case["max_frame_bytes"], case["window_frames"])
    settings = Connected(case["app_id"], *numbers, mark=case["mark"])
    connected, of_node = accept_connect(node, challenge, ours, connect, settings)
    assert connected.signature == case["connected_signature"]
    check_session_keys(case, complete_connect(challenge, theirs, connect, connected), of_node)


@pytest.mark.parametrize("case", load("descriptors"))
def test_descriptors(case: dict[str, Any]) -> None:
    identity = Identity.from_seed(secret(case["seed"]))
    descriptor = sign_descriptor(
        identity,
        node_id=NodeId(case["node_id"]),
        address=case["address"],
        incarnation=case["incarnation"],
        version=case["node_version"],
        app_address=case["app_address"],
    )
    assert descriptor.signature == case["signature"] == identity.sign(case["signed"])
    verify_descriptor(descriptor)
    for other in (replace(descriptor, app_address="elsewhere:1"), replace(descriptor, address="elsewhere:1")):
        with pytest.raises(ProtocolError):
            verify_descriptor(other)


@pytest.mark.parametrize("case", load("join"))
def test_join(case: dict[str, Any]) -> None:
    sides = ("dialler", "acceptor")
    identities = [Identity.from_seed(secret(case[f"{side}_seed"])) for side in sides]
    keys = [EphemeralKey(secret(case[f"{side}_ephemeral_private"])) for side in sides]
    hellos = [
        Hello(
            sign_descriptor(identity, node_id=NodeId(f"hermes-{index}"), address="a:1", incarnation=1, version=""),
            case[f"{side}_challenge"],
            key.public,
            bytes([1]),
        )
        for index, (side, identity, key) in enumerate(zip(sides, identities, keys, strict=True))
    ]
    kind = StreamKind(case["stream_kind"])
    ends = [
        PeerHandshake(identities[role], keys[role], kind, JoinRole(role), hellos[role], hellos[1 - role]) for role in (0, 1)
    ]
    proofs = [end.prove() for end in ends]
    assert [proof.signature for proof in proofs] == [case["dialler_proof"], case["acceptor_proof"]]
    for role, end in enumerate(ends):
        end.check(proofs[1 - role])
    check_session_keys(case, ends[0].complete(), ends[1].complete())


@pytest.mark.parametrize("cases", [load("control")])
def test_control_tags(cases: list[dict[str, Any]]) -> None:
    """In their order, since the place in the stream is part of each."""
    key = cases[0]["mac"]
    writer, reader = ControlWriter(HashId.SHA256, secret(key)), ControlReader(HashId.SHA256, secret(key))
    sealed = 0
    for case in cases:
        frames = [Sealed(b"")] * (case["sealed_before"] - sealed)
        sealed = case["sealed_before"]
        message = CONTROL_SAMPLES[case["name"]]
        *_, item = writer.tag([*frames, message])
        assert item == Tagged(message, case["tag"])
        assert encode_control(message) == (case["type"], case["canonical"])
        for frame in frames:
            reader.open(frame)
        assert reader.open(item) == message
    assert {type(message) for message in CONTROL_SAMPLES.values()} == set(CONTROL)


@pytest.mark.parametrize("case", load("moves"))
def test_moves(case: dict[str, Any]) -> None:
    identity, chat_id, home = Identity.from_seed(secret(case["mover_seed"])), ChatId(case["chat_id"]), Party(case["home_party"])
    mover, peer = derive_app_id(identity.public_key), AppId(case["peer_party"].removeprefix("app:"))
    offer = KeyStatement(1, case["order"], case["suites"], case["ephemeral"], case["encapsulation_key"], b"")
    context = HandshakeContext(ChannelKind.LEG, chat_id, 1, app_party(mover), home, b"")
    assert encode_offer(context, offer.order, offer.suites, offer.ephemeral, offer.kem) == case["leg_offer"]
    move = sign_move(identity, chat_id, peer, home, case["number"], offer)
    assert move.signature == case["signature"]
    assert case["signed"].endswith(move.leg_hash)
    assert move.leg_hash == hash_leg_offer(chat_id, mover, home, offer)
    verify_move(chat_id, move, mover, peer)


def build_context(case: dict[str, Any]) -> HandshakeContext:
    return HandshakeContext(
        KINDS[case["kind"]],
        ChatId(case["chat_id"]),
        case["epoch"],
        Party(case["initiator_party"]),
        Party(case["responder_party"]),
        case["previous_transcript_hash"],
    )


def previous_ratchet(case: dict[str, Any]) -> SecretBytes | None:
    return secret(case["previous_ratchet"]) if case["previous_ratchet"] else None


def assert_keys(case: dict[str, Any], keys: EpochKeys) -> None:
    assert (keys.suite, keys.transcript_hash) == (case["suite"], case["transcript_hash"])
    for purpose in ("i2r", "r2i", "mac", "ratchet"):
        assert getattr(keys, purpose).buffer == case[purpose]
    for role, field in ((Role.INITIATOR, "initiator_confirm"), (Role.RESPONDER, "responder_confirm")):
        assert compute_confirm(keys.suite.hash_id, keys.mac, role, keys.transcript_hash) == case[field]


@pytest.mark.parametrize("case", load("handshake"))
def test_handshake(case: dict[str, Any]) -> None:
    context = build_context(case)
    initiator, responder = (Identity.from_seed(secret(case[f"{role}_seed"])) for role in ("initiator", "responder"))
    ephemerals = [EphemeralKey(secret(case[f"{role}_ephemeral_private"])) for role in ("initiator", "responder")]
    suites, pick = tuple(map(Suite, case["suites"])), Suite(case["suite"])
    decapsulation = ML_KEM_768.generate(ListedRandom([case["kem_seed"]])) if case["kem_seed"] else None
    offer, outstanding = build_offer(context, initiator, case["order"], suites, ephemerals[0], decapsulation)
    about = case["epoch"], case["order"]
    kem, signature = case["encapsulation_key"], case["offer_signature"]
    assert offer == KeyStatement(*about, case["suites"], case["initiator_ephemeral"], kem, signature)
    assert outstanding.encoded == case["offer"]
    checked = verify_offer(context, offer, initiator.public_key, (pick,), ML_KEM_768)
    encapsulation = Encapsulation(secret(case["kem_secret"]), case["ciphertext"]) if pick.hybrid else None
    answer, keys = build_answer(context, responder, ephemerals[1], encapsulation, offer, checked, previous_ratchet(case))
    kem, signature = case["ciphertext"], case["answer_signature"]
    assert answer == KeyStatement(*about, bytes([pick]), case["responder_ephemeral"], kem, signature)
    assert_keys(case, keys)
    assert_keys(case, complete_offer(outstanding, answer, responder.public_key, previous_ratchet(case)))


def suite_and_hash(case: dict[str, Any]) -> tuple[Suite, bytes]:
    """Of an epoch of which only the hash counts."""
    return (Suite.X25519_SHA512, bytes(64)) if case["hash"] == "sha512" else (Suite.X25519_SHA256, bytes(32))


@pytest.mark.parametrize("case", load("ratchet"))
@pytest.mark.parametrize("keep_rows", [False, True], ids=["one by one", "window at once"])
def test_chain_steps(case: dict[str, Any], keep_rows: bool) -> None:
    chain = Chain(HASHES[case["hash"]], secret(case["chain_key"]))
    wanted = {step["position"]: step for step in case["steps"]}
    seen = 0
    for position in range(max(wanted) + 1):
        if keep_rows and position >= chain.reserved:
            chain.reserve(position, 256, 0.0)
        key = read_key(chain.message_key(position))
        if position in wanted:
            assert key == wanted[position]["message_key"]
            assert chain._key == wanted[position]["chain_key"]
            seen += 1
        chain.advance(position)
    assert seen == len(wanted)


@pytest.mark.parametrize("case", load("ratchet"))
def test_reserved_keys_are_those_of_their_position(case: dict[str, Any]) -> None:
    """What the sealed record holds opens the reserved position and what follows."""
    for step in case["steps"]:
        if step["position"] > 0:
            chain = Chain(HASHES[case["hash"]], secret(case["chain_key"]))
            chain.reserve(0, step["position"], 0.0)
            snapshot = chain.snapshot()
            assert snapshot.reserved == step["position"]
            assert snapshot.chain_key.buffer == step["chain_key"]


def restore_channel(case: dict[str, Any], *, direction: int, role: Role) -> Channel:
    """A channel that stands at the position of `case` in `direction`."""
    start = Chain(HASHES[case["hash"]], secret(case["chain_key_0"]))
    start.fast_forward(case["position"])
    empty = DirectionSnapshot(0, SecretBytes(32))
    directions = [empty, start.snapshot()] if direction == role.peer else [start.snapshot(), empty]
    epoch = EpochSnapshot(
        case["epoch"], role, *suite_and_hash(case), True, secret(bytes(32)), secret(bytes(32)),
        directions[0], directions[1], 0, 0,
    )  # fmt: skip
    snapshot = ChannelSnapshot(KINDS[case["kind"]], Party("app:a"), Party("app:b"), bytes(32), epoch, None, (), NO_ORDERS, None)
    identity = Identity.from_seed(secret(bytes(32)))
    return Channel.restore(
        snapshot, chat_id=ChatId(case["chat_id"]), identity=identity, params=ChannelParams(), random=SYSTEM_RANDOM
    )


@pytest.mark.parametrize("case", load("frames"))
def test_frames(case: dict[str, Any]) -> None:
    end_to_end = KINDS[case["kind"]] is ChannelKind.END_TO_END
    suffix = case["seq"].to_bytes(8, "big") if end_to_end else b""
    nonce = build_nonce(case["start"]) if end_to_end else case["nonce"]
    assert nonce == case["nonce"]
    given = b"" if end_to_end else nonce  # its receiver reads it from the frame
    direction = Role(case["direction"])
    sender = restore_channel(case, direction=direction, role=direction)
    assert sender.seal(case["plaintext"], 0.0, nonce=nonce, aad_suffix=suffix) == case["frame"]
    receiver = restore_channel(case, direction=direction, role=direction.peer)
    with pytest.raises(ProtocolError) as raised:
        receiver.open(case["frame"][:-1] + bytes([case["frame"][-1] ^ 1]), 0.0, nonce=given, aad_suffix=suffix)
    assert raised.value.code is ErrorCode.AUTH_FAILED
    assert receiver.open(case["frame"], 0.0, nonce=given, aad_suffix=suffix) == case["plaintext"]


@pytest.mark.parametrize("case", load("entries"))
def test_entry(case: dict[str, Any]) -> None:
    app, node = Identity.from_seed(secret(case["app_seed"])), Identity.from_seed(secret(case["node_seed"]))
    home = NodeName(NodeId(case["node_id"]), node.public_key)
    entry = HomeEntry(home, check_entry(case["entry"]))
    assert entry.verify()
    assert (entry.app_id, entry.stamp) == (derive_app_id(app.public_key), case["stamp"])
    assert entry.claim.hello_hash == hash_bytes(HashId.SHA256, case["hello"])
    said = case["incarnation"], case["version"]
    presence = sign_presence(node, entry.party, app.public_key, *said, online=case["online"])
    assert build_entry(home, entry.claim, presence) == entry
    assert entry.presence == presence


@pytest.mark.parametrize("case", load("marks"))
def test_mark(case: dict[str, Any]) -> None:
    standing = KeystoreMark(case["generation"], case["commit_counter"])
    signed = sign_mark(Identity.from_seed(secret(case["seed"])), case["open_id"], standing)
    assert encode_mark(signed) == case["mark"]
    assert parse_mark(case["mark"]) == signed
    openings = [Opening(it["open_id"], it["start"], it["reached"]) for it in case["openings"]]
    openings[0] = replace(openings[0], former_key=case["former_key"])
    lineage = Lineage(tuple(openings), case["settled"], (case["noted"],) if case["noted"] else ())
    keys = {case["node_key"]} | lineage.former_keys
    assert judge_mark(lineage, case["counter"], keys, signed)[0].name == case["verdict"]


@pytest.mark.parametrize("case", load("ring"))
def test_ring(case: dict[str, Any]) -> None:
    members = [NodeId(name) for name in case["members"].split(",")]
    node_id = NodeId(case["node_id"])
    assert ",".join(HashRing(members).find(node_id.encode(), WITNESSES)) == case["witnesses"]
    assert ",".join(HashRing([*members, node_id]).find(node_id.encode(), WITNESSES, without=node_id)) == case["witnesses"]


@pytest.mark.parametrize("case", load("padding"))
def test_padding(case: dict[str, Any]) -> None:
    assert padded_length(case["content_bytes"]) == case["plaintext_bytes"]
    if "content" in case:
        assert pad(case["content"], padding=True) == case["plaintext"]
        assert unpad(case["plaintext"]) == case["content"]


def channel_of(case: dict[str, Any], role: Role) -> Channel:
    """An end-to-end channel in the epoch of the case, at the end with this role."""
    epoch = EpochSnapshot(
        case["epoch"], role, *suite_and_hash(case), True, secret(case["mac"]),
        secret(bytes(32)), DirectionSnapshot(0, SecretBytes(32)), DirectionSnapshot(0, SecretBytes(32)), 0, 0,
    )  # fmt: skip
    snapshot = ChannelSnapshot(
        ChannelKind.END_TO_END, Party("app:a"), Party("app:b"), bytes(32), epoch, None, (), NO_ORDERS, None
    )
    identity = Identity.from_seed(secret(bytes(32)))
    return Channel.restore(
        snapshot, chat_id=ChatId(case["chat_id"]), identity=identity, params=ChannelParams(), random=SYSTEM_RANDOM
    )


@pytest.mark.parametrize("case", load("acks"))
def test_acks(case: dict[str, Any]) -> None:
    for role in Role:
        channel = channel_of(case, role)
        if role == case["acker_role"]:
            assert channel.ack_tag(case["seq"]) == (case["epoch"], case["tag"])
        else:
            channel.check_ack(case["seq"], case["epoch"], case["tag"])


@pytest.mark.parametrize("case", load("claims"))
def test_claims_of_apps(case: dict[str, Any]) -> None:
    send, recv = DirectionSnapshot(case["send_next"], SecretBytes(32)), DirectionSnapshot(0, SecretBytes(32))
    role, suite = Role(case["claimant_role"]), Suite(case["suite"])
    snapshot = EpochSnapshot(
        case["epoch"], role, suite, case["transcript_hash"], True, secret(case["mac"]), secret(bytes(32)), send, recv,
        case["recv_proven"], 0,
    )  # fmt: skip
    context = ChannelContext(ChannelKind.END_TO_END, ChatId(case["chat_id"]), Party("app:a"), Party("app:b"))
    cursor = MessageCursor(case["last_seq"], case["delivered"], case["lowest"])
    claim = build_chat_claim(context, Epoch.restore(context, snapshot), case["order"], case["nonce"], cursor)
    assert encode_claim(claim) == case["payload"]
    assert parse_claim(case["payload"]) == claim


@pytest.mark.parametrize("case", load("ends"))
def test_ends(case: dict[str, Any]) -> None:
    proof = EndProof(case["epoch"], case["tag"])
    for role in Role:
        channel = channel_of(case, role)
        deletes = role == case["deleter_role"]
        assert (channel.prove_end() == (proof,)) is deletes
        assert channel.is_end((proof,)) is not deletes, "an end's own word is not the other's"


@pytest.mark.parametrize("case", load("resume"))
def test_resume(case: dict[str, Any]) -> None:
    context = ResumeContext(KINDS[case["kind"]], ChatId(case["chat_id"]), case["session_binding"])
    numbers = case["send_next"], case["recv_next"], case["recv_proven"], case["order"]
    claim = EpochClaim(case["epoch"], case["suite"], case["transcript_hash"], *numbers, b"")
    assert compute_claim_tag(context, secret(case["mac"]), Role(case["claimant_role"]), claim) == case["tag"]


def test_every_file_is_run() -> None:
    tests: list[Callable[..., None]] = [test_connect, test_join, test_control_tags, test_moves, test_handshake]
    tests += [test_descriptors]
    tests += [test_chain_steps, test_frames, test_padding, test_mark, test_ring, test_acks, test_claims_of_apps]
    tests += [test_ends, test_resume, test_entry]
    assert len(tests) == len(make_vectors.FILES)
    assert {path.stem for path in VECTORS.glob("*.json")} == {*make_vectors.FILES, "record", "app_record"}


def test_every_file_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)\.json` \| (.+) \|$", (VECTORS / "README.md").read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(path.stem for path in VECTORS.glob("*.json"))
