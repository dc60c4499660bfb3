"""A session of PyPI's DoubleRatchet with the library's recommended algorithms, as its documentation sets them up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from doubleratchet import DoubleRatchet as AbstractDoubleRatchet
from doubleratchet import Header
from doubleratchet.recommended import (
    HashFunction,
    aead_aes_hmac,
    diffie_hellman_ratchet_curve25519,
    kdf_hkdf,
    kdf_separate_hmacs,
)


class Ratchet(AbstractDoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data: bytes, header: Header) -> bytes:
        counts = header.sending_chain_length.to_bytes(8, "big"), header.previous_sending_chain_length.to_bytes(8, "big")
        return b"".join((associated_data, header.ratchet_pub, *counts))


class RootKdf(kdf_hkdf.KDF):
    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"bench root chain"


class ChainKdf(kdf_separate_hmacs.KDF):
    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256


class Aead(aead_aes_hmac.AEAD):
    @staticmethod
    def _get_hash_function() -> HashFunction:
        return HashFunction.SHA_256

    @staticmethod
    def _get_info() -> bytes:
        return b"bench content"


SETTINGS: dict[str, Any] = {
    "diffie_hellman_ratchet_class": diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet,
    "root_chain_kdf": RootKdf,
    "message_chain_kdf": ChainKdf,
    "message_chain_constant": b"\x01\x02",
    "dos_protection_threshold": 100,
    "max_num_skipped_message_keys": 1000,
    "aead": Aead,
}


async def establish() -> tuple[Ratchet, Ratchet]:
    """A session after its first message."""
    private = diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet._generate_priv()
    public = diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet._derive_pub(private)
    shared = os.urandom(32)
    sender, first = await Ratchet.encrypt_initial_message(
        shared_secret=shared, recipient_ratchet_pub=public, message=b"first", associated_data=b"", **SETTINGS
    )
    receiver, _ = await Ratchet.decrypt_initial_message(
        shared_secret=shared, own_ratchet_priv=private, message=first, associated_data=b"", **SETTINGS
    )
    return sender, receiver


def make_double_ratchet(content: bytes) -> Callable[[int], object]:
    """Encrypts and decrypts `content` as often as it is told."""
    sender, receiver = asyncio.run(establish())

    async def send_all(operations: int) -> None:
        for _ in range(operations):
            message = await sender.encrypt_message(content, b"")
            if await receiver.decrypt_message(message, b"") != content:
                raise AssertionError("content changed on its way")

    return lambda operations: asyncio.run(send_all(operations))
