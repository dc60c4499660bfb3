"""runc for a machine whose root lacks CAP_SYS_RESOURCE: a privileged container asks for every capability there is."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.harness.errors import HarnessError
from tests.e2e.harness.machine import SYSTEM_PATH

SYS_RESOURCE = 24  # its bit in the kernel's masks

# Takes the capability out of what `create` and `run` (config.json of the bundle) and `exec` (the process file) are given.
_WRAPPER = """\
#!/bin/sh
bundle= process= previous=
for word in "$@"; do
  case $previous in --bundle|-b) bundle=$word ;; --process|-p) process=$word ;; esac
  previous=$word
done
for file in "${{bundle:+$bundle/config.json}}" "$process"; do
  [ -n "$file" ] && [ -f "$file" ] && sed -i 's/,"CAP_SYS_RESOURCE"//g; s/"CAP_SYS_RESOURCE",//g' "$file"
done
exec {runc} "$@"
"""


def may_have(capability: int, status: str) -> bool:
    """Say whether a process may have a capability, by the bounding set in its /proc/PID/status."""
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(bounding, 16) >> capability & 1)


def choose_runtime(folder: Path) -> Path:
    """Return the machine's runc, or a wrapper of it written into the folder where the machine needs one."""
    runc = shutil.which("runc", path=SYSTEM_PATH)
    if runc is None:
        raise HarnessError("no runc", "install the package runc")
    if may_have(SYS_RESOURCE, Path("/proc/self/status").read_text()):
        return Path(runc)
    wrapper = folder / "runc-without-sys-resource"
    wrapper.write_text(_WRAPPER.format(runc=runc))
    wrapper.chmod(0o755)
    return wrapper
