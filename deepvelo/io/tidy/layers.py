"""Standardise layers: names, ambiguous counts and float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo import keys
from deepvelo.arrays.matrices import BLOCK_CELLS, is_in_file, is_lazy, is_numeric, is_whole, some_cells
from deepvelo.contents.layer_names import AMBIGUOUS, COUNTS, standard_layers
from deepvelo.contents.notes import stored_notes
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Ambiguous

# alevin-fry's suffixes for unspliced and ambiguous counts of a gene, also as changed by R, and the older one for introns.
_COPIES = (("-U", "-A"), (".U", ".A"), ("_U", "_A"), ("-I", None))
_MIN_NOTED_SHARE = 0.05
_LEFT_OUT = "Ambiguous counts"
# Entries from which a matrix that is nowhere smaller than the unspliced counts is considered a sum that includes them.
_MIN_COMPARED = 20


def renaming_note(renamed: dict[str, str]) -> str:
    """A note on renamed layers."""
    old, new = (
        " and ".join(", ".join(names).rsplit(", ", 1)) for names in (map(repr, renamed), renamed.values())
    )
    return f"Layer {old} is used as {new}." if len(renamed) == 1 else f"Layers {old} are used as {new}."


def name_layers(adata: AnnData) -> list[str]:
    """Rename layers to scVelo's names, in place; returns a note if any was renamed."""
    renamed = standard_layers(adata.layers)
    for name, standard in renamed.items():
        adata.layers[standard] = adata.layers.pop(name)
    return [renaming_note(renamed)] if renamed else []


def split_genes(adata: AnnData) -> tuple[AnnData, list[str]]:
    """Split an object with one entry per gene and kind of count, as alevin-fry writes it, into layers.

    Genes are split only if ``X``, ``X-U`` and, if any, ``X-A`` are complete and no layer of counts exists.

    Returns
    -------
    A new object with each gene once and layers ``spliced``, ``unspliced`` and ``ambiguous``, and a note; or the unchanged
    object.
    """
    if adata.X is None or is_in_file(adata.X) or any(layer in adata.layers for layer in COUNTS):
        return adata, []
    names = list(map(str, adata.var_names))
    # a name of several genes refers to the first, second, ... of them in each kind of count
    nth = pd.Series(names).groupby(names).cumcount()
    place = {key: i for i, key in enumerate(zip(names, nth, strict=True))}
    for unspliced, ambiguous in _COPIES:
        suffixes = [suffix for suffix in (unspliced, ambiguous) if suffix is not None]
        # not by the ending alone: genes such as HLA-A and H2-U have the same endings
        plain = [i for i, name in enumerate(names) if (name + unspliced, nth[i]) in place]
        genes = [names[i] for i in plain]
        copies = {suffix: [place.get((names[i] + suffix, nth[i]), -1) for i in plain] for suffix in suffixes}
        complete = {suffix: found for suffix, found in copies.items() if found and -1 not in found}
        if not plain or sorted([*plain, *(i for found in complete.values() for i in found)]) != list(
            range(len(names))
        ):
            continue
        x = adata.X.tocsc() if sparse.issparse(adata.X) else adata.X
        out = adata[:, plain].copy()
        out.layers[keys.SPLICED] = _columns(x, plain)
        out.layers[keys.UNSPLICED] = _columns(x, complete[unspliced])
        if ambiguous in complete:
            out.layers[AMBIGUOUS] = _columns(x, complete[ambiguous])
        out.X = None
        note = (
            f"{len(genes):,} genes came {1 + len(complete)} times ({', '.join(['X', *('X' + s for s in complete)])}) and "
            f"were taken apart: {unspliced} is unspliced"
            + (f", {ambiguous} ambiguous." if ambiguous in complete else ".")
        )
        return out, [note]
    return adata, []


def use_x_as_spliced(adata: AnnData) -> list[str]:
    """Use integer counts in ``X`` as spliced if ``unspliced`` is a layer and ``spliced`` is not; returns a note.

    If ``X`` is nowhere smaller than the unspliced counts, it is considered a sum that includes them and is not used.
    """
    if keys.SPLICED in adata.layers or keys.UNSPLICED not in adata.layers or adata.X is None:
        return []
    x, unspliced = adata.X, adata.layers[keys.UNSPLICED]
    if is_in_file(x) or is_in_file(unspliced) or not (is_numeric(x) and is_numeric(unspliced)):
        return []
    x, unspliced = (sparse.csr_matrix(_first_cells(matrix), dtype=np.float32) for matrix in (x, unspliced))
    smaller = (unspliced > x).nnz
    if not is_whole(x) or (x.data < 0).any() or (smaller == 0 and unspliced.nnz >= _MIN_COMPARED):
        return []
    adata.layers[keys.SPLICED] = adata.X.copy()
    return ["X is used as spliced: it holds whole counts, and a layer 'unspliced' but no 'spliced' is there."]


def place_ambiguous(adata: AnnData, ambiguous: Ambiguous = "leave_out") -> list[str]:
    """Add ambiguous counts to another layer, or note how many are left out; in place, returns notes.

    Parameters
    ----------
    ambiguous
        ``"spliced"`` or ``"unspliced"`` adds them and drops the layer; ``"leave_out"`` keeps it unused.

    Raises
    ------
    InputError
        Only some of the layers are counts, so a sum would be meaningless.
    """
    layers = adata.layers
    if not all(layer in layers for layer in (*COUNTS, AMBIGUOUS)) or any(
        is_in_file(layers[layer]) for layer in (*COUNTS, AMBIGUOUS)
    ):
        return []
    if len({is_whole(_first_cells(layers[layer])) for layer in (*COUNTS, AMBIGUOUS)}) > 1:
        if ambiguous == "leave_out":
            return []
        msg = (
            f"Ambiguous counts cannot be added to '{ambiguous}': only some of the layers 'spliced', 'unspliced' and "
            "'ambiguous' are whole counts. Leave them out, or give raw counts."
        )
        raise InputError(msg)
    totals = {layer: float(_first_cells(layers[layer]).sum()) for layer in (*COUNTS, AMBIGUOUS)}
    share = totals[AMBIGUOUS] / (sum(totals.values()) or 1)
    if ambiguous != "leave_out":
        layers[ambiguous] = layers[ambiguous] + layers.pop(AMBIGUOUS)
        return [f"Ambiguous counts ({share:.0%}) were added to {ambiguous}."]
    told = any(note.startswith(_LEFT_OUT) for note in stored_notes(adata))
    if told or share <= _MIN_NOTED_SHARE:
        return []
    return [
        f"{_LEFT_OUT} ({share:.0%}) are left out; 'Ambiguous counts' (--ambiguous) adds them to spliced or unspliced."
    ]


def require_numbers(adata: AnnData, name: str) -> None:
    """Convert ``X`` and all layers to float32, in place; arrays on disk stay on disk.

    Raises
    ------
    InputError
        A layer is not numeric.
    """
    for layer in list(adata.layers):
        adata.layers[layer] = _float32(adata.layers[layer], f"Layer '{layer}' of {name}")
    if adata.X is not None and not is_in_file(adata.X):
        adata.X = _float32(adata.X, f"X of {name}")


def _float32(matrix: Any, what: str) -> Any:
    if not is_numeric(matrix):
        kind = getattr(matrix, "dtype", type(matrix).__name__)
        msg = f"{what} does not hold numbers: its type is {kind}. Save the counts as integers or floats."
        raise InputError(msg)
    if is_lazy(matrix):
        return matrix.astype(np.float32)
    if is_in_file(matrix):
        return matrix
    if sparse.issparse(matrix):
        return sparse.csr_matrix(matrix, dtype=np.float32)
    return np.asarray(matrix, dtype=np.float32)


def _columns(matrix: Any, places: list[int]) -> Any:
    taken = matrix[:, places]
    return taken.tocsr() if sparse.issparse(taken) else taken


def _first_cells(matrix: Any) -> Any:
    """The matrix, or the first cells of a lazy one."""
    return some_cells(matrix, slice(0, BLOCK_CELLS)) if is_lazy(matrix) else matrix
