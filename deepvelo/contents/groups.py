"""Groups of cells by name, however a column stores them, and their colours."""

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

MAX_GROUPS: Final = 100  # a colour for each, and a name that can be read
# Columns under which people store groups of cells, best first.
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


def group_names(column: pd.Series, *, missing: str | None = None) -> pd.Series:
    """Group of each cell as text, the same for every way of storing it.

    Groups ``0``, ``0.0`` and ``"0"`` are one; see `deepvelo.contents.columns.as_text`.

    Parameters
    ----------
    column
        Of ``obs``, ``(n_cells,)``.
    missing
        Name of the cells without a group, which is missing or blank; by default their group is missing.

    Returns
    -------
    Categorical without empty groups, in the order of the categories, or else as people sort them (2 before 10).
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
    """Into how many groups a column sorts the cells; 0 where its values are measurements or dates.

    Numbers with decimals are groups where they are whole, as integers become when a cell has none, and each is shared
    by two cells on average. Categories are groups whatever they are.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return 0
    if pd.api.types.is_float_dtype(column):
        values = column.dropna().to_numpy(dtype=float)
        if (values % 1 != 0).any() or column.nunique() * 2 > len(values):
            return 0
    n_values = int(column.nunique())
    # Blank text is no group; nobody needs to know it of names of cells.
    return len(group_names(column).cat.categories) if n_values <= MAX_GROUPS + 1 else n_values


def too_many_groups(adata: AnnData) -> dict[str, int]:
    """The columns that name groups of cells, but more than can be told apart, with how many these are."""
    found = {}
    for name, column in adata.obs.items():
        called_so = str(name).lower() in CLUSTER_NAMES
        if called_so or is_textual(column):
            n_groups = count_groups(column)
            if MAX_GROUPS < n_groups <= (len(column) - 1 if called_so else len(column) / 2):
                found[str(name)] = n_groups
    return found


def coded_cell_types(adata: AnnData) -> list[str]:
    """Columns called like cell types that hold whole numbers: a converter wrote the codes of names."""
    return [
        str(name)
        for name, column in adata.obs.items()
        if _CELL_TYPES.search(str(name))
        and not _OF_NUMBERS.search(str(name))
        and 2 <= count_groups(column) <= MAX_GROUPS
        and all(group.isdecimal() for group in group_names(column).cat.categories)
    ]


def natural_order(names: Iterable[str], *, ignore_case: bool = False) -> list[str]:
    """Names as people sort them, 2 before 10; of very long ones the beginning decides."""
    alg = ns.IGNORECASE if ignore_case else ns.DEFAULT
    found: list[str] = natsorted(sorted(names), key=lambda name: name[:_SORTED_BY], alg=alg)
    return found


def find_group(name: str, groups: Iterable[str]) -> str | None:
    """The group that a user means, in the spelling of the data; None where there is none, or more than one.

    The very spelling goes first. Otherwise blanks at its ends do not matter, nor decimals of a whole number.
    """
    return _finder(groups)(name)


def plain_group(name: str) -> str:
    """A name without blanks at its ends, which some programs add, and decimals of a whole number."""
    return _as_number(name.strip())


def split_groups(text: str, groups: Iterable[str]) -> list[str]:
    """Groups separated by commas, which their names may hold too; what is no group stays as it is written."""
    return _split(text.split(","), list(groups)) or [part.strip() for part in text.split(",") if part.strip()]


def group_colors(adata: AnnData, key: str) -> dict[str, str]:
    """The colours that came with a grouping; empty where they do not fit its groups.

    Returns
    -------
    Hexadecimal text by group, also of groups without cells. Of one colour a cell, each group has that of its cells.
    """
    stored = adata.uns.get(keys.colors(key))
    codes, names = _codes_and_names(adata.obs[key])
    if _is_listed(stored) and len(stored) == adata.n_obs != len(names):
        return _colors_of_cells(np.asarray(stored, dtype=object), codes, names)
    return colors_by_group(stored, names)


def tidy_colors(adata: AnnData) -> list[str]:
    """Make the colours of every grouping one for each of its groups, or drop them, in place; returns notes."""
    notes = []
    for name in [str(name) for name in adata.uns if str(name).endswith(_COLORS)]:
        key = name.removesuffix(_COLORS)
        if key not in adata.obs:
            continue
        stored, colors = adata.uns[name], group_colors(adata, key)
        if not colors:
            del adata.uns[name]
            notes.append(f"The colours of '{key}' were left out: they are not one for each of its groups.")
        elif _is_listed(stored) and len(stored) != len(colors):
            adata.uns[name] = np.array(list(colors.values()), dtype=object)
            notes.append(f"The colours of '{key}' were one for each cell; each group has that of its cells.")
    return notes


def colors_by_group(stored: Any, groups: Sequence[str]) -> dict[str, str]:
    """Stored colours in the one spelling that every plotting library knows.

    Parameters
    ----------
    stored
        What ``uns`` holds: a colour for each category, or a mapping from group to colour; a colour is
        anything matplotlib takes (``"tab:blue"``, ``"C1"``, RGB or RGBA numbers from 0 to 1).
    groups
        All categories, in the order of the colours.

    Returns
    -------
    Hexadecimal text by group; empty where there are more or fewer colours than groups, or something is no colour.
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
    """Of each cell its group's place among the names, -1 for none; and all names, also of categories without cells."""
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
    """Colour of each group whose cells agree; empty where those of one do not."""
    found = [{str(color) for color in colors[codes == code]} for code in range(len(names))]
    if any(len(of_group) > 1 for of_group in found):
        return {}
    return colors_by_group([next(iter(of_group), UNASSIGNED_COLOR) for of_group in found], names)


def _split(parts: list[str], groups: list[str]) -> list[str]:
    """Parts joined again until all are groups, the longest names first; empty where that is not possible."""
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
    """A whole number without decimals and without zeros before it; other text stays as it is."""
    whole = _WHOLE_NUMBER.fullmatch(name.strip())
    if whole is None:
        return name
    digits = whole[2].lstrip("0")
    return f"{whole[1]}{digits}" if digits else "0"
