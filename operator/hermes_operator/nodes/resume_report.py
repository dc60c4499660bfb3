"""What a node tells of its chats: the witness before a restart, the report after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hermes_core.keystore.state import KeystoreMark
from hermes_core.keystore.witness_verdict import KeystoreStanding, ResumeVerdict


@dataclass(frozen=True, slots=True)
class Witness:
    """What a node held before its restart (admin.proto, ResumeWitness). `mark`: as hermes_operator.nodes.held_mark says."""

    node_id: str
    identity_fingerprint: str
    generation: int
    commit_counter: int
    live_chats: int
    witness_id: str
    digest: str
    mark: str = ""

    @property
    def standing(self) -> KeystoreStanding:
        return KeystoreStanding(self.identity_fingerprint, KeystoreMark(self.generation, self.commit_counter))


@dataclass(frozen=True, slots=True)
class ResumeReport:
    """What a node tells after its start (admin.proto, ResumeReport); `verdict` is its own comparison with the witness.

    `mark`: authentic, or empty; `open_id`: hex, the opening that the node is in. `former_fingerprints`: of identity keys that
    the node renewed, as both keys signed.
    """

    identity_fingerprint: str
    generation: int
    commit_counter: int
    live_chats: int
    resumed: int = 0
    expired: int = 0
    corrupt: int = 0
    rolled_back: int = 0
    closed_since: int = 0
    missing: int = 0
    lowered: int = 0
    verdict: ResumeVerdict = ResumeVerdict.RESUME_VERDICT_UNSPECIFIED
    detail: str = ""
    mark: str = ""
    open_id: str = ""
    moved_since: int = 0
    former_fingerprints: frozenset[str] = frozenset()

    @property
    def standing(self) -> KeystoreStanding:
        return KeystoreStanding(self.identity_fingerprint, KeystoreMark(self.generation, self.commit_counter))

    def succeeds(self, known: KeystoreStanding) -> KeystoreStanding:
        """What was known of the node, under its present identity if it renewed the one of then."""
        renewed = known.fingerprint in self.former_fingerprints
        return replace(known, fingerprint=self.identity_fingerprint) if renewed else known

    @property
    def lost(self) -> int:
        """Chats it held on disk, or should have, and did not resume."""
        return self.expired + self.corrupt + self.rolled_back + self.missing
