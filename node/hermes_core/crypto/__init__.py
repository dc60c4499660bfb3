"""Primitives behind Hermes' own functions: secrets, HKDF, AEAD, signatures, labels."""
