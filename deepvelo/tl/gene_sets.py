"""Gene sets and gene lists from files, and which of their genes the data have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias, overload

from deepvelo.contents.genes import GeneIndex, GeneMatch
from deepvelo.errors import InputError
from deepvelo.wording import listed, number

# Genes by the name of their set: a pathway, a term, a cell type.
GeneSets: TypeAlias = Mapping[str, Sequence[str]]

# "Stat1,0.83": some of Enrichr's libraries weigh their genes.
_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
_WEIGHT = re.compile(rf"\s*,\s*{_NUMBER.pattern}$")
# What tables call their first column; no gene bears such a name.
_HEADER = re.compile(r"(?:gene|symbol|name|index)s?|gene[ _.-]?(?:symbol|name|id)s?", re.IGNORECASE)
_SHOWN = 3  # genes that a message quotes


def match_genes(
    genes: Iterable[str],
    tested: Iterable[str],
    *,
    what: str = "the gene list",
    aliases: Mapping[str, str] | None = None,
) -> GeneMatch:
    """Which genes of a list the data have, by any of their names; see `deepvelo.contents.genes.GeneIndex`.

    Parameters
    ----------
    genes
        Names as the list spells them.
    tested
        The genes of the data.
    aliases
        Further names of these genes, such as their ids; see `deepvelo.contents.genes.gene_aliases`.
    what
        What the list is, for the message.

    Raises
    ------
    InputError
        The data have none of the genes.
    """
    index = GeneIndex(tested, aliases=aliases)
    match = index.match(genes)
    require_match(match, index, what=what)
    return match


@overload
def spelled(known: GeneSets, tested: GeneIndex, *, what: str) -> GeneSets: ...
@overload
def spelled(known: Sequence[str], tested: GeneIndex, *, what: str) -> Sequence[str]: ...
def spelled(known: GeneSets | Sequence[str], tested: GeneIndex, *, what: str) -> GeneSets | Sequence[str]:
    """A list of genes, or gene sets, with the genes as the data spell them; others stay as they are.

    Raises
    ------
    InputError
        The data have none of the genes.
    """
    genes = list(chain(*known.values())) if isinstance(known, Mapping) else known
    require_match(tested.match(genes), tested, what=what)
    if isinstance(known, Mapping):
        return {name: tested.spelled(of_set) for name, of_set in known.items()}
    return tested.spelled(known)


def require_match(match: GeneMatch, tested: GeneIndex, *, what: str) -> None:
    """Raise an `InputError` if the data have no gene of a list; see `match_genes`."""
    if match.matched:
        return
    msg = (
        f"None of the {number(len(match.missing), 'gene')} of {what} ({_quoted(match.missing)}) is among the "
        f"{len(tested.genes):,} tested ones ({_quoted(tested.genes)}). Use names of the same kind as the data's; "
        "upper or lower case, versions and prefixes of species do not matter."
    )
    raise InputError(msg)


def read_gmt(path: Path | str) -> dict[str, tuple[str, ...]]:
    """Gene sets of a GMT file: on each line a name, a description and genes, separated by tabs.

    Weights after a gene (``Stat1,0.83``), as in some of Enrichr's libraries, are left out; a gene that a set repeats
    counts once. Blank lines are skipped.

    Returns
    -------
    Genes by the name of their set, in the order of the file.

    Raises
    ------
    InputError
        The file cannot be read or holds no set, or a line is no gene set; the message says which line and why.
    """
    path = Path(path)
    sets: dict[str, tuple[str, ...]] = {}
    first_line: dict[str, int] = {}
    for n, line in _lines(path):
        name, genes = _gene_set(path, n, line)
        if name in sets:
            raise _malformed(
                path, n, f"the set '{name}' is on line {first_line[name]} already. Give it another name."
            )
        sets[name] = genes
        first_line[name] = n
    if not sets:
        msg = f"{path} holds no gene set. Give a GMT file: on each line a name, a description and genes, separated by tabs."
        raise InputError(msg)
    return sets


def read_gene_list(path: Path | str) -> tuple[str, ...]:
    """Genes of a text file, one a line or all in one line, or of the first column of a table (CSV, TSV).

    Blank lines, what follows a ``#``, repeated genes, a header (``gene``, ``symbol`` and the like) and numbers beside
    genes are left out.

    Raises
    ------
    InputError
        The file cannot be read or holds no gene.
    """
    path = Path(path)
    lines = [re.split(r"[,;\t]", line) for line in _entries(path)]
    firsts = lines[0] if len(lines) == 1 else [line[0] for line in lines]
    cells = [first.strip(" '\"") for first in firsts]
    if len(lines) == 1:  # scores beside a gene are no genes; Entrez ids alone are
        cells = [cell for cell in cells if not _NUMBER.fullmatch(cell)] or cells
    genes = dict.fromkeys(cell for n, cell in enumerate(cells) if cell and (n or not _HEADER.fullmatch(cell)))
    if not genes:
        msg = f"{path} holds no gene. Give one gene a line, or a table with the genes in its first column."
        raise InputError(msg)
    return tuple(genes)


def read_terms(path: Path | str) -> tuple[str, ...]:
    """Terms or keywords of a text file, one a line; blank lines and what follows a ``#`` are left out.

    Raises
    ------
    InputError
        The file cannot be read or holds no term.
    """
    path = Path(path)
    terms = tuple(dict.fromkeys(_entries(path)))
    if not terms:
        msg = f"{path} holds no term. Give one term or keyword a line."
        raise InputError(msg)
    return terms


def _gene_set(path: Path, n: int, line: str) -> tuple[str, tuple[str, ...]]:
    """Name and genes of one line of a GMT file."""
    if "\t" not in line:
        raise _malformed(
            path, n, "it has no tab. Separate the name, the description and the genes by tabs, as GMT does."
        )
    name, _, *cells = (cell.strip() for cell in line.split("\t"))
    genes = [cell for cell in cells if cell]
    if not name:
        raise _malformed(path, n, "its first column is empty. Name the set there.")
    if not genes:
        raise _malformed(
            path, n, f"the set '{name}' has no gene after its description. Add genes or remove the line."
        )
    if len(genes) == 1 and len(re.split(r"[,;\s]+", genes[0])) > 2:
        raise _malformed(
            path, n, f"the genes '{genes[0][:50]}' are not separated by tabs. Put a tab between them."
        )
    return name, tuple(dict.fromkeys(_WEIGHT.sub("", gene) for gene in genes))


def _malformed(path: Path, n: int, why: str) -> InputError:
    return InputError(f"{path}, line {n} is no gene set: {why}")


def _entries(path: Path) -> Iterator[str]:
    """Lines with something on them, without comments; an empty first column stays."""
    for _, line in _lines(path):
        entry = line.partition("#")[0].strip(" \r")
        if entry.strip():
            yield entry


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel begins its text files with a mark of UTF-8
    except UnicodeDecodeError as error:
        msg = f"{path} is not plain text in UTF-8. Unpack it or save it as text."
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}. Check the path."
        raise InputError(msg) from error
    # not `splitlines`, which also breaks at characters that a name may hold
    return ((n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip())


def _quoted(genes: Sequence[str]) -> str:
    return listed(genes[:_SHOWN]) + (", …" if len(genes) > _SHOWN else "")
