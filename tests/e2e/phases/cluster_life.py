"""The first phase and the last: a cluster with the image in it, and a machine left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.harness.errors import HarnessError, RefusedError
from tests.e2e.harness.leftovers import describe_clean, find_leftovers
from tests.e2e.harness.paths import CHECKOUT
from tests.e2e.phases.context import IMAGE
from tests.e2e.phases.monitoring import stop_monitoring
from tests.e2e.phases.operator_install import refuse_foreign_meshes
from tests.e2e.phases.runner import SkipPhase

if TYPE_CHECKING:
    from tests.e2e.phases.context import Run


def start_cluster(run: Run) -> str:
    """Start the cluster, building whatever of it is missing; returns its Kubernetes version.

    One that is up already is used, unless it holds what this run would end. After a refusal all is as it was.
    """
    try:
        run.cluster.up(run.begin)
        refuse_foreign_meshes(run)
    except RefusedError:
        run.refused = True
        raise
    except BaseException:
        run.clear_folder()
        raise
    run.clear_folder()
    run.up = True
    version = run.kubectl.run("version", "-o", "json")
    run.write("kubernetes-version.json", version)
    return next((line.split('"')[3] for line in version.splitlines()[::-1] if "gitVersion" in line), "")


def build_image(run: Run) -> str:
    """Build the image of this checkout, unless the run before did, and load it."""
    if run.built:
        run.cluster.load_image(IMAGE)
        return f"{IMAGE}, as it was built before"
    run.cluster.build_and_load(CHECKOUT, IMAGE)
    return IMAGE


def end_cluster(run: Run) -> str:
    """End the cluster and look for anything of it on the machine; one that this run did not start stays."""
    if not run.owned:
        if run.prometheus is not None:
            stop_monitoring(run.cluster.run_dir)
        raise SkipPhase(
            f"this run started none, what was there before stays; `make e2e-down CLUSTER={run.cluster.name}` ends it"
        )
    run.cluster.down()
    looks = run.cluster.looks()
    left = find_leftovers(looks)
    if left:
        raise HarnessError(
            f"left on this machine: {'; '.join(left[:5])}", f"`make e2e-down CLUSTER={run.cluster.name}` once more"
        )
    return describe_clean(looks)
