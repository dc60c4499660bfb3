"""Product and reference agree byte for byte over random inputs: parties, keys, epochs, positions, texts, claims."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite
from hermes_core.ids import ChannelKind, ChatId, NodeId, Party, app_party, derive_app_id, node_party
from hermes_core.ratchet.channel import Channel, ChannelParams
from tests.reference import protocol_reference as ref
from tests.support.random_sources import ListedRandom

key = st.binary(min_size=32, max_size=32)
node_ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
kem_seeds = st.binary(min_size=64, max_size=64)
suite_lists = st.lists(st.sampled_from(list(Suite)), min_size=1, unique=True)


@dataclass
class Side:
    """One end: the product's channel beside the plain inputs the reference works from."""

    seed: bytes
    privates: list[bytes]
    kem_seeds: list[bytes]
    suites: list[Suite]
    channel: Channel


class BySize:
    """Private keys of X25519 and seeds of ML-KEM-768, told apart by their length."""

    def __init__(self, *lists: list[bytes]) -> None:
        self._sources = {len(values[0]): ListedRandom(values) for values in lists}

    def fill(self, buffer: bytearray) -> None:
        self._sources[len(buffer)].fill(buffer)


def party(node_id: str | None, public_key: bytes) -> Party:
    return app_party(derive_app_id(public_key)) if node_id is None else node_party(NodeId(node_id), public_key)


def reference_party(node_id: str | None, public_key: bytes) -> str:
    return ref.app_party(public_key) if node_id is None else ref.node_party(node_id, public_key)


@st.composite
def channels(draw: st.DrawFn) -> tuple[ChannelKind, bytes, list[Side], list[str]]:
    kind = draw(st.sampled_from(list(ChannelKind)))
    listed = [draw(suite_lists), draw(suite_lists)]
    assume({*listed[0]} & {*listed[1]})
    chat_id = draw(st.binary(min_size=16, max_size=16))
    seeds = draw(st.lists(key, min_size=2, max_size=2, unique=True))
    privates = draw(st.lists(key, min_size=4, max_size=4, unique_by=ref.ephemeral_public))
    kem = draw(st.lists(kem_seeds, min_size=4, max_size=4))
    node_names = [draw(st.none() | node_ids) for _ in range(2)]
    keys = [ref.public_key(seed) for seed in seeds]
    window = draw(st.integers(1, 8))

    def make(side: int) -> Side:
        own, kem_own = privates[2 * side : 2 * side + 2], kem[2 * side : 2 * side + 2]
        channel = Channel(
            kind=kind,
            chat_id=ChatId(chat_id),
            identity=Identity.from_seed(SecretBytes.take(bytearray(seeds[side]))),
            local=party(node_names[side], keys[side]),
            peer=party(node_names[1 - side], keys[1 - side]),
            peer_public_key=keys[1 - side],
            params=ChannelParams(suites=tuple(listed[side]), window=window),
            random=BySize(own, list(kem_own)),
        )
        return Side(seeds[side], own, kem_own, listed[side], channel)

    names = [reference_party(node_names[side], keys[side]) for side in (0, 1)]
    return kind, chat_id, [make(0), make(1)], names


@settings(max_examples=120)
@given(
    channels(),
    st.lists(st.integers(0, 1), min_size=2, max_size=2),
    st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=80), st.integers(0, 2**63 - 1)), max_size=30),
    key,
)
def test_two_epochs(
    made: tuple[ChannelKind, bytes, list[Side], list[str]],
    initiators: list[int],
    messages: list[tuple[int, bytes, int]],
    binding: bytes,
) -> None:
    kind, chat_id, sides, names = made
    used: Suite | None = None
    previous_transcript, previous_ratchet = b"", None
    sent, orders = [0, 0], [0, 0]  # of each end: the highest order it sent, the highest it answered
    for number, initiator in enumerate(initiators, start=1):
        first, second = sides[initiator], sides[1 - initiator]
        suites, allowed = (
            [suite for suite in side.suites if used is None or not suite.is_below(used)]
            or [suite for suite in Suite if suite is used]
            for side in (first, second)
        )
        pick = next((suite for suite in suites if suite in allowed), None)
        assume(pick is not None)
        assert pick is not None
        h = ref.SUITES[pick]
        statement = first.channel.start_offer(0.0)
        answer, confirm = second.channel.answer_offer(statement, 0.0)
        tag = first.channel.complete(answer, confirm, 0.0)
        second.channel.check_confirm(number, tag, 0.0)

        privates = [side.privates[number - 1] for side in (first, second)]
        publics = [ref.ephemeral_public(private) for private in privates]
        seed = first.kem_seeds.pop(0) if any(suite >= 3 for suite in suites) else b""
        encapsulation_key = ref.encapsulation_key(seed) if seed else b""
        kem_secret = ref.decapsulate(seed, answer.kem) if pick >= 3 else b""
        orders[1 - initiator] = order = sent[initiator] + 1
        sent[initiator] = order
        about = kind, chat_id, number, names[initiator], names[1 - initiator]
        offer_head, answer_head = ref.head(ref.lp(statement.suites), *about), ref.head(ref.u8(pick), *about)
        offer_bytes = ref.offer(offer_head, order, publics[0], encapsulation_key, previous_transcript)
        answer_bytes = ref.answer(h, answer_head, publics[1], answer.kem, offer_bytes)
        transcript = ref.transcript_hash(h, offer_bytes, answer_bytes)
        ikm = ref.shared_secret(privates[1], publics[0]) + kem_secret
        keys = ref.epoch_keys(h, ikm, transcript, previous_ratchet)
        assert (list(statement.suites), statement.kem, len(answer.kem)) == (suites, encapsulation_key, 1088 * (pick >= 3))
        assert answer.suites == bytes([pick])
        assert (statement.order, statement.ephemeral, statement.signature) == (
            order,
            publics[0],
            ref.sign(first.seed, offer_bytes),
        )
        assert (answer.ephemeral, answer.signature) == (publics[1], ref.sign(second.seed, answer_bytes))
        assert ref.verifies(ref.public_key(second.seed), answer_bytes, answer.signature)
        assert (tag, confirm) == (ref.confirm(h, keys["mac"], 0, transcript), ref.confirm(h, keys["mac"], 1, transcript))

        chain_keys = [keys["i2r"], keys["r2i"]]
        positions = [0, 0]
        for index, text, seq in messages:
            role = index if initiator == 0 else 1 - index
            start = ref.u64(seq) if kind is ChannelKind.END_TO_END else b""
            nonce = ref.content_nonce(start) if start else binding[12 * index : 12 * index + 12]
            frame = sides[index].channel.seal(text, 0.0, nonce=nonce, aad_suffix=ref.u64(seq))
            chain_keys[role], message_key = ref.step(h, chain_keys[role])
            header = ref.frame_header(kind, chat_id, number, role, positions[role], start)
            assert frame == ref.seal(message_key, nonce, header, text, seq)
            assert sides[1 - index].channel.open(frame, 0.0, nonce=nonce, aad_suffix=ref.u64(seq)) == text
            positions[role] += 1

        for index in (0, 1):
            role = index if initiator == 0 else 1 - index
            channel = sides[index].channel
            (claim,) = channel.claims(binding)
            encoded = ref.claim(
                number, pick, transcript, positions[role], positions[1 - role], positions[1 - role], orders[index]
            )
            assert claim.tag == ref.claim_tag(h, keys["mac"], kind, chat_id, role, encoded, binding)
            assert channel.ack_tag(7) == (number, ref.ack_tag(h, keys["mac"], chat_id, number, role, 7))
        used = pick
        previous_transcript, previous_ratchet = transcript, keys["ratchet"]
