"""Taking down what a failed start has begun, so that nothing breaks it off and the reason that is told stays the first one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import HarnessError
from .interruption import finishing, interruptible
from .progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .paths import RunDir


@contextmanager
def taken_down_on_failure(run_dir: RunDir, take_down: Callable[[], None], *, cure: str) -> Iterator[None]:
    """Run the block; when it fails or is interrupted, `take_down`, and raise what the block raised.

    A teardown that fails is told with `cure`, and hides nothing. Logs that the error names are found where they are then.
    """
    with finishing():
        try:
            with interruptible():
                yield
        except BaseException as reason:
            try:
                take_down()
            except Exception as error:  # noqa: BLE001 - the reason counts, not what followed of it
                say(f"not all of it was taken down: {error}; {cure}")
            if run_dir.kept_logs.is_dir():
                say(f"logs kept in {run_dir.kept_logs}")
            if isinstance(reason, HarnessError):
                raise name_kept_logs(reason, run_dir) from None
            raise


def name_kept_logs(error: HarnessError, run_dir: RunDir) -> HarnessError:
    """Return the error with the place that the logs were moved to, if they were."""
    if run_dir.logs.exists() or not run_dir.kept_logs.is_dir():
        return error
    problem, cure = (text.replace(f"{run_dir.logs}/", f"{run_dir.kept_logs}/") for text in (error.problem, error.cure))
    return type(error)(problem, cure)


def collect(what: str, act: Callable[[], object]) -> None:
    """Collect what may help after a failure: neither a failure of that nor one more signal keeps from taking down."""
    try:
        with interruptible():
            act()
    except KeyboardInterrupt:
        say(f"{what}: skipped, as a second signal asks")
    except Exception as error:  # noqa: BLE001 - the failure that is already known counts, not one in here
        say(f"{what}: not all could be collected: {type(error).__name__}: {error}")
