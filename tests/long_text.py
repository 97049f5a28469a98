"""Long names that make careless text routines take squares of time, or more, and a clock that ends them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_REPEATED = (
    "1 A . _ - ² ́ a1 1. a_ a- A. ACGT ACGTACGTACGTACGT_ ENSG00000000003_ _1 -1 a, a| a: out Aligned. dedup umap sample"
).split()
_BETWEEN = {
    "blanks": ("x", " ", "x"),
    "blanks after a comma": ("x,", " ", "x"),
    "digits before a sign": ("", "1", "!"),
}
_BETWEEN |= {
    "a weight": ("X,", "1", "!"),
    "a number": ("a.", "9", ""),
    "an id": ("ENS", "G", ""),
    "an end": ("umap", "_", "q"),
}
_BETWEEN |= {"a file": ("", "out", "!.bam"), "a file that was deduplicated": ("", "dedup", ".bax")}


def kinds(n: int) -> dict[str, str]:
    """Texts of about ``n`` characters, by what they are made of."""
    found = {part: part * (n // len(part)) for part in _REPEATED}
    return found | {name: a + b * (n // len(b)) + c for name, (a, b, c) in _BETWEEN.items()}


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` where the block takes more CPU time, also inside a regular expression."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def slow_kinds(call: Callable[[str], object], *, n: int, seconds: float) -> list[str]:
    """The kinds of text that a function takes longer for."""
    slow = []
    for name, text in kinds(n).items():
        try:
            with within(seconds):
                call(text)
        except TimeoutError:
            slow.append(name)
        except ValueError as error:  # one of ours may refuse a text; Python's for long numbers may not escape
            if type(error) is ValueError:
                raise
    return slow
