"""Every routine that meets names from files and addresses: linear in their length, whatever they are made of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from deepvelo import checks
from deepvelo.contents import columns, coordinates, genes, graphs, groups, imported, layer_names
from deepvelo.io import samples
from deepvelo.io.matching import are_running_numbers, match_cells
from deepvelo.io.matching.labels import groupings, identifiers, is_gapless, words_of
from deepvelo.io.tidy import names as tidy_names
from deepvelo.io.tidy import orientation
from deepvelo.pl.theme import group_order
from deepvelo.tl.gene_sets import sets as gene_sets
from deepvelo.tl.gene_sets.enrichment import is_relevant
from deepvelo.tl.gene_sets.gene_library import library
from tests.long_text import slow_kinds


def _read(reader, tmp_path: Path, before: str, text: str, after: str) -> None:
    path = tmp_path / "file.txt"
    path.write_text(f"{before}{text}{after}")
    reader(path)


ROUTINES = {
    "genes of a GMT": lambda x, at: _read(gene_sets.read_gmt, at, "A\t\tCpe\t", x, "\n"),
    "the only gene of a GMT": lambda x, at: _read(gene_sets.read_gmt, at, "A\t\t", x, "\n"),
    "name of a set": lambda x, at: _read(gene_sets.read_gmt, at, "", x, "\td\tCpe\n"),
    "list of genes": lambda x, at: _read(gene_sets.read_gene_list, at, "Cpe\n", x, "\n"),
    "list in a line": lambda x, at: _read(gene_sets.read_gene_list, at, "", x, ""),
    "terms": lambda x, at: _read(gene_sets.read_terms, at, "", x, "\n"),
    "relevant": lambda x, at: is_relevant([x, "b"], keywords=[x, "a"]),
    "library": lambda x, at: library(x, folder=at),
    "gene index": lambda x, at: genes.GeneIndex([x, "b"], aliases={x + "a": x}).match([x + "c", x]),
    "same genes": lambda x, at: genes.same_genes(pd.DataFrame(index=[x]), pd.DataFrame(index=[x + "b"])),
    "gene names": lambda x, at: tidy_names._are_ids(pd.Index([x, "b"])),
    "orientation": lambda x, at: (
        orientation._share_of_barcodes(pd.Index([x])) + orientation._share_without_ids(pd.Index([x]))
    ),
    "gene asked for": lambda x, at: checks.require_gene([f"Gene{n}" for n in range(500)] + [x + "a"], x),
    "group": lambda x, at: groups.find_group(x, [x + "a", "1"]),
    "groups": lambda x, at: groups.split_groups(x, ["a", "a,a", "1", "1,b"]),
    "group as number": lambda x, at: groups.plain_group(x),
    "column of groups": lambda x, at: groups.group_names(pd.Series([x, x + "1", "a"])),
    "order of groups": lambda x, at: group_order([x, x + "1", "a"]),
    "column of text": lambda x, at: columns.as_text(pd.Series([x, x + "1"])),
    "embedding": lambda x, at: (coordinates.find(x, ["X_umap", x + "a"]), coordinates.has_display_name(x)),
    "layer": lambda x, at: (layer_names.standard_layers([x]), imported.velocity_layers([x + "velocity"])),
    "graph": lambda x, at: (graphs._PAIR.match(x), graphs._rank(x)),
    "names of cells": lambda x, at: identifiers(pd.DataFrame({"c": [x, x + "1"]}, index=[x, x + "1"])),
    "column of samples": lambda x, at: groupings(pd.DataFrame({x: ["a", "b"], "sample": [x, x]}), []),
    "words of a sample": lambda x, at: words_of(x),
    "cells of two files": lambda x, at: match_cells(
        pd.DataFrame({"s": [x, x]}, index=[x, "b"]), pd.DataFrame({"s": ["a", x]}, index=[x, "c"])
    ),
    "running numbers": lambda x, at: (are_running_numbers([x, x + "1"]), is_gapless([x, x + "1"])),
    "samples": lambda x, at: (samples._GENERIC.fullmatch(x), samples._SAMPLE_COLUMN.fullmatch(x)),
}


@pytest.mark.parametrize("name", ROUTINES)
def test_long_text_takes_no_square_of_time(name, tmp_path):
    assert slow_kinds(lambda text: ROUTINES[name](text, tmp_path), n=10_000, seconds=0.5) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUTINES)
def test_very_long_text(name, tmp_path):
    assert slow_kinds(lambda text: ROUTINES[name](text, tmp_path), n=100_000, seconds=3) == []
