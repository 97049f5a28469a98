"""Gene sets and gene lists: reading from files and matching to the genes of the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias, overload

from deepvelo.contents.genes import GeneIndex, GeneMatch
from deepvelo.errors import InputError
from deepvelo.plain_text import read_lines
from deepvelo.wording import in_one_line, listed, number

# Genes by the name of their set: a pathway, a term, a cell type.
GeneSets: TypeAlias = Mapping[str, Sequence[str]]

# Possessive quantifiers: a mismatch is found without backtracking.
_NUMBER = re.compile(r"[-+]?+(?:\d++(?:\.\d++)?+|\.\d++)(?:[eE][-+]?+\d++)?+")
# Headers of the first column in tables; no gene has such a name.
_HEADER = re.compile(r"(?:gene|symbol|name|index)s?|gene[ _.-]?(?:symbol|name|id)s?", re.IGNORECASE)
_CELLS = re.compile(r"[,;\t]")
_BETWEEN = re.compile(r"[,;\s]+")
_SHOWN = 3  # genes quoted in a message
# MSigDB, the largest collection, has 35,000 sets in 30 MB. Sets of these limits take 0.6 GB of memory.
_LONGEST_GMT, _LONGEST_LIST, _LONGEST_LINE = 200_000_000, 20_000_000, 4_000_000
_LONGEST_NAME, _LONGEST_GENE = 1000, 200
_MOST_SETS, _MOST_GENES, _MOST_DIFFERENT = 200_000, 20_000_000, 500_000


def match_genes(
    genes: Iterable[str],
    tested: Iterable[str],
    *,
    what: str = "the gene list",
    aliases: Mapping[str, str] | None = None,
) -> GeneMatch:
    """Match a gene list to the genes of the data, by any of their names; see `deepvelo.contents.genes.GeneIndex`.

    Parameters
    ----------
    genes
        Names as the list spells them.
    tested
        The genes of the data.
    aliases
        Further names of the tested genes, such as their ids; see `deepvelo.contents.genes.gene_aliases`.
    what
        Name of the list in error messages.

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
    """Return a gene list, or gene sets, with matched genes spelled as in the data; other genes are unchanged.

    Raises
    ------
    InputError
        The data have none of the genes.
    """
    genes = dict.fromkeys(chain(*known.values())) if isinstance(known, Mapping) else known
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
        f"{len(tested.genes):,} tested ones ({_quoted(tested.genes)}). Use the same kind of names as the data; "
        "case, version suffixes and species prefixes do not matter."
    )
    raise InputError(msg)


def read_gmt(path: Path | str) -> dict[str, tuple[str, ...]]:
    """Read gene sets from a GMT file: on each line a name, a description and genes, separated by tabs.

    Weights after a gene (``Stat1,0.83``), as in some of Enrichr's libraries, are removed; a gene repeated in a set
    counts once. Blank lines are skipped. Limits: 200 MB, 4 MB per line, 200,000 sets, 20 million genes, and 500,000
    distinct genes.

    Returns
    -------
    Gene sets by name, in the order of the file.

    Raises
    ------
    InputError
        The file cannot be read, is too large or holds no set, or a line is not a gene set; the message names the line and
        the reason.
    """
    path = Path(path)
    sets: dict[str, tuple[str, ...]] = {}
    first_line: dict[str, int] = {}
    known: dict[str, str] = {}  # sets share one string per gene
    n_genes = 0
    for n, line in read_lines(path, most=_LONGEST_GMT, longest=_LONGEST_LINE):
        name, genes = _gene_set(path, n, line)
        if name in sets:
            raise _malformed(
                path,
                n,
                f"the set '{in_one_line(name, most=100)}' is already on line {first_line[name]}. Give it another name.",
            )
        sets[name] = tuple(map(known.setdefault, genes, genes))
        first_line[name] = n
        n_genes += len(genes)
        for what, found, most in (
            ("gene sets", len(sets), _MOST_SETS),
            ("genes", n_genes, _MOST_GENES),
            ("distinct genes", len(known), _MOST_DIFFERENT),
        ):
            if found > most:
                msg = f"{path} holds more than {most:,} {what}. Leave sets out."
                raise InputError(msg)
    if not sets:
        msg = f"{path} holds no gene set. Give a GMT file: on each line a name, a description and genes, separated by tabs."
        raise InputError(msg)
    return sets


def read_gene_list(path: Path | str) -> tuple[str, ...]:
    """Read genes from a text file, one per line or all in one line, or from the first column of a table (CSV, TSV).

    Blank lines, comments after ``#``, repeated genes, a header (``gene``, ``symbol`` and the like) and numbers beside
    genes are skipped.

    Raises
    ------
    InputError
        The file cannot be read or holds no gene.
    """
    path = Path(path)
    lines = list(_entries(path))
    alone = len(lines) == 1
    firsts = _CELLS.split(lines[0]) if alone else [_CELLS.split(line, maxsplit=1)[0] for line in lines]
    cells = [first.strip(" '\"") for first in firsts]
    if alone:  # numbers beside a gene are scores; numbers alone are Entrez ids
        cells = [cell for cell in cells if not _NUMBER.fullmatch(cell)] or cells
    genes = dict.fromkeys(cell for n, cell in enumerate(cells) if cell and (n or not _HEADER.fullmatch(cell)))
    if not genes:
        msg = f"{path} holds no gene. Give one gene per line, or a table with the genes in its first column."
        raise InputError(msg)
    for gene in genes:
        if len(gene) > _LONGEST_GENE:
            msg = f"{path} is not a list of genes: {_too_long(gene)}. Give one gene per line."
            raise InputError(msg)
    return tuple(genes)


def read_terms(path: Path | str) -> tuple[str, ...]:
    """Read terms or keywords from a text file, one per line; blank lines and comments after ``#`` are skipped.

    Raises
    ------
    InputError
        The file cannot be read or holds no term.
    """
    path = Path(path)
    terms = tuple(dict.fromkeys(_entries(path)))
    for term in terms:
        if len(term) > _LONGEST_NAME:
            msg = f"{path} is not a list of terms: {_too_long(term)}. Give one term or keyword per line."
            raise InputError(msg)
    if not terms:
        msg = f"{path} holds no term. Give one term or keyword per line."
        raise InputError(msg)
    return terms


def _gene_set(path: Path, n: int, line: str) -> tuple[str, tuple[str, ...]]:
    """Name and genes of one line of a GMT file."""
    if "\t" not in line:
        raise _malformed(
            path, n, "it has no tab. Separate the name, the description and the genes by tabs, as GMT does."
        )
    name, _, *cells = line.split("\t")
    name, genes = name.strip(), list(filter(None, map(str.strip, cells)))
    if not name:
        raise _malformed(path, n, "its first column is empty. Name the set there.")
    if len(name) > _LONGEST_NAME:
        raise _malformed(path, n, f"{_too_long(name)}. Give the set a shorter name.")
    if not genes:
        raise _malformed(
            path,
            n,
            f"the set '{in_one_line(name, most=100)}' has no genes after its description. Add genes or remove the line.",
        )
    if len(genes) == 1 and len(_BETWEEN.split(genes[0][:_LONGEST_NAME], maxsplit=2)) > 2:
        raise _malformed(
            path, n, f"the genes '{genes[0][:50]}' are not separated by tabs. Put a tab between them."
        )
    if max(map(len, genes)) > _LONGEST_GENE:
        raise _malformed(path, n, f"{_too_long(max(genes, key=len))}. Put a tab between genes.")
    return name, tuple(dict.fromkeys(map(_without_weight, genes) if "," in line else genes))


def _without_weight(gene: str) -> str:
    """``Stat1`` of ``Stat1,0.83``: some of Enrichr's libraries add weights to genes."""
    name, comma, weight = gene.rpartition(",")
    return name.rstrip() if comma and _NUMBER.fullmatch(weight.strip()) else gene


def _too_long(name: str) -> str:
    return f"'{in_one_line(name, most=50)}' has {len(name):,} characters"


def _malformed(path: Path, n: int, why: str) -> InputError:
    return InputError(f"{path}, line {n} is not a gene set: {why}")


def _entries(path: Path) -> Iterator[str]:
    """Non-blank lines without comments; an empty first column is kept."""
    for _, line in read_lines(path, most=_LONGEST_LIST, longest=_LONGEST_LINE):
        entry = line.partition("#")[0].strip(" \r")
        if entry.strip():
            yield entry


def _quoted(genes: Sequence[str]) -> str:
    return listed(genes[:_SHOWN]) + (", …" if len(genes) > _SHOWN else "")
