"""What another process holds in memory, to search it for secrets that should be gone."""

from __future__ import annotations

from pathlib import Path

_PAGE_BYTES = 4096
_EMPTY = bytes(_PAGE_BYTES)


def read_memory(pid: int) -> bytes:
    """Every writable page of a child process."""
    found = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            addresses, permissions = line.split()[:2]
            if not permissions.startswith("rw") or "[v" in line:  # vvar, vdso, vsyscall cannot be read
                continue
            start, end = (int(part, 16) for part in addresses.split("-"))
            memory.seek(start)
            found.append(_drop_zeros(memory.read(end - start)))
    return b"\0".join(found)


def _drop_zeros(memory: bytes) -> bytes:
    """Without the pages that nobody wrote to: most of all stacks is that, and searching takes as long for them."""
    pages = [memory[at : at + _PAGE_BYTES] for at in range(0, len(memory), _PAGE_BYTES)]
    return b"".join(page for page in pages if page != _EMPTY)
