"""What holds for every test: property tests have no deadline for an example, which a busy machine would miss."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("hermes", deadline=None, print_blob=True)
settings.load_profile("hermes")
