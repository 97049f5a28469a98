"""Groups of cells and their colours, independent of how a column stores them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from natsort import natsorted, ns

from deepvelo import keys
from deepvelo.contents.columns import is_textual, value_texts

if TYPE_CHECKING:
    from anndata import AnnData

MAX_GROUPS: Final = 100  # more colours and names cannot be distinguished
# Common names of columns with groups of cells, in order of preference.
CLUSTER_NAMES: Final = (
    "clusters", "cell_type", "celltype", "cell_types", "celltypes", "cell type", "cluster",
    "clustername", "annotation", "leiden", "louvain", "seurat_clusters", keys.LEIDEN_OWN,
)  # fmt: skip
_CELL_TYPES: Final = re.compile(r"cell[^a-z]?(?:type|class|label|identity)|annot", re.IGNORECASE)
_OF_NUMBERS: Final = re.compile(r"(?:id|code|num|number|idx|index|int|cluster|clusters)s?$", re.IGNORECASE)
_WHOLE_NUMBER: Final = re.compile(r"(-?+)([0-9]++)(?:\.0*+)?+")
_SORTED_BY: Final = 200  # characters of a name
_MAX_PARTS: Final = 1000  # separated by commas in what a user writes
_COLORS: Final = keys.colors("")
UNASSIGNED: Final = "unassigned"
UNASSIGNED_COLOR: Final = "#c8c8c8"
# Okabe-Ito colours first. The others were added greedily, each as far as possible (CIELAB) from the previous
# ones in normal vision, deuteranopia and protanopia (Machado et al. 2009), with a lightness visible on white
# and on black.
PALETTE: Final = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#AACE79", "#B62431",
    "#5555C2", "#316D6D", "#55DBE7", "#FF6D86", "#92DBB6", "#CE7949", "#496D3D", "#AADB55",
    "#9E86C2", "#9E4900", "#496186", "#C25555", "#DB923D", "#FF9ECE", "#0C79F3", "#3D9EFF",
)  # fmt: skip


def group_names(column: pd.Series, *, missing: str | None = None) -> pd.Series:
    """Group of each cell as text, independent of the dtype.

    Groups ``0``, ``0.0`` and ``"0"`` are one; see `deepvelo.contents.columns.as_text`.

    Parameters
    ----------
    column
        A column of ``obs``, ``(n_cells,)``.
    missing
        Group name of cells with a missing or blank value; by default it stays missing.

    Returns
    -------
    Categorical without empty groups, in the order of the categories or in natural order (2 before 10).
    """
    codes, names = _codes_and_names(column)
    groups = pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))
    groups = groups.remove_unused_categories()
    if missing is not None and (codes < 0).any():
        if missing not in groups.categories:
            groups = groups.add_categories(missing)
        groups = groups.copy()
        groups[codes < 0] = missing
    return pd.Series(groups, index=column.index, name=column.name)


def count_groups(column: pd.Series) -> int:
    """Number of groups in a column; 0 for measurements and dates.

    Float columns count as groups if their values are integers, as integer columns with missing values become, and two
    cells on average share each value. Categories always count as groups.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return 0
    if pd.api.types.is_float_dtype(column):
        values = column.dropna().to_numpy(dtype=float)
        if (values % 1 != 0).any() or column.nunique() * 2 > len(values):
            return 0
    n_values = int(column.nunique())
    # blank text is not a group; skip the check for columns of cell names
    return len(group_names(column).cat.categories) if n_values <= MAX_GROUPS + 1 else n_values


def too_many_groups(adata: AnnData) -> dict[str, int]:
    """Number of groups of the columns with more than `MAX_GROUPS` groups."""
    found = {}
    for name, column in adata.obs.items():
        called_so = str(name).lower() in CLUSTER_NAMES
        if called_so or is_textual(column):
            n_groups = count_groups(column)
            if MAX_GROUPS < n_groups <= (len(column) - 1 if called_so else len(column) / 2):
                found[str(name)] = n_groups
    return found


def coded_cell_types(adata: AnnData) -> list[str]:
    """Columns named like cell types that hold integers, because a converter wrote factor codes."""
    return [
        str(name)
        for name, column in adata.obs.items()
        if _CELL_TYPES.search(str(name))
        and not _OF_NUMBERS.search(str(name))
        and 2 <= count_groups(column) <= MAX_GROUPS
        and all(group.isdecimal() for group in group_names(column).cat.categories)
    ]


def natural_order(names: Iterable[str], *, ignore_case: bool = False) -> list[str]:
    """Names in natural order, 2 before 10; only the start of very long names is compared."""
    alg = ns.IGNORECASE if ignore_case else ns.DEFAULT
    found: list[str] = natsorted(sorted(names), key=lambda name: name[:_SORTED_BY], alg=alg)
    return found


def find_group(name: str, groups: Iterable[str]) -> str | None:
    """The group that a user means, spelled as in the data; None if no group or several match.

    The exact spelling takes precedence. Otherwise surrounding blanks and decimals of integers are ignored.
    """
    return _finder(groups)(name)


def plain_group(name: str) -> str:
    """A name without surrounding blanks and without decimals of an integer."""
    return _as_number(name.strip())


def split_groups(text: str, groups: Iterable[str]) -> list[str]:
    """Parse groups separated by commas, which names may contain too; unknown names are kept as written."""
    return _split(text.split(","), list(groups)) or [part.strip() for part in text.split(",") if part.strip()]


def group_colors(adata: AnnData, key: str) -> dict[str, str]:
    """The stored colours of a grouping; empty if they do not fit its groups.

    Returns
    -------
    Hexadecimal colour by group, including groups without cells. Stored colours per cell are reduced to groups.
    """
    stored = adata.uns.get(keys.colors(key))
    codes, names = _codes_and_names(adata.obs[key])
    if _is_listed(stored) and len(stored) == adata.n_obs != len(names):
        return _colors_of_cells(np.asarray(stored, dtype=object), codes, names)
    return colors_by_group(stored, names)


def tidy_colors(adata: AnnData) -> list[str]:
    """Reduce the colours of every grouping to one per group, or drop them, in place; returns notes."""
    notes = []
    for name in [str(name) for name in adata.uns if str(name).endswith(_COLORS)]:
        key = name.removesuffix(_COLORS)
        if key not in adata.obs:
            continue
        stored, colors = adata.uns[name], group_colors(adata, key)
        if not colors:
            del adata.uns[name]
            notes.append(f"The colours of '{key}' were left out, because they do not match its groups.")
        elif _is_listed(stored) and len(stored) != len(colors):
            adata.uns[name] = np.array(list(colors.values()), dtype=object)
            notes.append(f"The colours of '{key}' were given per cell and are now one per group.")
    return notes


def colors_by_group(stored: Any, groups: Sequence[str]) -> dict[str, str]:
    """Stored colours as hexadecimal text.

    Parameters
    ----------
    stored
        Entry of ``uns``: a colour for each category, or a mapping from group to colour, in any format of matplotlib
        (``"tab:blue"``, ``"C1"``, RGB or RGBA numbers from 0 to 1).
    groups
        All categories, in the order of the colours.

    Returns
    -------
    Hexadecimal colour by group; empty if the numbers of colours and groups differ or a colour is invalid.
    """
    from matplotlib.colors import is_color_like, to_hex

    if isinstance(stored, Mapping):
        pairs = {find_group(str(name), groups) or str(name): color for name, color in stored.items()}
    elif _is_listed(stored) and len(stored) == len(groups):
        pairs = dict(zip(groups, stored, strict=True))
    else:
        return {}
    plain = {
        g: c if isinstance(c, str) else tuple(np.asarray(c, dtype=object).ravel()) for g, c in pairs.items()
    }
    if not set(groups) <= plain.keys() or not all(is_color_like(c) for c in plain.values()):
        return {}
    return {group: to_hex(plain[group]) for group in groups}


def _is_listed(stored: Any) -> bool:
    return isinstance(stored, list | tuple) or (isinstance(stored, np.ndarray) and stored.ndim > 0)


def _codes_and_names(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Group code of each cell, -1 for none, and all names, including those of empty categories."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, texts = column.cat.codes.to_numpy(), value_texts(list(column.cat.categories))
        names = list(dict.fromkeys(text for text in texts if text is not None))
    else:
        codes, values = pd.factorize(column)
        texts = value_texts(list(values))
        names = natural_order({text for text in texts if text is not None})
    place: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    of_value = np.array([*(place.get(text, -1) for text in texts), -1])  # the last is of code -1
    return of_value[codes], names


def _colors_of_cells(colors: np.ndarray, codes: np.ndarray, names: list[str]) -> dict[str, str]:
    """Colour of each group; empty if the cells of a group have different colours."""
    found = [{str(color) for color in colors[codes == code]} for code in range(len(names))]
    if any(len(of_group) > 1 for of_group in found):
        return {}
    return colors_by_group([next(iter(of_group), UNASSIGNED_COLOR) for of_group in found], names)


def _split(parts: list[str], groups: list[str]) -> list[str]:
    """Join parts so that all are groups, preferring long names; empty if impossible."""
    if len(parts) > _MAX_PARTS:
        return []
    find = _finder(groups)
    most = 1 + max((group.count(",") for group in groups), default=0)
    names: list[list[str] | None] = [None] * len(parts) + [[]]  # of the parts from there to the end
    for start in reversed(range(len(parts))):
        for stop in range(min(start + most, len(parts)), start, -1):
            rest = names[stop]
            group = None if rest is None else find(",".join(parts[start:stop]))
            if rest is not None and group is not None:
                names[start] = [group, *rest]
                break
    return names[0] or []


def _finder(groups: Iterable[str]) -> Callable[[str], str | None]:
    """`find_group` for several names."""
    known = list(groups)
    by_name: list[dict[str, list[str]]] = []
    for plain in (str, str.strip, _as_number):
        by_name.append({})
        for group in known:
            by_name[-1].setdefault(plain(group), []).append(group)

    def find(name: str) -> str | None:
        if name in by_name[0]:
            return name
        found = by_name[1].get(name.strip()) or by_name[2].get(_as_number(name)) or []
        return found[0] if len(found) == 1 else None

    return find


def _as_number(name: str) -> str:
    """An integer without decimals and leading zeros; other text is unchanged."""
    whole = _WHOLE_NUMBER.fullmatch(name.strip())
    if whole is None:
        return name
    digits = whole[2].lstrip("0")
    return f"{whole[1]}{digits}" if digits else "0"
