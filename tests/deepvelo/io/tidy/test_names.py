"""Cells called by barcode and genes by symbol, wherever a counter put them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.io.tidy.names import gene_name_columns, name_cells, name_genes, require_short_names

N = 20
IDS = [f"ENSMUSG{i + 11:011d}" for i in range(N)]
SYMBOLS = [f"Gene{i}" for i in range(N)]
BARCODES = ["".join("ACGT"[(i // 4**k) % 4] for k in range(12)) for i in range(N)]


def made(genes=SYMBOLS, cells=BARCODES, *, var=None, obs=None):
    return ad.AnnData(
        np.zeros((N, N), dtype="float32"),
        obs=pd.DataFrame(obs, index=[str(name) for name in cells]),
        var=pd.DataFrame(var, index=[str(name) for name in genes]),
    )


@pytest.mark.parametrize(
    ("ids", "column", "symbols"),
    [
        (IDS, "feature_name", pd.Categorical(SYMBOLS)),
        ([f"{gene}.{i % 9}" for i, gene in enumerate(IDS)], "Symbol", SYMBOLS),
        ([f"GRCh38_{gene}" for gene in IDS], "gene_symbols", [name.encode() for name in SYMBOLS]),
        ([f"FBgn00{i + 31208}" for i in range(N)], "gene_short_name", pd.array(SYMBOLS, dtype="string")),
        ([f"AT1G{i + 1010:05d}" for i in range(N)], "mouse.symbol", SYMBOLS),
        ([str(100_000_000 + i) for i in range(N)], "name", SYMBOLS),
        ([f"YAL{i + 1:03d}C" for i in range(N)], "GENE_NAME", SYMBOLS),
        ([f"SPAC10{i}.{i + 10}c" for i in range(N)], "gene_name-0", SYMBOLS),
        ([f"C{i + 10}D12.{i % 9}" for i in range(N)], "WB_gene_name", SYMBOLS),
        ([f"b{i + 1:04d}" for i in range(N)], "symbol", SYMBOLS),
        ([str(37 * i + 500) for i in range(N)], "gene_symbol", SYMBOLS),  # of the NCBI
    ],
)
def test_symbols_take_the_place_of_ids_and_the_ids_are_kept(ids, column, symbols):
    adata = made(ids, var={column: symbols, "chromosome": "1"})
    adata.varm["PCs"] = np.arange(N)[:, None]
    (note,) = name_genes(adata)
    assert all(said in note for said in (f"'{ids[0]}'", f"'{column}'", "'gene_ids'"))
    assert adata.var_names.tolist() == SYMBOLS
    assert adata.var["gene_ids"].tolist() == ids
    assert adata.varm["PCs"].ravel().tolist() == list(range(N))
    assert name_genes(adata) == []


def test_a_gene_without_symbol_keeps_its_id():
    adata = made(IDS, var={"symbol": ["", None, "nan", *SYMBOLS[3:]]})
    (note,) = name_genes(adata)
    assert "3 genes without one" in note
    assert adata.var_names.tolist() == [*IDS[:3], *SYMBOLS[3:]]
    assert name_genes(adata) == []


def test_ids_are_not_kept_twice_and_take_no_column_that_is_there():
    known = made(IDS, var={"gene_ids": SYMBOLS, "ensembl": IDS, "symbol": SYMBOLS})
    name_genes(known)
    assert list(known.var) == ["gene_ids", "ensembl", "symbol"]
    other = made(IDS, var={"gene_ids": [f"x{i}" for i in range(N)], "symbol": SYMBOLS})
    name_genes(other)
    assert other.var["gene_ids_1"].tolist() == IDS


@pytest.mark.parametrize(
    ("var", "names"),
    [
        ({"target_name": IDS}, IDS),
        ({"gene_id": IDS, "gene_symbol": ["", *SYMBOLS[1:]]}, [IDS[0], *SYMBOLS[1:]]),
        ({"strand": ["+", "-"] * (N // 2)}, [str(i) for i in range(N)]),
    ],
)
def test_row_numbers_are_replaced_by_whatever_names_there_are(var, names):
    adata = made(range(N), var=var)
    assert len(name_genes(adata)) == (names[1] != "1")
    assert adata.var_names.tolist() == names
    assert list(adata.var) == list(var)
    assert name_genes(adata) == []


@pytest.mark.parametrize(
    "var",
    [{"gene_ids": IDS, "feature_name": SYMBOLS[::-1]}, {"gene_symbol": IDS}, {}],
)
def test_symbols_stay_the_names(var):
    adata = made(var=var)
    assert name_genes(adata) == []
    assert adata.var_names.tolist() == SYMBOLS


def test_ids_stay_the_names_where_nothing_is_better():
    adata = made(IDS, var={"feature_name": IDS, "symbol": [None] * 15 + SYMBOLS[:5]})
    assert name_genes(adata) == []
    adata = made(
        IDS, var={"feature": "Gene Expression", "full_name": [f"protein {name}" for name in SYMBOLS]}
    )
    assert name_genes(adata) == []


def test_a_choice_is_kept_and_followed():
    adata = made(IDS, var={"symbol": SYMBOLS, "entrez": range(100, 100 + N), "n": 1})
    assert gene_name_columns(adata) == ["symbol", "entrez"]
    assert name_genes(adata, "index") == []
    assert name_genes(adata) == []
    assert adata.var_names.tolist() == IDS
    assert len(name_genes(adata, "entrez")) == 1
    assert adata.var_names[3] == "103"
    assert name_genes(adata) == []
    with pytest.raises(InputError, match=r"'nowhere'.*'symbol', 'entrez', 'gene_ids'.*'index'"):
        name_genes(adata, "nowhere")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("barcodes", BARCODES),
        ("anything", [f"plate1_{code}-1" for code in BARCODES]),
        ("cell_id", [f"well_{i}_of_mouse" for i in range(N)]),
        ("CellID", pd.Categorical(BARCODES)),
    ],
)
def test_cells_are_called_by_barcode_instead_of_row_number(column, values):
    adata = made(cells=range(N), obs={"sample": "s1", column: values})
    adata.obsm["table"] = pd.DataFrame({"x": range(N)}, index=adata.obs_names)
    (note,) = name_cells(adata)
    assert f"'{column}'" in note
    assert adata.obs_names.tolist() == list(values)
    assert adata.obsm["table"].index.equals(adata.obs_names)
    assert name_cells(adata) == []


@pytest.mark.parametrize(
    ("cells", "obs"),
    [
        (BARCODES, {"barcode": BARCODES[::-1]}),
        ([10**9 + i for i in range(N)], {"barcode": BARCODES}),  # bins of a slide
        (range(N), {"CD4/CD8": ["a", "b"] * (N // 2)}),
        (range(N), {"barcode": BARCODES[:10] * 2}),
        (range(N), {"note": [f"seen on day {i}, {i}" for i in range(N)]}),
    ],
)
def test_names_stay_where_they_mean_something_or_nothing_is_better(cells, obs):
    adata = made(cells=cells, obs=obs)
    assert name_cells(adata) == []
    assert adata.obs_names.tolist() == [str(name) for name in cells]


@pytest.mark.parametrize("what", ["obs_names", "var_names"])
def test_a_name_that_is_a_text_is_refused(what):
    """Looking for ids and barcodes in it would take minutes."""
    adata = ad.AnnData(shape=(3, 4))
    setattr(adata, what, ["x" * 40_000, *getattr(adata, what)[1:]])
    with pytest.raises(InputError, match=r"of cells.h5ad has a name of 40,000 characters"):
        require_short_names(adata, "cells.h5ad")
