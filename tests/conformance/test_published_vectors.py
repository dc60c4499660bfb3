"""Published vectors through Hermes' own functions: X25519, Ed25519, HKDF, HMAC, both AEADs, Argon2id."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_core.crypto import hkdf
from hermes_core.crypto.aead import open_frame, seal_frame
from hermes_core.crypto.hashing import HashId, compute_tag, equal_tags
from hermes_core.crypto.kdf_argon2 import derive_argon2id
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.crypto.sodium import pointer
from hermes_core.crypto.x25519 import EphemeralKey
from hermes_core.crypto.xaead import InvalidTagError, open_xchacha, seal_xchacha, seal_xchacha_in_place
from hermes_core.errors import ErrorCode, ProtocolError
from tests.conformance.published import PACKAGE, hexed, load_package, load_wycheproof

HASHES = {"SHA-256": HashId.SHA256, "SHA-512": HashId.SHA512}


def secret(data: bytes) -> SecretBytes:
    return SecretBytes.take(bytearray(data))


# X25519 (RFC 7748)


def exchange(private: bytes, public: bytes) -> bytes | None:
    """None when Hermes refuses the point."""
    try:
        shared = EphemeralKey(secret(private)).exchange(public)
    except ProtocolError as error:
        assert error.code is ErrorCode.INVALID_KEY  # noqa: PT017
        return None
    return bytes(shared.buffer)


def test_x25519_wycheproof() -> None:
    refused = 0
    for _, case in load_wycheproof("x25519_test"):
        shared = exchange(bytes.fromhex(case["private"]), bytes.fromhex(case["public"]))
        if "ZeroSharedSecret" in case["flags"]:
            assert shared is None, case
            refused += 1
        else:  # twisted and non-canonical points are acceptable, and computed as RFC 7748 says
            assert shared is not None, case
            assert shared.hex() == case["shared"], case
    assert refused == 31


def test_x25519_rfc7748() -> None:
    for case in load_package("asymmetric/X25519/rfc7748.txt"):
        assert exchange(hexed(case["input_scalar"]), hexed(case["input_u"])) == hexed(case["output_u"])


def test_x25519_public_keys_are_the_base_point_times_the_private_key() -> None:
    base = bytes([9]) + bytes(31)
    for case in load_package("asymmetric/X25519/rfc7748.txt"):
        scalar = hexed(case["input_scalar"])
        assert EphemeralKey(secret(scalar)).public == exchange(scalar, base)


# Ed25519 (RFC 8032)


def verifies(key: bytes, data: bytes, signature: bytes) -> bool:
    try:
        verify_signature(key, data, signature)
    except ProtocolError as error:
        assert error.code in {ErrorCode.AUTH_FAILED, ErrorCode.INVALID_KEY}  # noqa: PT017
        return False
    return True


def test_ed25519_wycheproof() -> None:
    for group, case in load_wycheproof("ed25519_test"):
        key = bytes.fromhex(group["publicKey"]["pk"])
        accepted = verifies(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        assert accepted is (case["result"] == "valid"), case


def test_ed25519_rfc8032_reference_inputs() -> None:
    count = 0
    for line in (PACKAGE / "asymmetric/Ed25519/sign.input").read_text().splitlines():
        secret_key, public, message, signed = (bytes.fromhex(field) for field in line.split(":")[:4])
        identity = Identity.from_seed(secret(secret_key[:32]))
        assert identity.public_key == public
        assert identity.sign(message) == signed[:64]
        assert verifies(public, message, signed[:64])
        assert not verifies(public, message + b"x", signed[:64])
        count += 1
    assert count == 1024


# HKDF (RFC 5869)


def expand(hash_id: HashId, prk: SecretBytes, info: bytes, length: int) -> bytes:
    okm = hkdf.expand(hash_id, prk, info, length)
    return bytes(okm.buffer)


def test_hkdf_wycheproof() -> None:
    for _, case in load_wycheproof("hkdf_sha256_test"):
        prk = hkdf.extract(HashId.SHA256, bytes.fromhex(case["salt"]), secret(bytes.fromhex(case["ikm"])))
        info = bytes.fromhex(case["info"])
        if case["result"] == "valid":
            assert expand(HashId.SHA256, prk, info, case["size"]).hex() == case["okm"], case
        else:
            with pytest.raises(ValueError, match="HKDF"):
                expand(HashId.SHA256, prk, info, case["size"])


@pytest.mark.parametrize("name", ["rfc-5869-HKDF-SHA256", "hkdf-generated"])
def test_hkdf_rfc5869(name: str) -> None:
    for case in load_package(f"KDF/{name}.txt"):
        hash_id = HASHES[case["hash"]]
        prk = hkdf.extract(hash_id, hexed(case["salt"]), secret(hexed(case["ikm"])))
        if "prk" in case:
            assert prk.buffer == hexed(case["prk"])
        assert expand(hash_id, prk, hexed(case["info"]), int(case["l"])) == hexed(case["okm"])


# HMAC (RFC 4231)


def test_hmac_wycheproof() -> None:
    for group, case in load_wycheproof("hmac_sha256_test"):
        tag = compute_tag(HashId.SHA256, secret(bytes.fromhex(case["key"])), bytes.fromhex(case["msg"]))
        accepted = equal_tags(tag[: group["tagSize"] // 8], bytes.fromhex(case["tag"]))
        assert accepted is (case["result"] == "valid"), case


@pytest.mark.parametrize(("name", "hash_id"), [("sha256", HashId.SHA256), ("sha512", HashId.SHA512)])
def test_hmac_rfc4231(name: str, hash_id: HashId) -> None:
    for case in load_package(f"HMAC/rfc-4231-{name}.txt"):
        expected = hexed(case["md"])
        assert compute_tag(hash_id, secret(hexed(case["key"])), hexed(case["msg"]))[: len(expected)] == expected


# ChaCha20-Poly1305 (RFC 8439), as frames are sealed


def check_chacha(fields: list[bytes], sealed: bytes, *, valid: bool) -> None:
    key, nonce, aad, plaintext = fields
    held = secret(key)
    if not valid:
        with pytest.raises((ProtocolError, ValueError)):
            open_frame(pointer(held.buffer), nonce, b"head" + sealed, 4, aad)
        return
    assert seal_frame(pointer(held.buffer), nonce, b"head", plaintext, aad) == b"head" + sealed
    assert open_frame(pointer(held.buffer), nonce, b"head" + sealed, 4, aad) == plaintext


def test_chacha20_poly1305_wycheproof() -> None:
    for _, case in load_wycheproof("chacha20_poly1305_test"):
        fields = [bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg")]
        sealed = bytes.fromhex(case["ct"] + case["tag"])
        check_chacha(fields, sealed, valid=case["result"] == "valid")


def test_chacha20_poly1305_package() -> None:
    for case in load_package("ciphers/ChaCha20Poly1305/boringssl.txt"):
        fields = [hexed(case[name]) for name in ("key", "nonce", "ad", "in")]
        check_chacha(fields, hexed(case["ct"]) + hexed(case["tag"]), valid=True)
    for case in load_package("ciphers/ChaCha20Poly1305/openssl.txt"):
        if len(hexed(case["iv"])) == 12 and len(hexed(case["tag"])) == 16:
            names = ("key", "iv", "aad", "plaintext")
            fields = [hexed(case[name]) for name in names]
            check_chacha(fields, hexed(case["ciphertext"]) + hexed(case["tag"]), valid="result" not in case)


# XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), as records are sealed


def test_xchacha20_poly1305_wycheproof() -> None:
    for _, case in load_wycheproof("xchacha20_poly1305_test"):
        key, nonce, aad, plaintext = (bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg"))
        sealed = bytes.fromhex(case["ct"] + case["tag"])
        if case["result"] == "valid":
            check_xchacha(key, nonce, aad, plaintext, sealed)
        else:
            with pytest.raises((InvalidTagError, ValueError)):
                open_xchacha(secret(key), nonce, sealed, aad)


def check_xchacha(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes, sealed: bytes) -> None:
    held = secret(key)
    assert seal_xchacha(held, nonce, plaintext, aad) == sealed
    assert open_xchacha(held, nonce, sealed, aad) == plaintext
    in_place = bytearray(plaintext + bytes(16))
    seal_xchacha_in_place(held, nonce, in_place, aad)
    assert in_place == sealed


def test_xchacha20_poly1305_draft_section_a_3_1() -> None:
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    )
    sealed = bytes.fromhex(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49"
    )
    check_xchacha(
        bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58)), bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), plaintext, sealed
    )


# Argon2id (RFC 9106)


def check_argon2id(case: dict[str, str]) -> None:
    optional: dict[str, Any] = {name: hexed(case[name]) for name in ("secret", "ad") if name in case}
    key = derive_argon2id(
        secret(hexed(case["pass"])),
        hexed(case["salt"]),
        memory_kib=int(case["memcost"]),
        time_cost=int(case["iter"]),
        lanes=int(case["lanes"]),
        length=int(case["length"]),
        **optional,
    )
    assert key.buffer == hexed(case["output"])


def test_argon2id_rfc9106() -> None:
    cases = load_package("KDF/argon2id.txt")
    assert len(cases) == 6
    for case in cases:
        check_argon2id(case)
