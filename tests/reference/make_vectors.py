"""Writes tests/vectors/*.json of the wire protocol from the reference; `--check` says whether the files are what it writes.

`python -m tests.reference.make_vectors [--check]`. The inputs are deterministic (SHA-256 of a name); tests/vectors/README.md
says how another implementation runs the files. record.json comes from keystore_reference.py.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.published import load_package
from tests.reference import protocol_reference as ref

FIRST_HYBRID = 3
KEM_CASES = load_package("asymmetric/MLKEM/kat_MLKEM_768.rsp")
"""Published: seeds d and z, encapsulation key pk, ciphertext ct, secret ss."""
VECTORS = Path(__file__).parent.parent / "vectors"
SOURCE = "docs/reference/protocol.md; made by tests/reference/make_vectors.py; byte strings in hex"

Case = dict[str, Any]


def fill(name: str, length: int = 32) -> bytes:
    """Deterministic bytes of this name."""
    return hashlib.shake_256(name.encode()).digest(length)


class Epoch:
    """All of one handshake, kept for the cases that build on it."""

    def __init__(self, suites: bytes, kind: str, number: int, previous: Epoch | None = None) -> None:
        """The last of `suites` is picked: the responder allows no other."""
        self.suites, self.suite = suites, suites[-1]
        self.h, self.kind, self.number = ref.SUITES[self.suite], kind, number
        name = f"{self.h} {kind}"
        self.chat_id = fill(name + " chat", 16)
        self.seeds = [fill(f"{name} seed {side}") for side in ("a", "b")]
        self.keys = [ref.public_key(seed) for seed in self.seeds]
        self.parties = [self._party(side) for side in (0, 1)]
        # Epoch 2 is begun by the other side, to show that the roles are those of the epoch
        self.initiator = (number + 1) % 2
        self.privates = [fill(f"{name} ephemeral {number} {role}") for role in ("initiator", "responder")]
        self.publics = [ref.ephemeral_public(private) for private in self.privates]
        self.previous_transcript: bytes = b"" if previous is None else previous.transcript
        self.previous_ratchet: bytes | None = None if previous is None else previous.schedule["ratchet"]
        initiator, responder = self.parties[self.initiator], self.parties[1 - self.initiator]
        about = ref.KINDS[kind], self.chat_id, number, initiator, responder
        offer_head, answer_head = ref.head(ref.lp(suites), *about), ref.head(ref.u8(self.suite), *about)
        self.order = 1_700_000_000_000 + number
        hybrid = any(suite >= FIRST_HYBRID for suite in suites)
        kem = {name: bytes.fromhex(text) for name, text in KEM_CASES[2 * self.suite + number].items() if name != "count"}
        self.kem_seed = kem["d"] + kem["z"] if hybrid else b""
        self.encapsulation_key = kem["pk"] if hybrid else b""
        self.ciphertext, self.kem_secret = (kem["ct"], kem["ss"]) if self.suite >= FIRST_HYBRID else (b"", b"")
        self.offer = ref.offer(offer_head, self.order, self.publics[0], self.encapsulation_key, self.previous_transcript)
        self.answer = ref.answer(self.h, answer_head, self.publics[1], self.ciphertext, self.offer)
        self.transcript: bytes = ref.transcript_hash(self.h, self.offer, self.answer)
        self.shared = ref.shared_secret(self.privates[0], self.publics[1])
        ikm = self.shared + self.kem_secret
        self.schedule: dict[str, bytes] = ref.epoch_keys(self.h, ikm, self.transcript, self.previous_ratchet)

    def _party(self, side: int) -> str:
        is_node = self.kind == "tieline" or (self.kind == "leg" and side == 1)
        return ref.node_party(f"hermes-{side}", self.keys[side]) if is_node else ref.app_party(self.keys[side])


def two_epochs(kind: str, suites: bytes, later: bytes) -> Iterator[Epoch]:
    first = Epoch(suites, kind, 1)
    yield first
    yield Epoch(later, kind, 2, first)


def classical_epochs() -> Iterator[Epoch]:
    """Of epoch 2 only the second suite listed is allowed; end to end one that takes ML-KEM-768 was preferred."""
    for suite, preferred in ((1, 2), (2, 1)):
        for kind in ref.KINDS:
            yield from two_epochs(kind, bytes([suite]), bytes([4 if kind == "end-to-end" else preferred, suite]))


def hybrid_epochs() -> Iterator[Epoch]:
    for suite, preferred in ((3, 4), (4, 3)):
        for kind in ("end-to-end", "leg"):
            yield from two_epochs(kind, bytes([suite]), bytes([preferred, suite]))


def all_epochs() -> Iterator[Epoch]:
    yield from classical_epochs()
    yield from hybrid_epochs()


def make_connect() -> Iterator[Case]:
    for index in range(2):
        seed, node_seed = fill(f"connect app {index}"), fill(f"connect node {index}")
        app_key, node_key = ref.public_key(seed), ref.public_key(node_seed)
        app_id = ref.fingerprint(app_key)
        challenge, nonce, stamp = fill(f"challenge {index}"), fill(f"nonce {index}"), 1_700_000_000_000 + index
        privates = [fill(f"connect ephemeral {index} {side}") for side in ("node", "app")]
        publics = [ref.ephemeral_public(private) for private in privates]
        suites = bytes([1] if index == 0 else [200, 1])  # one that nobody knows is passed over
        node = ref.node_party(f"hermes-{index}", node_key)
        node_half, app_half = node_key + challenge + publics[0], app_key + nonce + publics[1]
        marks = [ref.mark(node_seed, fill(f"connect opening {at}", 16), 1, 7 * at) for at in range(2 * index)]
        handed_back, own_mark = marks or (b"", b"")  # the first app knows no mark, of a node that keeps none
        hello = ref.hello(suites, 1, node, node_half, ref.app_party(app_key), app_half, handed_back)
        data = ref.connect_data(node, app_key, stamp, hello)
        signature = ref.sign(seed, data)
        settings = {"heartbeat_interval_ms": 5000, "max_frame_bytes": 65_640, "window_frames": 256 + index}
        transcript = ref.session_transcript(hello, stamp, signature, ref.settings(app_id, own_mark=own_mark, **settings))
        shared = ref.shared_secret(privates[0], publics[1])
        yield {
            "node_id": f"hermes-{index}",
            "node_seed": node_seed,
            "node_key": node_key,
            "app_seed": seed,
            "app_key": app_key,
            "app_id": app_id,
            "challenge": challenge,
            "nonce": nonce,
            "suites": suites,
            "suite": 1,
            "stamp": stamp,
            "handed_back_mark": handed_back,
            "node_ephemeral_private": privates[0],
            "app_ephemeral_private": privates[1],
            "hello": hello,
            "signed": data,
            "signature": signature,
            **settings,
            "mark": own_mark,
            "transcript": transcript,
            "connected_signature": ref.sign(node_seed, ref.connected_data(transcript)),
            "shared_secret": shared,
            **ref.session_keys(shared, transcript),
        }


def _of_both(name: str, values: list[bytes]) -> Case:
    return {f"dialler_{name}": values[0], f"acceptor_{name}": values[1]}


STREAM_KINDS = {"Join": 1, "Gossip": 2, "RouteChat": 3, "Carry": 4, "RouteChat through a third node": 5}


def make_join() -> Iterator[Case]:
    for name, kind in STREAM_KINDS.items():
        seeds = [fill(f"{name} node {side}") for side in (0, 1)]
        privates = [fill(f"{name} ephemeral {side}") for side in (0, 1)]
        challenges = [fill(f"{name} challenge {side}") for side in (0, 1)]
        halves = [
            ref.node_half(
                ref.node_party(f"hermes-{side}", ref.public_key(seeds[side])),
                ref.public_key(seeds[side]),
                challenges[side],
                ref.ephemeral_public(privates[side]),
                bytes([1]),
            )
            for side in (0, 1)
        ]
        said = halves[0] + halves[1]
        proofs = [ref.sign(seeds[role], ref.proof_data(kind, role, said, 1)) for role in (0, 1)]
        transcript = ref.join_transcript(kind, said, 1, b"".join(proofs))
        shared = ref.shared_secret(privates[0], ref.ephemeral_public(privates[1]))
        yield {
            "stream_kind": kind,
            **_of_both("seed", seeds),
            **_of_both("challenge", challenges),
            **_of_both("ephemeral_private", privates),
            **_of_both("proof", proofs),
            "transcript": transcript,
            "shared_secret": shared,
            **ref.session_keys(shared, transcript),
        }


def make_descriptors() -> Iterator[Case]:
    for index, app_address in enumerate(("", "hermes-1.mesh:8443")):
        seed, node_id, address = fill(f"descriptor {index}"), f"hermes-{index}", f"hermes-{index}.mesh:7443"
        key, incarnation, version = ref.public_key(seed), 7 + index, "2.0.0"
        data = ref.descriptor_data(node_id, key, address, incarnation, version, app_address)
        yield {
            "seed": seed,
            "node_id": node_id,
            "address": address,
            "incarnation": incarnation,
            "node_version": version,
            "app_address": app_address,
            "signed": data,
            "signature": ref.sign(seed, data),
        }


def fill_entry() -> bytes:
    """A directory's entry that nobody signed."""
    claim = fill("control claimant") + ref.u64(9) + fill("control hello") + fill("control claim", 64)
    return claim + ref.u64(7) + ref.u64(3) + ref.u8(1) + fill("control presence", 64)


def make_control() -> Iterator[Case]:
    """One of each type, as the messages of one direction in this order, with some sealed frames between them."""
    key, chat_id, app_id = fill("control mac"), fill("control chat", 16), ref.fingerprint(fill("control app"))
    kem = fill("control encapsulation key", 1184), fill("control ciphertext", 1088)
    offered = (2, 7, bytes([3, 1]), fill("control ephemeral"), kem[0], fill("control signature", 64))
    answered = (2, 7, bytes([3]), fill("control ephemeral"), kem[1], fill("control signature", 64))
    claim = (3, 1, fill("control transcript"), 5, 6, 4, 9, fill("control claim tag"))
    addresses = "hermes-1.mesh:7443", "hermes-1.mesh:8443"
    descriptor = (
        "hermes-1",
        fill("control node"),
        addresses[0],
        7,
        "2.0.0",
        fill("control descriptor", 64),
        addresses[1],
        fill("renewals", 192),
    )
    home = ref.node_party("hermes-1", fill("control node"))
    move = (fill("control mover"), app_id, home, 5, fill("control leg hash"), fill("control move", 64))
    proof = (2, fill("control end", 16))
    departed = ("hermes-2", fill("control departed"), 4, fill("control departure", 64))
    accused = ("hermes-3", fill("control accused"), 6, "hermes-1", fill("control node"), 7, fill("control accusation", 64))
    facts = [(1, (descriptor,)), (2, departed), (3, accused)]
    entry = fill_entry()
    values: dict[str, tuple[Any, ...]] = {
        "Offer": (chat_id, fill("control initiator"), app_id, offered, offered),
        "Answer": (chat_id, fill("control responder"), answered, fill("confirm a"), answered, fill("confirm b")),
        "Confirm": (chat_id, 2, fill("confirm c"), 0, b""),
        "Reject": (chat_id, 23, 1000),
        "Resume": (chat_id, [claim, claim]),
        "PathState": (chat_id, True),
        "Closed": (chat_id, 2, [proof]),
        "ClosedAck": (chat_id, 3),
        "Delete": (chat_id, False, [proof, proof]),
        "ErrorNotice": (23, 3, b"", "too many", 1000),
        "FindApp": (app_id,),
        "AppFound": (app_id, False, ""),
        "NodeChange": (8000, 60_000, True),
        "HeldMark": (b"",),
        "OwnMark": (fill("control mark", 128),),
        "MembershipUpdate": ([(descriptor, 1, 7)],),
        "Clock": (1_800_000_000_123,),
        "MoveOffer": (chat_id, move, (1, *offered[1:])),
        "MoveAnswer": (chat_id, 5, (1, *answered[1:]), fill("confirm d")),
        "Moved": (chat_id, move),
        "MoveWanted": (chat_id,),
        "Ping": (9, fill("control nonce", 16), "hermes-1", facts[2:]),
        "Pong": (9, fill("control answer", 64), facts[1:2]),
        "PingRequest": (8, "hermes-3", fill("control nonce", 16), facts[1:2]),
        "PingReport": (8, b""),
        "SyncDigests": (list(range(2**64 - 64, 2**64)),),
        "SyncListing": (2**63 + 1, [("hermes-1", 7, fill("control mark of a descriptor", 8))]),
        "SyncWanted": (["hermes-2", "hermes-3"],),
        "SyncFacts": (facts,),
        "HoldEntries": (7, fill("control node"), [entry, entry], [("hermes-2", fill("control home"), [(entry, 90)])]),
        "EntriesHeld": (7,),
        "FindEntry": (8, app_id),
        "EntryFound": (8, ("hermes-1", fill("control node"), entry)),
        "EntryOvertaken": (("hermes-1", fill("control node"), entry),),
        "FindRefused": (8, 18, 250),
        "CarryTo": ("hermes-2",),
        "CarryFrom": ("hermes-1",),
        "Carried": (fill("control carried", 300), True),
    }
    for counter, (name, value) in enumerate(values.items()):
        number, layout = ref.CONTROL[name]
        data = ref.canonical(layout, value)
        sealed = counter * counter
        yield {
            "mac": key,
            "counter": counter,
            "sealed_before": sealed,
            "name": name,
            "type": number,
            "canonical": data,
            "tag": ref.control_tag(key, counter, sealed, number, data),
        }


def make_entries() -> Iterator[Case]:
    """An app that is connected to a node, then away from it."""
    app, node_id = fill("entry app"), "hermes-1"
    node = fill("entry node")
    party, stamp = ref.node_party(node_id, ref.public_key(node)), 1_800_000_000_123
    hello = fill("entry hello", 64)
    signature = ref.sign(app, ref.connect_data(party, ref.public_key(app), stamp, hello))
    claim = ref.public_key(app), stamp, ref.digest("sha256", hello), signature
    for version, online in ((1, True), (2, False)):
        yield {
            "app_seed": app,
            "node_seed": node,
            "node_id": node_id,
            "stamp": stamp,
            "hello": hello,
            "incarnation": 7,
            "version": version,
            "online": online,
            "entry": ref.home_entry(node, node_id, claim, (7, version, online)),
        }


def make_moves() -> Iterator[Case]:
    """An app's side of a chat moves to one node, then to another."""
    chat_id, seed = fill("move chat", 16), fill("move mover")
    mover, peer = ref.app_party(ref.public_key(seed)), ref.app_party(ref.public_key(fill("move peer")))
    for number, suites in ((1, bytes([1])), (2, bytes([3, 1]))):
        home = ref.node_party(f"hermes-{number}", ref.public_key(fill(f"move home {number}")))
        ephemeral = ref.ephemeral_public(fill(f"move ephemeral {number}"))
        kem = bytes.fromhex(KEM_CASES[number]["pk"]) if suites[0] >= FIRST_HYBRID else b""
        head = ref.head(ref.lp(suites), ref.KINDS["leg"], chat_id, 1, mover, home)
        offer = ref.offer(head, 1_700_000_000_000 + number, ephemeral, kem, b"")
        data = ref.move_data(chat_id, mover, peer, home, number, offer)
        yield {
            "mover_seed": seed,
            "chat_id": chat_id,
            "peer_party": peer,
            "home_party": home,
            "number": number,
            "order": 1_700_000_000_000 + number,
            "suites": suites,
            "ephemeral": ephemeral,
            "encapsulation_key": kem,
            "leg_offer": offer,
            "signed": data,
            "signature": ref.sign(seed, data),
        }


def make_handshake() -> Iterator[Case]:
    for epoch in all_epochs():
        first, second = epoch.initiator, 1 - epoch.initiator
        yield {
            "suites": epoch.suites,
            "suite": epoch.suite,
            "kind": epoch.kind,
            "chat_id": epoch.chat_id,
            "epoch": epoch.number,
            "order": epoch.order,
            "initiator_party": epoch.parties[first],
            "responder_party": epoch.parties[second],
            "initiator_seed": epoch.seeds[first],
            "responder_seed": epoch.seeds[second],
            "initiator_ephemeral_private": epoch.privates[0],
            "responder_ephemeral_private": epoch.privates[1],
            "kem_seed": epoch.kem_seed,
            "previous_transcript_hash": epoch.previous_transcript,
            "previous_ratchet": epoch.previous_ratchet or b"",
            "initiator_ephemeral": epoch.publics[0],
            "responder_ephemeral": epoch.publics[1],
            "encapsulation_key": epoch.encapsulation_key,
            "ciphertext": epoch.ciphertext,
            "offer": epoch.offer,
            "offer_signature": ref.sign(epoch.seeds[first], epoch.offer),
            "answer": epoch.answer,
            "answer_signature": ref.sign(epoch.seeds[second], epoch.answer),
            "transcript_hash": epoch.transcript,
            "shared_secret": epoch.shared,
            "kem_secret": epoch.kem_secret,
            **epoch.schedule,
            "initiator_confirm": ref.confirm(epoch.h, epoch.schedule["mac"], 0, epoch.transcript),
            "responder_confirm": ref.confirm(epoch.h, epoch.schedule["mac"], 1, epoch.transcript),
        }


def make_ratchet() -> Iterator[Case]:
    for h in ref.HASHES:
        chain_key = fill(f"{h} chain")
        steps = []
        for position in range(600):
            following, key = ref.step(h, chain_key)
            if position in (0, 1, 2, 255, 256, 257, 599):
                steps.append({"position": position, "chain_key": chain_key, "message_key": key})
            chain_key = following
        yield {"hash": h, "chain_key": fill(f"{h} chain"), "steps": steps}


def make_frames() -> Iterator[Case]:
    for epoch in classical_epochs():
        for direction, purpose in ((0, "i2r"), (1, "r2i")):
            for position, length in ((0, 0), (1, 1), (2, 64), (300, 200)):
                end_to_end = epoch.kind == "end-to-end"
                start = fill(f"start {direction}", 8) if end_to_end else b""
                nonce = ref.content_nonce(start) if end_to_end else fill(f"stream nonce {direction}", 12)
                header = ref.frame_header(ref.KINDS[epoch.kind], epoch.chat_id, epoch.number, direction, position, start)
                key = ref.message_key(epoch.h, epoch.schedule[purpose], position)
                seq = position + 1 if end_to_end else None
                plaintext = fill(f"plaintext {position}", length)
                yield {
                    "hash": epoch.h,
                    "kind": epoch.kind,
                    "chat_id": epoch.chat_id,
                    "epoch": epoch.number,
                    "direction": direction,
                    "position": position,
                    "seq": seq,
                    "chain_key_0": epoch.schedule[purpose],
                    "message_key": key,
                    "start": start,
                    "nonce": nonce,
                    "plaintext": plaintext,
                    "frame": ref.seal(key, nonce, header, plaintext, seq),
                }


def make_ring() -> Iterator[Case]:
    members = [f"hermes-{index}" for index in range(9)]
    for known in (2, 4, 9):
        for name in members[:known]:
            others = [member for member in members[:known] if member != name]
            witnesses = ref.ring_holders(others, name, 3)
            yield {"node_id": name, "members": ",".join(others), "witnesses": ",".join(witnesses)}


def make_padding() -> Iterator[Case]:
    for length in (0, 1, 64, 123, 124, 125, 128, 255, 256, 300, 1000, 4096, 32767, 65535, 65536):
        content = fill(f"content {length}", length)
        plaintext = ref.content_plaintext(content, ref.padded_length(length))
        whole = {"content": content, "plaintext": plaintext} if length <= 300 else {}
        yield {"content_bytes": length, "plaintext_bytes": len(plaintext), **whole}


def make_acks() -> Iterator[Case]:
    for epoch in classical_epochs():
        if epoch.kind == "end-to-end":
            for role, seq in ((0, 1), (1, 1), (0, 2**32), (1, 2**63 - 1)):
                yield {
                    "hash": epoch.h,
                    "chat_id": epoch.chat_id,
                    "epoch": epoch.number,
                    "mac": epoch.schedule["mac"],
                    "acker_role": role,
                    "seq": seq,
                    "tag": ref.ack_tag(epoch.h, epoch.schedule["mac"], epoch.chat_id, epoch.number, role, seq),
                }


def make_claims() -> Iterator[Case]:
    names = "send_next", "recv_proven", "order", "last_seq", "delivered", "lowest"
    for epoch in all_epochs():
        if epoch.kind == "end-to-end":
            for role, numbers in (
                (0, (0, 0, 0, 0, 0, 1)),
                (1, (7, 5, 1_700_000_000_000, 9, 4, 3)),
                (0, (2**63 - 1, 2**63 - 1, 2**62, 5, 2**63 - 1, 6)),
            ):
                nonce = fill(f"claim nonce {role}")
                claimed = ref.chat_claim(nonce, epoch.number, epoch.transcript, *numbers)
                tag = ref.chat_claim_tag(epoch.h, epoch.schedule["mac"], epoch.chat_id, role, claimed)
                yield {
                    "suite": epoch.suite,
                    "chat_id": epoch.chat_id,
                    "epoch": epoch.number,
                    "transcript_hash": epoch.transcript,
                    "mac": epoch.schedule["mac"],
                    "claimant_role": role,
                    "nonce": nonce,
                    **dict(zip(names, numbers, strict=True)),
                    "payload": b"\x04" + claimed + tag,
                }


def make_ends() -> Iterator[Case]:
    for epoch in classical_epochs():
        if epoch.kind == "end-to-end":
            for role in (0, 1):
                yield {
                    "hash": epoch.h,
                    "chat_id": epoch.chat_id,
                    "epoch": epoch.number,
                    "mac": epoch.schedule["mac"],
                    "deleter_role": role,
                    "tag": ref.end_tag(epoch.h, epoch.schedule["mac"], epoch.chat_id, epoch.number, role),
                }


def make_resume() -> Iterator[Case]:
    for epoch in all_epochs():
        if epoch.kind != "end-to-end":
            for role, positions in ((0, (0, 0, 0, 0)), (1, (256, 512, 300, 7)), (0, (2**63 - 1, 2**63 - 1, 2**63 - 1, 2**62))):
                claim = ref.claim(epoch.number, epoch.suite, epoch.transcript, *positions)
                binding = fill("binding")
                yield {
                    "suite": epoch.suite,
                    "kind": epoch.kind,
                    "chat_id": epoch.chat_id,
                    "epoch": epoch.number,
                    "transcript_hash": epoch.transcript,
                    "mac": epoch.schedule["mac"],
                    "claimant_role": role,
                    "send_next": positions[0],
                    "recv_next": positions[1],
                    "recv_proven": positions[2],
                    "order": positions[3],
                    "session_binding": binding,
                    "claim": claim,
                    "tag": ref.claim_tag(
                        epoch.h, epoch.schedule["mac"], ref.KINDS[epoch.kind], epoch.chat_id, role, claim, binding
                    ),
                }


def make_marks() -> Iterator[Case]:
    """A lineage of three openings that stands at commit 60, and one mark after another that somebody hands back."""
    seed, stranger = fill("mark node"), fill("mark stranger")
    ids = [fill(f"mark opening {number}", 16) for number in range(5)]
    openings = [(ids[0], 10, 20), (ids[1], 21, 40), (ids[2], 41, 0)]
    handed = [(0, 10), (0, 11), (0, 20), (0, 21), (1, 40), (1, 41), (2, 60), (2, 61), (3, 10), (3, 11), (3, 99), (4, 99)]
    for settled, former in ((0, False), (0, True), (30, False)):
        for opening, commit in handed:
            for signer in (seed, stranger):
                mark = ref.mark(signer, ids[opening], 3, commit)
                noted = [ids[4]] if settled else []
                verdict = ref.judge_mark(openings, settled, noted, 60, signer == seed or former, mark)
                yield {
                    "seed": signer,
                    "open_id": ids[opening],
                    "generation": 3,
                    "commit_counter": commit,
                    "mark": mark,
                    "node_key": ref.public_key(seed),
                    "former_key": ref.public_key(stranger) if former else b"",
                    "openings": [{"open_id": opened, "start": start, "reached": until} for opened, start, until in openings],
                    "settled": settled,
                    "noted": b"".join(noted),
                    "counter": 60,
                    "verdict": verdict,
                }


FILES = {
    "connect": (make_connect, "Connect: what both sign, the transcript, the keys"),
    "join": (make_join, "Mesh: proofs, transcript, keys"),
    "control": (make_control, "Tags of control messages: canonical bytes and tags of one direction, in its order"),
    "entries": (make_entries, "Where apps are at home: an entry of the directory"),
    "moves": (make_moves, "Moves: the offer of the leg on the new home, what the app signs"),
    "handshake": (make_handshake, "Handshake: offer, answer, transcript, key schedule, confirmation"),
    "ratchet": (make_ratchet, "Ratchet: chain steps"),
    "frames": (make_frames, "Ratchet: nonces and sealed frames"),
    "padding": (make_padding, "Content: padded plaintexts of end-to-end frames; long ones by their lengths alone"),
    "acks": (make_acks, "Hop payloads: tags of acknowledgements"),
    "claims": (make_claims, "Hop payloads: what one app claims to the other, with its tag"),
    "descriptors": (make_descriptors, "Mesh: what a node signs of itself, its addresses for nodes and for apps"),
    "ends": (make_ends, "Teardown: proofs of a delete"),
    "ring": (make_ring, "Witnesses: the three that a node's name finds on the ring"),
    "marks": (make_marks, "Witnesses: marks, and what each proves of a lineage"),
    "resume": (make_resume, "Resume: claims and their tags"),
}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def render(name: str) -> str:
    make, title = FILES[name]
    document = {"comment": f"{title}. {SOURCE}", "version": 1, "cases": [_plain(case) for case in make()]}
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def main(arguments: list[str]) -> int:
    stale = []
    for name in FILES:
        path, text = VECTORS / f"{name}.json", render(name)
        if arguments == ["--check"]:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    if stale:
        print(f"stale: {' '.join(stale)}; run python -m tests.reference.make_vectors", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
