"""What hermesctl tells people when something does not work: one line, with the cure."""

from __future__ import annotations

from hermes_core.errors import HermesError

EXIT_BROKEN_PROMISE = 1
EXIT_COULD_NOT_RUN = 2


class CtlError(HermesError):
    """A command could not do its work. The text is one line and says what to do."""
