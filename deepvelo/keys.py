"""Every AnnData name the project reads or writes, in scVelo's and the published DeepVelo's spelling."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

# layers
SPLICED: Final = "spliced"
UNSPLICED: Final = "unspliced"
MS: Final = "Ms"
MU: Final = "Mu"
VELOCITY: Final = "velocity"
VELOCITY_U: Final = "velocity_u"
ALPHA: Final = "cell_specific_alpha"
BETA: Final = "cell_specific_beta"
GAMMA: Final = "cell_specific_gamma"
RATES: Final = (ALPHA, BETA, GAMMA)

# var
VELOCITY_GENES: Final = "velocity_genes"
MULTIKINETIC_SCORE: Final = "multikinetic_score"

# obs
CONFIDENCE: Final = "direction_confidence"  # also in var
UNDECIDED: Final = "direction_undecided"  # True where the direction is undecided
CONSISTENCY: Final = "velocity_consistency"
CONSISTENCY_CELLTYPE: Final = "velocity_consistency_celltype"
PSEUDOTIME: Final = "velocity_pseudotime"
SELF_TRANSITION: Final = "velocity_self_transition"
LATENT_TIME: Final = "latent_time"
LEIDEN: Final = "leiden"
LEIDEN_OWN: Final = "deepvelo_leiden"  # used if a column "leiden" exists but is not a usable grouping
OWN_GROUPS: Final = "deepvelo_groups"  # in uns: name of the column with the groups computed by preparation
RATES_LEIDEN: Final = "rates_leiden"
INITIAL_SIZES: Final = ("initial_size_spliced", "initial_size_unspliced")  # total counts before normalization

# obsm
X_PCA: Final = "X_pca"
X_UMAP: Final = "X_umap"
X_RATES_PCA: Final = "X_rates_pca"
X_RATES_UMAP: Final = "X_rates_umap"
X_ALPHA_UMAP: Final = "X_alpha_umap"
X_BETA_UMAP: Final = "X_beta_umap"
X_GAMMA_UMAP: Final = "X_gamma_umap"

# obsp
CONNECTIVITIES: Final = "connectivities"
DISTANCES: Final = "distances"

# uns
VELOCITY_GRAPH: Final = "velocity_graph"
VELOCITY_GRAPH_NEG: Final = "velocity_graph_neg"
VELOCITY_PARAMS: Final = "velocity_params"
NEIGHBORS: Final = "neighbors"
DEEPVELO: Final = "deepvelo"
NOTES: Final = "deepvelo_notes"  # messages about what reading and preparation changed
GENE_NAMES: Final = "deepvelo_gene_names"  # the var column used as gene names, or "index"

# simulated data only
CLUSTERS: Final = "clusters"  # the grouping of cells, as in scVelo's sets
LINEAGE: Final = "lineage"
TRUE_TIME: Final = "true_time"
TRUE_SIZE: Final = "true_size"
TRUE_ALPHA: Final = "true_alpha"
TRUE_BETA: Final = "true_beta"
TRUE_GAMMA: Final = "true_gamma"
TRUE_VELOCITY: Final = "true_velocity"
TRUE_VELOCITY_U: Final = "true_velocity_u"
RATES_DIFFER: Final = "rates_differ"
SIMULATION: Final = "simulation"
CAPTURE: Final = "true_capture"
BATCH: Final = "batch"
GENE_CAPTURE: Final = "true_gene_capture"
UNSPLICED_CAPTURE: Final = "true_unspliced_capture"


_SCVELO_FIT: Final = (
    "alpha", "beta", "gamma", "t_", "scaling", "std_u", "std_s", "likelihood", "u0", "s0", "pval_steady", "steady_u",
    "steady_s", "variance", "alignment_scaling", "r2", "diff_kinetics",
)  # fmt: skip
# Known names alone: users keep results of their own under similar ones, such as `velocity_scvelo`.
_OF_A_FIT: Final[dict[str, tuple[str, ...]]] = {
    "layers": (VELOCITY, VELOCITY_U, "variance_velocity", *RATES, "fit_t", "fit_tau", "fit_tau_"),
    "obs": (
        CONFIDENCE, UNDECIDED, CONSISTENCY, CONSISTENCY_CELLTYPE, PSEUDOTIME, SELF_TRANSITION, LATENT_TIME, RATES_LEIDEN,
        "root_cells", "end_points", "velocity_length", "velocity_confidence", "velocity_confidence_transition",
        "velocity_clusters",
    ),
    "var": (
        VELOCITY_GENES, MULTIKINETIC_SCORE, CONFIDENCE, "velocity_gamma", "velocity_offset", "velocity_offset2",
        "velocity_beta", "velocity_r2", "velocity_qreg_ratio", "velocity_score", *(f"fit_{name}" for name in _SCVELO_FIT),
    ),
    "obsm": (X_RATES_PCA, X_RATES_UMAP, X_ALPHA_UMAP, X_BETA_UMAP, X_GAMMA_UMAP),
    "varm": ("loss", "fit_pvals_kinetics"),
    # Files of older versions of scVelo have the graphs in `obsp`, and it prefers them to those in `uns`.
    "obsp": (VELOCITY_GRAPH, VELOCITY_GRAPH_NEG),
    "uns": (
        DEEPVELO, VELOCITY_GRAPH, VELOCITY_GRAPH_NEG, VELOCITY_PARAMS, "velocity_graph_uncertainties",
        "recover_dynamics", f"{RATES_LEIDEN}_colors",
    ),
}  # fmt: skip


def is_of_a_fit(part: str, name: object, *, obsm: Collection[str] = ()) -> bool:
    """Whether an entry of a part of an object, such as ``layers`` or ``obs``, is the result of a velocity fit.

    Arrows such as ``velocity_umap`` are one where their embedding is among the names in ``obsm``.
    """
    return name in _OF_A_FIT.get(part, ()) or (part == "obsm" and name in arrows(obsm))


def arrows(obsm: Collection[str]) -> list[str]:
    """The names in ``obsm`` of the arrows on its embeddings."""
    found = [velocity_embedding(name) for name in obsm if name.startswith("X_")]
    return [name for name in found if name in obsm]


def embedding(basis: str) -> str:
    """``obsm`` key of an embedding: ``umap`` gives ``X_umap``."""
    return basis if basis.startswith("X_") else f"X_{basis}"


def velocity_embedding(basis: str) -> str:
    """``obsm`` key of the arrows on an embedding: ``umap`` gives ``velocity_umap``."""
    return f"velocity_{basis.removeprefix('X_')}"


def colors(group_key: str) -> str:
    """``uns`` key of a grouping's colours, as scanpy writes it."""
    return f"{group_key}_colors"
