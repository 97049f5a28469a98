"""Do examples, each in a fork of a process that has imported everything."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fuzz.strange import SECRET

HERE = Path(__file__).parent
MOST_SECONDS, MOST_MEGABYTES = 10, 1024
LONGEST = 3 * MOST_SECONDS  # so that it is known how long a slow one takes


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a fork ended."""

    code: int
    """Negative for the signal that ended it."""
    seconds: float
    megabytes: float
    """By how much its memory grew."""
    stdout: str
    stderr: str

    @property
    def faults(self) -> list[str]:
        """What must not be, in words; none where all is well."""
        said = self.stdout + self.stderr
        found = {
            f"it ended with code {self.code}": self.code not in (0, 2),
            "a traceback": "Traceback" in said,
            "nothing is said about what is wrong": self.code == 2 and not said.strip(),
            f"it took {self.seconds:.1f} s": self.seconds > MOST_SECONDS,
            f"it took {self.megabytes:,.0f} MB": self.megabytes > MOST_MEGABYTES,
            "it shows a file from outside": SECRET in said,
            "a fault of ours is blamed on the file": "is not defined" in said,
        }
        return [fault for fault, is_so in found.items() if is_so]


class Forks:
    """The warm process; ends with the ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Forks:
        self._log = (self._folder / "warm.log").open("wb")
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = os.environ | dict.fromkeys(threads, "1")
        environment["NUMBA_THREADING_LAYER"] = "workqueue"  # OpenMP ends forks of a process that has used it
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "warm.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, cwd=HERE.parents[1], env=environment, text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # its input ends, and so does it
        self._log.close()

    def do(self, kind: str, *given: Any, killed_after: float = math.inf, **environment: str) -> Ended:
        """One of the kinds of work in ``warm.py``, killed after so many seconds."""
        printed = {name: str(self._folder / name) for name in ("stdout", "stderr")}
        work = {
            "kind": kind, "given": given, "environment": environment, "killed_after": min(killed_after, LONGEST), **printed,
        }  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(work) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError((self._folder / "warm.log").read_text())
        said = {
            name: Path(file).read_text(encoding="utf-8", errors="replace") for name, file in printed.items()
        }
        return Ended(**json.loads(answer), **said)
