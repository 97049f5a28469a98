"""The selected cells of a run; pages ask this file and the figures change it.

The session keeps one selection for each data set, with the run it was made on, so another run of the same data shows the same
cells. An empty selection is no selection.
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from app import session
from app.shared import cached
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.selections import store
from deepvelo.selections.cells import How as Combination
from deepvelo.selections.cells import combine
from deepvelo.selections.store import SavedSelection

How = Literal["new", "add", "keep", "remove"]
HOWS: tuple[How, ...] = get_args(How)
_COMBINED: dict[How, Combination] = {"add": "or", "keep": "and", "remove": "and not"}
HOW_KEY, ONLY_KEY = "selection.how", "selection.only"  # widgets of the bar
_MOST_STEPS = 30  # that can be undone


def selected(run: Run) -> np.ndarray | None:
    """Mask of the selected cells, shape ``(n_cells,)``; None if none is selected."""
    kept = session.selection(run.info.data_hash)
    if kept is None or not kept["steps"]:
        return None
    packed, _ = kept["steps"][-1]
    cells = _unpacked(packed, kept["size"])
    if kept["run"] != run.info.run_id:
        try:
            cells = cached.in_run(cells, kept["run"], run.info.run_id)
        except InputError:  # the run it was made on was deleted
            return None
    return cells if cells.any() else None


def selected_rows(run: Run) -> np.ndarray:
    """Row numbers of the selected cells, ascending; empty for none."""
    cells = selected(run)
    return np.empty(0, dtype=int) if cells is None else np.flatnonzero(cells)


def name(run: Run) -> str:
    """Name of the saved selection of this run that is selected; empty for other cells, and once it is deleted or replaced."""
    kept = session.selection(run.info.data_hash)
    if kept is None or not kept["steps"] or kept["run"] != run.info.run_id:
        return ""
    saved = kept["steps"][-1][1]
    return saved.name if saved is not None and store.exists(run.folder, saved.selection_id) else ""


def change(run: Run, cells: np.ndarray, how: How = "new", *, saved: SavedSelection | None = None) -> None:
    """Combine cells with the selection: replace it, add to it, keep only its cells among them, or remove them.

    Parameters
    ----------
    cells
        Mask, shape ``(n_cells,)``.
    saved
        The saved selection that the cells are; only for ``new``.
    """
    before = selected(run)
    if before is not None and how != "new":
        cells = combine(before, _COMBINED[how], cells)
    elif how in ("keep", "remove"):  # all cells are shown as selected while none is
        cells = cells if how == "keep" else ~cells
    _keep(run, cells, saved if how == "new" else None)


def clear(run: Run) -> None:
    """Select no cells; can be undone."""
    if selected(run) is not None:
        _keep(run, np.zeros(len(run.obs), dtype=bool))


def undo(run: Run) -> None:
    """Return to the selection before the last change."""
    kept = session.selection(run.info.data_hash)
    if kept is not None:
        session.keep_selection(run.info.data_hash, {**kept, "steps": kept["steps"][:-1]})


def can_undo(run: Run) -> bool:
    """Whether the selection was changed before."""
    kept = session.selection(run.info.data_hash)
    return kept is not None and bool(kept["steps"])


def is_fresh(run: Run) -> bool:
    """Whether this session has not selected any cells of these data yet, as after a reload."""
    return session.selection(run.info.data_hash) is None


def how() -> How:
    """What the next outline does, as chosen in the bar."""
    value = session.widget_value(HOW_KEY)
    return value if value in HOWS else "new"


def only_selected() -> bool:
    """Whether figures hide the other cells."""
    return bool(session.widget_value(ONLY_KEY))


def shown(run: Run) -> np.ndarray | None:
    """Mask of the cells that figures and their statistics cover: the selected ones where the others are hidden, else None."""
    return selected(run) if only_selected() else None


def bits(cells: np.ndarray) -> np.ndarray:
    """A mask in bytes of eight cells each, as the browser reads it."""
    return np.packbits(cells)


def restore(run: Run, stored: object, *, key: str) -> None:
    """Take the selection that a browser kept over a reload; nothing happens if it is not of these cells.

    Parameters
    ----------
    stored
        ``key`` and ``bits``, the mask packed and in base 64.
    """
    n_cells = len(run.obs)
    if not isinstance(stored, Mapping) or stored.get("key") != key:
        return
    text = stored.get("bits")
    if not isinstance(text, str) or len(text) > n_cells:
        return
    try:
        packed = np.frombuffer(b64decode(text, validate=True), dtype=np.uint8)
    except (NotBase64, ValueError):
        return
    if len(packed) == -(-n_cells // 8):
        _keep(run, np.unpackbits(packed, count=n_cells).astype(bool))


def _keep(run: Run, cells: np.ndarray, saved: SavedSelection | None = None) -> None:
    kept = session.selection(run.info.data_hash)
    if kept is not None and kept["run"] == run.info.run_id:
        before = kept["steps"]
    else:  # the steps of another run number other cells
        earlier = selected(run)
        before = [] if earlier is None else [(_packed(earlier), None)]
    session.keep_selection(
        run.info.data_hash,
        {
            "run": run.info.run_id,
            "size": len(cells),
            "steps": [*before, (_packed(cells), saved)][-_MOST_STEPS:],
        },
    )


def _packed(cells: np.ndarray) -> bytes:
    return zlib.compress(bits(cells).tobytes(), 1)


def _unpacked(packed: bytes, size: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(zlib.decompress(packed), dtype=np.uint8), count=size).astype(bool)
