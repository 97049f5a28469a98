"""Enrichment of genes in gene sets, and the relevance of enriched sets to keywords."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from deepvelo.contents.genes import GeneIndex
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.sets import GeneSets, require_match
from deepvelo.wording import listed, number

COLUMNS = ("term", "overlap", "size", "odds_ratio", "p", "q", "genes")


def over_representation(
    genes: Iterable[str],
    sets: GeneSets,
    *,
    background: Iterable[str],
    min_size: int = 3,
    max_size: int = 500,
) -> pd.DataFrame:
    r"""Hypergeometric test of every gene set, with the tested genes as background.

    Of N tested genes, K are in the set; of n given genes, k are in the set. Then :math:`p = P(X \ge k)` for
    hypergeometric X: the probability of at least k genes of the set among n genes drawn at random from the tested ones.
    Genes of a set that were not tested do not count. q is the Benjamini-Hochberg (1995) adjusted p over all sets of an
    allowed size, including those without overlap: leaving these out, as gseapy does, makes q too small.

    Genes are matched by any of their names, see `match_genes`.

    Parameters
    ----------
    genes
        Genes to test, for instance the top drivers of a lineage; genes outside the background do not count.
    sets
        Gene sets by name, from `read_gmt` or `library`.
    background
        All tested genes, from which ``genes`` were selected; not the whole genome.
    min_size, max_size
        Sets with fewer or more tested genes are left out.

    Returns
    -------
    One row per set with overlap, the smallest p first:
    ``term``; ``overlap``, k; ``size``, K; ``odds_ratio``, finite because 0.5 is added to each of the four
    counts; ``p``; ``q``; ``genes``, the k genes in the spelling of the data, separated by ``;``.

    Raises
    ------
    InputError
        None of the genes, or none of the sets' genes, is in the background, or no set has an allowed size.
    """
    from scipy.stats import false_discovery_control, hypergeom

    tested = GeneIndex(background)
    given = tested.match(genes)
    require_match(given, tested, what="the list")
    require_match(tested.match(_all_genes(sets)), tested, what="the gene sets")
    members = {name: tested.match(of_set).matched for name, of_set in sets.items()}
    allowed = {name: found for name, found in members.items() if min_size <= len(found) <= max_size}
    if not allowed:
        sizes = [len(found) for found in members.values()]
        msg = (
            f"None of the {number(len(sets), 'gene set')} has {min_size} to {max_size} tested genes; their sizes "
            f"range from {min(sizes)} to {max(sizes)}. Allow other sizes or give other sets."
        )
        raise InputError(msg)

    n, total = len(given.matched), len(tested.genes)
    wanted = frozenset(given.matched)
    hits = {name: [gene for gene in found if gene in wanted] for name, found in allowed.items()}
    overlap = np.array([len(found) for found in hits.values()])
    size = np.array([len(found) for found in allowed.values()])
    p = hypergeom.sf(overlap - 1, total, size, n)
    inside, outside = overlap + 0.5, total - size - n + overlap + 0.5
    table = pd.DataFrame(
        {
            "term": list(allowed),
            "overlap": overlap,
            "size": size,
            "odds_ratio": inside * outside / ((size - overlap + 0.5) * (n - overlap + 0.5)),
            "p": p,
            "q": false_discovery_control(p, method="bh"),
            "genes": [";".join(found) for found in hits.values()],
        },
        columns=list(COLUMNS),
    )
    return table[table["overlap"] > 0].sort_values(["p", "term"], ignore_index=True)


def share_in_sets(sets: GeneSets, *, tested: Iterable[str]) -> float:
    """Share of the tested genes that are in any set, ignoring case; 0 to 1, NaN without genes.

    A small share means that the names do not match, or that the sets cover few of the genes.
    """
    return GeneIndex(_all_genes(sets)).match(tested).share


def is_relevant(terms: Iterable[str], *, keywords: Sequence[str]) -> np.ndarray:
    """Mark the terms that contain one of the keywords.

    A keyword matches from the start of a word, and only letters and digits count: ``neuro`` matches
    ``GOBP_REGULATION_OF_NEUROGENESIS``; ``rna`` matches neither ``mRNA-binding`` nor ``internal``.

    Parameters
    ----------
    terms
        Names of gene sets.
    keywords
        Keywords or whole terms; see `read_terms`.

    Returns
    -------
    Mask, shape ``(n_terms,)``.

    Raises
    ------
    InputError
        No keyword has a letter or digit.
    """
    wanted: list[str] = []
    for words in sorted(filter(str.strip, map(_words, keywords))):
        if not wanted or not words.startswith(
            wanted[-1]
        ):  # a longer keyword with the same beginning adds nothing
            wanted.append(words)
    if not wanted:
        msg = f"None of the keywords {listed(keywords)} has a letter or digit. Give words that relevant terms contain."
        raise InputError(msg)

    def bears_one(term: str) -> bool:
        rests = (term[n:] for n, sign in enumerate(term) if sign == " ")
        # Only the last keyword that sorts before a text can be its prefix.
        return any(rest.startswith(wanted[bisect_right(wanted, rest) - 1]) for rest in rests)

    return np.array([bears_one(term) for term in map(_words, terms)], dtype=bool)


def require_relevant(sets: GeneSets, *, keywords: Sequence[str]) -> None:
    """Raise an `InputError` if no gene set matches any of the keywords; see `is_relevant`."""
    if not is_relevant(sets, keywords=keywords).any():
        msg = (
            f"None of the {number(len(sets), 'gene set')} matches a keyword ({listed(keywords)}); the first set is "
            f"'{next(iter(sets), '')}'. Give words that the names contain."
        )
        raise InputError(msg)


def _words(text: str) -> str:
    """Words in lower case, each preceded by a space."""
    return "".join(f" {word}" for word in re.findall(r"[^\W_]+", text.casefold()))


def _all_genes(sets: GeneSets) -> dict[str, None]:
    return dict.fromkeys(gene for genes in sets.values() for gene in genes)
