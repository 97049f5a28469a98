"""Read and check user data in a child process with limits, before the server reads them.

One server process reads the data of all visitors. Compiled libraries can crash on a damaged or hostile file without an
exception. `inspect` therefore reads the data in a child process first, and the server reads only data that passed.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.wording import number

__all__ = ["inspect"]

logger = logging.getLogger(__name__)

SECONDS: Final = 600
"""Time limit of an inspection."""
_ROOT = Path(__file__).resolve().parents[1]
# numerical libraries reserve address space per thread, which counts towards the limit
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_COMMAND = (sys.executable, "-m", "deepvelo.inspection")
# one at a time, because each may use all free memory
_one_at_a_time = threading.Lock()


def inspect(source: DataSource, *, seconds: float = SECONDS) -> None:
    """Read and summarize data in a child process.

    Parameters
    ----------
    source
        The data to read.
    seconds
        Time limit of the child process, and of the wait for earlier inspections.

    Raises
    ------
    InputError
        As for `DataSource.load` and `deepvelo.checks.summarize`, or the child process crashed or exceeded the free
        memory or the time.

    Examples
    --------
    >>> inspect(DataSource(kind="file", path="cells.h5ad"))
    """
    if not _one_at_a_time.acquire(timeout=seconds):
        msg = f"{source.label} was not read: other data sets were still being read after {_minutes(seconds)}. Try again."
        raise InputError(msg)
    try:
        status, answer = _run_child(json.dumps(dataclasses.asdict(source)), seconds=seconds)
    finally:
        _one_at_a_time.release()
    if status is None:
        msg = f"{source.label} was not read within {_minutes(seconds)}. Take fewer cells, or save it as h5ad."
        raise InputError(msg)
    if status != 0:
        raise InputError(_failure_message(source.label, status))
    if answer:
        raise InputError(json.loads(answer)["problem"])


def _run_child(request: str, *, seconds: float) -> tuple[int | None, str]:
    """Exit status of the child, or None after a timeout, and its output."""
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            _COMMAND,
            cwd=_ROOT,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=log,
        )
        with child:
            try:
                assert child.stdin is not None
                child.stdin.write(f"{request}\n".encode())
                child.stdin.flush()
                status = child.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            except BrokenPipeError:  # the child died before it read the request
                status = child.wait()
            finally:
                child.kill()
        for file in (answer, log):
            file.seek(0)
        if status != 0:
            logger.warning(
                "inspection ended with %s: %s", status, log.read().decode(errors="replace")[-2000:]
            )
        return status, answer.read().decode()


def _failure_message(label: str, status: int) -> str:
    if -status == signal.SIGKILL:  # the kernel's out-of-memory killer
        return f"{label} was not read: reading it took more memory than is free. Take fewer cells or layers."
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return (
        f"{label} was not read: the reading process crashed ({name}). The file is damaged, or needs more memory than is free. "
        "Copy it again, or save it again from its source with fewer cells or layers."
    )


def _minutes(seconds: float) -> str:
    return number(round(seconds / 60), "minute") if seconds >= 60 else number(round(seconds), "second")


def main() -> None:
    """Inspect the data source on the first line of standard input; write a problem, if any, as JSON."""
    from deepvelo import checks
    from deepvelo.config import Settings

    request = json.loads(sys.stdin.buffer.readline())
    # the parent keeps the pipe open, so its end means that the parent died
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _limit_memory()
    source = DataSource(**{**request, "more": tuple(request["more"])})
    try:
        checks.summarize(source.load(), Settings())
    except InputError as error:
        problem = str(error)
    except MemoryError:
        problem = f"{source.label} needs more memory than is free. Take fewer cells or layers."
    else:
        return
    sys.stdout.write(json.dumps({"problem": problem}))
    sys.stdout.flush()


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _limit_memory() -> None:
    """Limit memory to what is free now, and let the out-of-memory killer choose this process first."""
    import psutil

    from deepvelo.memory import available_memory

    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    most = psutil.Process().memory_info().vms + available_memory()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would contain the user's data
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
