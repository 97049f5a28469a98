"""Gene lists kept in a folder, one `checked_file` each, named by a hash of their content: an address keeps its meaning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepvelo.contents.genes import GeneIndex
from deepvelo.errors import InputError
from deepvelo.selections import checked_file
from deepvelo.wording import in_bytes, listed, number

MOST_GENES: Final = 10_000
MOST_LISTS: Final = 1000
MOST_BYTES: Final = 300_000  # of a list
_NAMED = 3  # genes in a message
_WHAT, _SUFFIX = "gene list", ".genes"


@dataclass(frozen=True, kw_only=True)
class GeneList:
    """A saved list.

    Parameters
    ----------
    list_id
        Its id, the same for the same name and genes.
    name
        As its visitor or file calls it.
    genes
        As written, in the order of the list; a run may lack some.
    """

    list_id: str
    name: str
    genes: tuple[str, ...]


def save(folder: Path, name: str, genes: Iterable[str], *, offer: bool = True) -> GeneList:
    """Save a list in a folder, which is created; beyond 1,000 lists the oldest are deleted.

    Parameters
    ----------
    name
        Any text of 1 to 200 characters.
    offer
        Whether `stored` names it; others are found by their id alone.

    Raises
    ------
    InputError
        The name is empty or too long, the list is empty or has more than 10,000 genes or 300 kB, or the folder cannot be written to.

    Examples
    --------
    >>> save(folder, "glia", ["Gfap", "Aqp4"]).genes
    ('Gfap', 'Aqp4')
    """
    different = tuple(dict.fromkeys(genes))
    if not different:
        msg = "The gene list is empty. Give at least one gene."
        raise InputError(msg)
    if len(different) > MOST_GENES:
        msg = f"The list has {number(len(different), 'gene')}, and at most {MOST_GENES:,} fit. Shorten it."
        raise InputError(msg)
    name = checked_file.plain_name(name, _WHAT)
    content = "\n".join(different).encode()
    if len(content) > MOST_BYTES:
        msg = f"The names of the list have {in_bytes(len(content))}, and at most {in_bytes(MOST_BYTES)} fit. Shorten it."
        raise InputError(msg)
    list_id = hashlib.blake2b(json.dumps([name, different]).encode(), digest_size=8).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The gene list cannot be saved to {folder}: {error.strerror or error}. Allow writing there."
        raise InputError(msg) from error
    description = {"name": name, "n_genes": len(different), "offer": offer}
    checked_file.write(checked_file.path_of(folder, list_id, _SUFFIX), description, content)
    for path in _newest_first(folder)[MOST_LISTS:]:
        path.unlink(missing_ok=True)
    return GeneList(list_id=list_id, name=name, genes=different)


def load(folder: Path, list_id: str) -> GeneList:
    """A saved list by its id, which may come from an address.

    Raises
    ------
    InputError
        There is no such list, or it is damaged.
    """
    try:
        description, content = checked_file.read(checked_file.path_of(folder, list_id, _SUFFIX), _WHAT)
    except FileNotFoundError:
        msg = "The gene list of this link is not on this server. Paste its genes, or choose another list."
        raise InputError(msg) from None
    return GeneList(list_id=list_id, name=str(description["name"]), genes=tuple(content.decode().split("\n")))


def genes_in(genes: Iterable[str], index: GeneIndex) -> tuple[str, ...]:
    """Genes of a list that the data have, in its order and spelled as in the data.

    Raises
    ------
    InputError
        The data have none of them.
    """
    match = index.match(genes)
    if not match.matched:
        more = ", …" if len(match.missing) > _NAMED else ""
        msg = (
            f"None of the {number(len(match.missing), 'gene')} of the list ({listed(match.missing[:_NAMED])}{more}) is in this "
            f"run, which has {listed(index.genes[:_NAMED])} and others. Use symbols or ids as in the data; case and versions do "
            "not matter."
        )
        raise InputError(msg)
    return match.matched


def stored(folder: Path) -> dict[str, str]:
    """Label of every offered list by its id, the newest first: name and number of genes."""
    labels = {}
    for path in _newest_first(folder):
        with suppress(FileNotFoundError, InputError):  # deleted since it was listed, or damaged
            described = checked_file.read_description(path, _WHAT)
            if described["offer"]:
                labels[path.stem] = f"{described['name']} · {number(int(described['n_genes']), 'gene')}"
    return labels


def _newest_first(folder: Path) -> list[Path]:
    times = {}
    for path in checked_file.files(folder, _SUFFIX):
        with suppress(FileNotFoundError):
            times[path] = path.stat().st_mtime_ns
    return sorted(times, key=times.__getitem__, reverse=True)
