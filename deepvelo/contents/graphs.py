"""Neighbour graphs and representations of an object, and the choice of one for comparing cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from deepvelo import keys
from deepvelo.contents import coordinates
from deepvelo.errors import InputError
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings, Variant
    from deepvelo.config.preparation import PreparationConfig

AUTO: Final = "auto"
GRAPH: Final = "graph"
OWN: Final = "own"

# Words in the names of integrated representations, in order of preference. Supervised and nonlinear models come first,
# because they were most likely run last.
_INTEGRATED = (
    "scanvi", "scpoli", "scgen", "totalvi", "multivi", "mrvi", "sysvi", "resolvi", "contrastivevi", "scvi", "vae",
    "scalex", "desc", "saucie", "scdml", "concord", "harmony", "mnn", "scanorama", "liger", "inmf", "conos", "scmerge",
    "integrated", "rpca", "cca", "combat", "corrected", "regressed", "mofa", "glue", "latent", "wnn", "wsnn",
    "wknn", "bbknn",
)  # fmt: skip
# Words for representations before integration.
_NOT_INTEGRATED = re.compile(
    r"un(integrated|corrected)|(?<![a-z])(no|non|not|pre|before|without|raw)(?![a-z])", re.IGNORECASE
)
# Words for graphs and representations of anything other than RNA expression.
_NOT_EXPRESSION = re.compile(
    r"spatial|atac|lsi|peak|adt|prot|cnv|diffmap|airr|tcr|bcr|velocity|(^|_)ir(_|$)", re.IGNORECASE
)
_PAIR = re.compile(r"^(?P<stem>.*?)[_.-]?(?P<kind>distances|connectivities)$", re.IGNORECASE)
# Seurat's graphs: RNA_nn, RNA_snn, integrated_snn, wknn, wsnn. Weighted shared-neighbour graphs come first.
_SEURAT = (re.compile(r"snn$", re.IGNORECASE), re.compile(r"(^|[_.]|k)nn$", re.IGNORECASE))
# Minimum mean number of neighbours, relative to the number with which the graph was computed.
_WHOLE = 0.75


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A neighbour graph in ``obsp``; at least one of ``distances`` and ``connectivities`` is a key there."""

    name: str
    distances: str | None
    connectivities: str | None
    params: Mapping[str, Any]

    @property
    def n_neighbors(self) -> int | None:
        """Recorded number of neighbours; scanpy includes the cell itself, BBKNN does not."""
        return _count(self.params.get("n_neighbors"))


@dataclass(frozen=True, kw_only=True)
class ComparisonSpace:
    """The graph or representation for comparing cells.

    Attributes
    ----------
    graph
        A neighbour graph of the object, or None.
    representation
        Key in ``obsm`` of the coordinates for computing neighbours; None with ``graph``, or if principal components must
        be computed.
    others
        Names of alternatives.
    rejected
        Reasons why graphs of the object are not used, one sentence each.
    """

    graph: Graph | None = None
    representation: str | None = None
    others: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """A sentence for notes and checks."""
        if self.graph is not None:
            what = f"the neighbour graph '{self.graph.name}' that came with the data"
        elif self.representation is not None:
            what = f"'{self.representation}', which came with the data"
        else:
            what = "principal components computed from their counts"
        more = (
            f" Also there: {', '.join(self.others)} (setting `preparation.compare_in`)."
            if self.others
            else ""
        )
        return f"Cells are compared in {what}.{more}"


def comparison_space(adata: AnnData, chosen: PreparationConfig) -> ComparisonSpace:
    """Choose the graph or representation in which preparation will compare cells.

    ``compare_in="auto"`` uses the first of: a complete neighbour graph of the object; the representation of its graph or
    one named after an integration method; its principal components; new principal components. With
    ``recompute_moments``, the graph and components of the object are used only if named.

    Raises
    ------
    InputError
        ``compare_in`` names nothing in the object, or an unusable graph.
    """
    if chosen.compare_in == OWN:
        return ComparisonSpace()
    if chosen.compare_in not in (AUTO, GRAPH):
        return _named(adata, chosen.compare_in)
    found = [graph for graph in graphs(adata) if not _NOT_EXPRESSION.search(graph.name)]
    rejected: list[str] = []
    if chosen.compare_in == GRAPH or not chosen.recompute_moments:
        for graph in found:
            why = why_unusable(adata, graph)
            if why is None:
                return ComparisonSpace(graph=graph, rejected=tuple(rejected))
            rejected.append(_rejection(graph, why))
        if chosen.compare_in == GRAPH:
            msg = " ".join(rejected) or "The data bring no neighbour graph."
            msg += f" Set `preparation.compare_in` to one of {listed(options(adata))}."
            raise InputError(msg)
    integrated = _integrated(adata)
    if integrated:
        return ComparisonSpace(
            representation=integrated[0], others=tuple(integrated[1:]), rejected=tuple(rejected)
        )
    rejected += _with_gaps(adata)
    pca = None if chosen.recompute_moments else components(adata)
    others = [key for key in representations(adata) if _may_be_compared_in(adata, key)]
    return ComparisonSpace(representation=pca, others=tuple(others), rejected=tuple(rejected))


def n_layers(variant: Variant) -> int:
    """Number of layers, spliced first, from which principal components are computed."""
    return 2 if variant.neighbors_from == "both" else 1


def reduced_components(settings: Settings, *, n_cells: int, n_genes: int, own: bool) -> list[str]:
    """Notes on numbers of components that exceed the size of the data.

    Parameters
    ----------
    own
        Components will be computed.
    """
    asked, most = settings.preparation.n_components, min(n_cells, n_genes)
    if own:
        most = min(most, min(n_cells, n_layers(settings.variant) * n_genes) - 1)
    if asked <= most:
        return []
    found = f"there are {number(n_genes, 'gene')} and {number(n_cells, 'cell')}"
    return [f"`preparation.n_components` is lowered from {asked} to {most}: {found}."]


def options(adata: AnnData) -> list[str]:
    """All valid values of ``compare_in`` for an object."""
    named = [graph.name for graph in graphs(adata)]
    return [AUTO, *([GRAPH] if named else []), OWN, *named, *representations(adata)]


def graphs(adata: AnnData) -> list[Graph]:
    """All neighbour graphs: scanpy's default first, then those named after an integration method."""
    found: dict[str, Graph] = {}
    for name, params in _recorded(adata).items():
        distances, connectivities = (
            str(_single(adata.uns[name].get(f"{kind}_key", kind)))
            for kind in (keys.DISTANCES, keys.CONNECTIVITIES)
        )
        graph = _graph(adata, name, distances, connectivities, params=params)
        if graph is not None:
            found[name] = graph
    used = {key for graph in found.values() for key in (graph.distances, graph.connectivities)}
    pairs: dict[str, dict[str, str]] = {}
    for key in adata.obsp:
        match = _PAIR.match(key)
        if match and key not in used:
            pairs.setdefault(match["stem"], {})[match["kind"].lower()] = key
    for stem, pair in pairs.items():
        graph = _graph(
            adata, stem or keys.NEIGHBORS, pair.get(keys.DISTANCES), pair.get(keys.CONNECTIVITIES), params={}
        )
        if graph is not None:
            found.setdefault(graph.name, graph)
    for pattern in _SEURAT:
        for key in adata.obsp:
            if pattern.search(key) and key not in found:
                found[key] = Graph(name=key, distances=None, connectivities=key, params={})
    return sorted(found.values(), key=lambda graph: (graph.name != keys.NEIGHBORS, _rank(graph.name)))


def why_unusable(adata: AnnData, graph: Graph) -> str | None:
    """Why a graph cannot be used, as a clause; None if it can."""
    if not adata.n_obs:
        return "it has no cells"
    for key in (graph.distances, graph.connectivities):
        if key is None:
            continue
        matrix = _rows(adata.obsp[key])
        if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
            return f"'{key}' has values that are negative, NaN or infinite"
    matrix = _rows(adata.obsp[graph.distances or graph.connectivities])
    counts = n_neighbors(matrix)
    # the number of neighbours varies in a graph without distances
    expected = (graph.n_neighbors or 1) - 1 or (int(counts.max(initial=0)) if graph.distances else 0)
    if counts.mean() < _WHOLE * expected:
        return (
            f"its cells have {counts.mean():.1f} neighbours on average and it was made with {expected} or more, as "
            "happens when cells are taken out"
        )
    if graph.distances and graph.connectivities:
        counts = np.minimum(counts, n_neighbors(_rows(adata.obsp[graph.connectivities])))
    if alone := int((counts == 0).sum()):
        return f"{number(alone, 'cell')} of {adata.n_obs:,} have no neighbour in it"
    return None


def has_complete_graph(adata: AnnData) -> bool:
    """Whether scanpy's default graph fits the cells and every cell has a neighbour."""
    stored = adata.uns.get(keys.NEIGHBORS)
    if not isinstance(stored, Mapping) or "params" not in stored:
        return False
    if not all(key in adata.obsp for key in (keys.DISTANCES, keys.CONNECTIVITIES)):
        return False
    graph = Graph(
        name=keys.NEIGHBORS,
        distances=keys.DISTANCES,
        connectivities=keys.CONNECTIVITIES,
        params=_recorded(adata)[keys.NEIGHBORS],
    )
    return why_unusable(adata, graph) is None


def set_graph(out: AnnData, adata: AnnData, graph: Graph) -> None:
    """Set a graph of ``adata`` as the default graph of ``out``, deriving missing distances or connectivities."""
    if graph.distances is not None:
        distances = _rows(adata.obsp[graph.distances]).copy()
    else:
        distances = _distances_of(_rows(adata.obsp[graph.connectivities]))
    if graph.connectivities is not None:
        connectivities = _rows(adata.obsp[graph.connectivities]).copy()
    else:
        connectivities = _connectivities_of(distances)
    out.obsp[keys.DISTANCES], out.obsp[keys.CONNECTIVITIES] = distances, connectivities
    out.uns[keys.NEIGHBORS] = neighbors_entry(distances, graph.params)


def neighbors_entry(distances: sparse.csr_matrix, params: Any) -> dict[str, Any]:
    """The entry of ``uns`` for a graph in scanpy's format; ``params`` are those stored with the data."""
    params = params if isinstance(params, Mapping) else {}
    n = _count(params.get("n_neighbors")) or int(np.median(n_neighbors(distances))) + 1
    return {
        "connectivities_key": keys.CONNECTIVITIES,
        "distances_key": keys.DISTANCES,
        "params": {"method": "umap"} | dict(params) | {"n_neighbors": n},
    }


def n_neighbors(matrix: sparse.csr_matrix) -> np.ndarray:
    """Number of neighbours of each cell, ``(n_cells,)``: stored entries off the diagonal."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    others = rows != matrix.indices
    return np.bincount(rows[others], minlength=matrix.shape[0])


def representations(adata: AnnData) -> list[str]:
    """Keys in ``obsm`` of complete coordinates for comparing cells, best first."""
    found = [
        key
        for key, values in adata.obsm.items()
        if not coordinates.has_display_name(key)
        and not coordinates.is_spatial(key)
        and coordinates.is_coordinates(values, whole=True)
    ]
    return sorted(found, key=_rank)


def components(adata: AnnData) -> str | None:
    """Key in ``obsm`` of complete principal components, in any spelling."""
    found = [key for key in representations(adata) if coordinates.plain_name(key) == "pca"]
    return keys.X_PCA if keys.X_PCA in found else next(iter(found), None)


def _named(adata: AnnData, name: str) -> ComparisonSpace:
    for graph in graphs(adata):
        if name.lower() in {
            str(known).lower() for known in (graph.name, graph.distances, graph.connectivities)
        }:
            why = why_unusable(adata, graph)
            if why is not None:
                msg = f"{_rejection(graph, why)} Set `preparation.compare_in` to one of {listed(options(adata))}."
                raise InputError(msg)
            return ComparisonSpace(graph=graph)
    key = coordinates.find(name, representations(adata))
    if key is None:
        msg = f"There is nothing called {listed([name])} to compare cells in. Choose one of {listed(options(adata))}."
        raise InputError(msg)
    return ComparisonSpace(representation=key)


def _integrated(adata: AnnData) -> list[str]:
    """Integrated representations: those of the object's graphs first, then those named after a method."""
    usable = representations(adata)
    recorded = [
        coordinates.find(str(params["use_rep"]), usable)
        for name, params in _recorded(adata).items()
        if params.get("use_rep") is not None and not _NOT_EXPRESSION.search(name)
    ]
    made_in = [key for key in recorded if key is not None and coordinates.plain_name(key) != "pca"]
    named = [key for key in usable if _is_integrated(key) and not _NOT_EXPRESSION.search(key)]
    scib = [key for key in usable if key == "X_emb" and _may_be_compared_in(adata, key)]
    return list(dict.fromkeys([*made_in, *named, *scib]))


def _is_integrated(key: str) -> bool:
    return _rank(key) < len(_INTEGRATED)


def _may_be_compared_in(adata: AnnData, key: str) -> bool:
    """Whether a representation other than PCA has more than three dimensions and represents expression."""
    known = key in (keys.X_RATES_PCA, keys.X_RATES_UMAP) or coordinates.plain_name(key) == "pca"
    return adata.obsm[key].shape[1] > 3 and not (known or _NOT_EXPRESSION.search(key))


def _with_gaps(adata: AnnData) -> list[str]:
    """A sentence for each integrated representation with missing cells."""
    found = []
    for key, values in adata.obsm.items():
        if _is_integrated(key) and not _NOT_EXPRESSION.search(key) and coordinates.is_coordinates(values):
            missing = int((~np.isfinite(np.asarray(values)).all(axis=1)).sum())
            if missing and not coordinates.has_display_name(key):
                found.append(
                    f"Representation '{key}' of the data is not used: it has no values for {number(missing, 'cell')}."
                )
    return found


def _rank(name: str) -> int:
    lower, least = name.lower(), len(_INTEGRATED)
    if _NOT_INTEGRATED.search(lower):
        return least + 1
    return next((i for i, word in enumerate(_INTEGRATED) if word in lower), least)


def _rejection(graph: Graph, why: str) -> str:
    return f"The neighbour graph '{graph.name}' of the data is not used: {why}."


def _recorded(adata: AnnData) -> dict[str, Mapping[str, Any]]:
    """Parameters of all graphs recorded in ``uns``, whether they exist or not."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, entry in adata.uns.items():
        if isinstance(entry, Mapping) and (
            name == keys.NEIGHBORS or "connectivities_key" in entry or "distances_key" in entry
        ):
            params = entry.get("params")
            found[name] = {k: _single(v) for k, v in params.items()} if isinstance(params, Mapping) else {}
    return found


def _count(value: Any) -> int | None:
    """A number of neighbours; None if invalid."""
    known = isinstance(value, (int, float, np.number)) and np.isfinite(value) and value > 0
    return int(value) if known else None


def _single(value: Any) -> Any:
    """The value in an array of length one, as converters from R store scalars."""
    return np.ravel(value)[0] if isinstance(value, np.ndarray | list) and np.size(value) == 1 else value


def _graph(
    adata: AnnData,
    name: str,
    distances: str | None,
    connectivities: str | None,
    *,
    params: Mapping[str, Any],
) -> Graph | None:
    pair = [
        key if key in adata.obsp and _is_sparse_enough(adata.obsp[key]) else None
        for key in (distances, connectivities)
    ]
    if pair[0] is not None and _rows(adata.obsp[pair[0]]).diagonal().min(initial=np.inf) > 0:
        # distances have a zero diagonal, so these are similarities, as SeuratDisk stores them
        pair = [None, pair[1] or pair[0]]
    if pair == [None, None]:
        return None
    return Graph(name=name, distances=pair[0], connectivities=pair[1], params=params)


def _is_sparse_enough(matrix: Any) -> bool:
    """Whether a matrix can be a neighbour graph: numeric and not dense."""
    dtype = getattr(matrix, "dtype", None)
    if dtype is None or dtype.kind not in "biuf":
        return False
    return sparse.issparse(matrix) or np.count_nonzero(matrix) <= matrix.size / 2


def _rows(matrix: Any) -> sparse.csr_matrix:
    return matrix if sparse.isspmatrix_csr(matrix) else sparse.csr_matrix(matrix)


def _without_diagonal(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    pairs = matrix.tocoo()
    others = pairs.row != pairs.col
    return sparse.csr_matrix((pairs.data[others], (pairs.row[others], pairs.col[others])), shape=matrix.shape)


def _distances_of(connectivities: sparse.csr_matrix) -> sparse.csr_matrix:
    """Distances that decrease with the weights and are never 0, which would be no neighbour."""
    distances = _without_diagonal(connectivities).astype(np.float64)
    distances.eliminate_zeros()
    distances.data = 1.001 - distances.data / distances.data.max(initial=1e-9)
    return distances


def _connectivities_of(distances: sparse.csr_matrix) -> sparse.csr_matrix:
    """Binary connectivities: 1 if either cell is a neighbour of the other."""
    linked = _without_diagonal(distances).astype(np.float32)
    linked.data[:] = 1
    return sparse.csr_matrix(linked.maximum(linked.T))
