"""What `check` finds fit for a fit is written, to h5ad and to the run store, and read back with the same values."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from anndata import AnnData
from anndata.io import read_elem
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from deepvelo import checks, config, keys
from deepvelo.io.stored_names import restored, restored_names
from deepvelo.io.tidy import tidied
from deepvelo.io.tidy.tables import as_name, as_text
from deepvelo.io.write import write_into_hdf5
from deepvelo.io.write_zarr import write_into_zarr
from deepvelo.pp.prepare import prepare

N_CELLS, N_GENES = 12, 8
SETTINGS = config.replace(
    config.Settings(),
    {
        "graph": {"n_neighbors": 3, "n_candidates": 3},
        "preparation": {"n_neighbors": 4, "n_components": 3},
    },
)
ODD_NAMES = (
    "_index", "", ".", "..", "a/b", "a", "A", "/a", "a/", "a//b", "a\\b", "a ", "a.", ".zattrs", "zarr.json", "x" * 300,
    "a\0", "a\nb", 0, 1.5, True, None, ("a", "b"), "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\u0301", "index",
    "Clusters", "clusters", "CLUSTERS", "__categories", "\udc80", "codes", "name",
)  # fmt: skip
# A name with one of the characters that stand for those that files cannot hold would come back as another.
own = st.text(max_size=4).filter(lambda name: restored_names([name]) == {name: name})
names = st.sampled_from(ODD_NAMES) | own
texts = st.sampled_from(["a", "A", "", "nan", "1", "\0", "b\0c", "\udcff", "TRUE", "ä/ö"]) | st.text(
    max_size=3
)
whole = st.integers(-3, 3)
scalars = st.one_of(
    whole, st.floats(), texts, st.booleans(), st.none(), st.just(pd.NA), st.binary(max_size=2), st.just(2**70),
    st.just(datetime.date(2024, 2, 29)), st.just(pd.Timestamp("2024-02-29")), st.just(pd.NaT), st.just(Decimal("0.5")),
    st.just(1j), st.just(np.float32(2)), st.just(np.int8(3)), st.just(np.longdouble(1)), st.just(np.uint64(7)),
    st.just(pd.Period("2024")), st.just(pd.Interval(0, 1)), st.just(np.datetime64("2024-02-29")),
)  # fmt: skip
foreign = st.sampled_from(
    [print, object(), {1, "a"}, (1, 2), [[1], [1, 2]], range(3), np.array({"a": 1}), len]
)
DTYPES = {
    "Int8": whole, "UInt16": st.integers(0, 9), "Int64": whole, "Float32": st.floats(width=32), "Float64": whole,
    "boolean": st.booleans(), "string": texts.filter(str.isascii), "category": st.one_of(whole, texts, st.booleans()),
    "int64[pyarrow]": whole, "string[pyarrow]": texts.filter(str.isascii), "bool[pyarrow]": st.booleans(),
    "timestamp[us][pyarrow]": st.just(pd.Timestamp("2024-02-29")), "datetime64[ns]": st.just(pd.Timestamp("2024-02-29")),
    "datetime64[ns, UTC]": st.just(pd.Timestamp("2024-02-29", tz="UTC")), "timedelta64[ns]": st.just(pd.Timedelta(1)),
    "period[M]": st.just(pd.Period("2024-02", "M")), "Sparse[float64]": whole, "interval": st.just(pd.Interval(0, 1)),
}  # fmt: skip
PLAIN = ("f2", "f4", ">f4", "f8", "i1", "u2", "u8", ">i4", "bool", "longdouble", "complex64", "S3", "U3")
OBJECTS = (
    whole,
    st.floats(),
    texts,
    st.booleans(),
    st.binary(max_size=3),
    scalars,
    foreign,
    st.just(datetime.time(1)),
)


@st.composite
def columns(draw: st.DrawFn, n: int) -> pd.Series:
    """A column of any kind that pandas has, with values missing where it has such."""
    kind = draw(st.sampled_from([*DTYPES, *PLAIN, *range(len(OBJECTS))]))
    if kind in PLAIN:
        return pd.Series(np.array([draw(st.integers(0, 1)) for _ in range(3)] * n).astype(kind)[:n])
    value = DTYPES[kind] if kind in DTYPES else OBJECTS[kind]
    few = [
        None if missing else draw(value) for missing in draw(st.lists(st.booleans(), min_size=1, max_size=4))
    ]
    values = pd.Series([few[i % len(few)] for i in range(n)], dtype=object)
    if kind not in DTYPES:
        return values
    return (
        values.map(lambda v: np.nan if v is None else v).astype(kind)
        if "Sparse" in kind
        else values.astype(kind)
    )


@st.composite
def tables(draw: st.DrawFn, n: int, *, most: int = 3) -> pd.DataFrame:
    """A table with columns of any kinds and names, some of these twice."""
    labels = draw(st.lists(names, max_size=most))
    table = pd.concat([draw(columns(n)) for _ in labels], axis=1) if labels else pd.DataFrame(index=range(n))
    table.columns = pd.Index(labels, dtype=object, tupleize_cols=False)
    return table


def row_names(n: int) -> st.SearchStrategy[pd.Index]:
    plain = [f"row{i}" for i in range(n)]
    return st.sampled_from([
        pd.Index(plain), pd.Index(plain, dtype="string"), pd.CategoricalIndex(plain), pd.Index(plain, name="a"),
        pd.Index(plain, dtype="string[pyarrow]", name=("b", 1)), pd.Index(["twice"] * 2 + plain[2:], name="clusters"),
        pd.Index([name.encode() for name in plain]), pd.Index([*plain[:-3], "", "nan", "a/b\0"], name="x/y"),
    ])  # fmt: skip


@st.composite
def matrices(draw: st.DrawFn, n: int) -> Any:
    """What people keep in ``obsm``."""
    numbers = np.arange(2.0 * n).reshape(n, 2)
    made = [
        numbers, numbers.astype("f2"), numbers.astype(">f4"), numbers.astype(np.longdouble), numbers > 3,
        sparse.csr_matrix(numbers), sparse.csc_array(numbers), np.ma.masked_less(numbers, 3), numbers.astype(object),
        numbers.astype(str), numbers.astype(complex), np.array([[i, "a"] for i in range(n)], dtype=object),
        np.array([[print, i] for i in range(n)], dtype=object), np.zeros((n, 0)), np.ones((n, 2, 2)),
    ]  # fmt: skip
    return draw(st.sampled_from(made) | tables(n, most=2))


trees = st.recursive(
    scalars | foreign | tables(3, most=1) | columns(2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=2)
        | st.tuples(inner)
        | st.sampled_from(
            [np.eye(2), sparse.coo_matrix(np.eye(2)), np.ma.masked_equal([1, 2], 1), pd.Index(["a"])]
        )
    ),
    max_leaves=4,
)


@st.composite
def objects(draw: st.DrawFn) -> AnnData:
    """Cells with everything that a fit needs, and odd things beside it."""
    rng = np.random.default_rng(0)
    counts, steps = rng.poisson(5, (N_CELLS, N_GENES)).astype("f4"), np.arange(N_CELLS)
    ring = (steps[:, None] + [1, 2, 3]) % N_CELLS
    graph = sparse.csr_matrix((np.ones(ring.size), ring.ravel(), 3 * np.arange(N_CELLS + 1)))
    cells, genes = draw(tables(N_CELLS)), draw(tables(N_GENES, most=1))
    cells.insert(0, "clusters", pd.Categorical(np.resize(["early", "late"], N_CELLS)), allow_duplicates=True)
    adata = AnnData(
        layers={
            "spliced": counts, "unspliced": counts[::-1].copy(), "Ms": counts + 0.5, "Mu": counts[::-1] + 0.25,
        },
        obsm={keys.X_PCA: rng.normal(size=(N_CELLS, 4)), keys.X_UMAP: rng.normal(size=(N_CELLS, 2))},
        obsp={keys.DISTANCES: graph, keys.CONNECTIVITIES: graph + graph.T},
        uns={keys.NEIGHBORS: {"params": {"n_neighbors": 4}}, "clusters_colors": ["#ff0000", "#00ff00"]},
    )  # fmt: skip
    adata.obs.index = draw(row_names(N_CELLS))
    adata.var.index = draw(row_names(N_GENES))
    for table, columns_ in ((adata.obs, cells), (adata.var, genes)):
        columns_.index = table.index
    adata._obs, adata._var = cells, genes  # as older files and careless scripts leave them
    for name in draw(
        st.lists(st.sampled_from(["X_a/b", "x_UMAP", "", "tab", ".", "X_UMAP"]), max_size=2, unique=True)
    ):
        matrix = draw(matrices(N_CELLS))
        adata.obsm[name] = matrix.set_axis(adata.obs_names) if isinstance(matrix, pd.DataFrame) else matrix
    adata.uns |= draw(st.dictionaries(names | st.just(keys.NOTES), trees, max_size=2))
    return adata


def h5ad(adata: AnnData) -> Any:
    """The open file."""
    file = BytesIO()
    write_into_hdf5(file, adata)
    return h5py.File(file, "r")


def run_store(adata: AnnData) -> Any:
    """The open folder, whose names differ even where upper and lower case are one."""
    store = zarr.storage.MemoryStore()
    write_into_zarr(store, adata)
    paths = list(store._store_dict)
    assert len({path.casefold() for path in paths}) == len(paths)
    return zarr.open_group(store, mode="r")


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(objects(), st.sampled_from([h5ad, run_store]))
def test_no_fit_is_lost_at_writing(adata: AnnData, stored: Callable[[AnnData], Any]) -> None:
    check(adata, [stored])


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(objects())
def test_no_fit_is_lost_in_either_store(adata: AnnData) -> None:
    check(adata, [h5ad, run_store])


def check(adata: AnnData, stores: Sequence[Callable[[AnnData], Any]]) -> None:
    """The path of a run without the training: what came in is in the file, or a note names it."""
    cells, umap = adata.obs.copy(), adata.obsm[keys.X_UMAP]
    before = tidied(adata)
    assume(not any(finding.level == "error" for finding in checks.summarize(before).findings))
    out = prepare(before, SETTINGS, cluster_key="clusters")
    notes = " ".join(out.uns[keys.NOTES])
    lean = AnnData(obs=out.obs, var=out.var, obsm=dict(out.obsm), uns=dict(out.uns))
    for name in ("log1p", keys.NEIGHBORS):
        lean.uns.pop(name, None)
    del lean.obsm[keys.X_PCA]
    for store in stores:
        group = store(lean)
        found = AnnData(**{name: restored(read_elem(group[name])) for name in ("obs", "var", "obsm", "uns")})
        assert list(found.obs_names) == list(before.obs_names)
        assert list(found.var_names) == list(out.var_names)
        assert sorted(found.obs) == sorted(lean.obs)
        assert sorted(found.obsm) == sorted(lean.obsm)
        assert sorted(found.uns) == sorted(lean.uns)
        assert list(found.uns["clusters_colors"]) == ["#ff0000", "#00ff00"]
        np.testing.assert_array_equal(found.obsm[keys.X_UMAP], umap)
        for i, name in enumerate(cells.columns):
            if f"'{as_name(name)}'" not in notes:
                assert_same(cells.iloc[:, i], found.obs[as_name(name)])


def assert_same(before: pd.Series, after: pd.Series) -> None:
    np.testing.assert_array_equal(before.isna().to_numpy(), after.isna().to_numpy())
    for given_, found in zip(before.dropna(), after.dropna(), strict=True):
        assert given_ == found or as_text(given_) == found
