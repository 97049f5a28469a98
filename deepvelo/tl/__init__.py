"""From moments to rates, velocities and their scores."""

from deepvelo.tl.gene_sets.enrichment import is_relevant, over_representation, share_in_sets
from deepvelo.tl.gene_sets.gene_library import library
from deepvelo.tl.gene_sets.markers import markers_by_group
from deepvelo.tl.gene_sets.sets import GeneSets, match_genes, read_gene_list, read_gmt, read_terms, spelled
from deepvelo.tl.gene_sets.table_one import TableOne, table_one
from deepvelo.tl.graph.arrows import velocity_embedding
from deepvelo.tl.graph.stream_lines import StreamLines, grid_arrows, mostly_of, stream_lines
from deepvelo.tl.graph.velocity_graph import velocity_graph
from deepvelo.tl.lineage.driver_lists import driver_overlap
from deepvelo.tl.lineage.drivers import drivers
from deepvelo.tl.lineage.fates import Fates, fates
from deepvelo.tl.lineage.latent_time import cell_stages
from deepvelo.tl.lineage.trajectory import Trajectory, trajectory
from deepvelo.tl.metrics.agreement import agreement, common_genes, disagreement
from deepvelo.tl.metrics.boundary import boundary_correctness, boundary_means
from deepvelo.tl.metrics.coherence import coherence
from deepvelo.tl.metrics.confidence import direction_confidence
from deepvelo.tl.metrics.consistency import consistency, consistency_celltype
from deepvelo.tl.metrics.effect_size import MannWhitney, mann_whitney, p_text
from deepvelo.tl.rates.multikinetic import multikinetic_score
from deepvelo.tl.rates.rates_embedding import rate_scores, rates_embedding
from deepvelo.tl.velocity.baselines import ScveloMode, scvelo_velocity
from deepvelo.tl.velocity.fit import velocity
from deepvelo.tl.velocity.graphvelo import graphvelo_velocity
from deepvelo.tl.velocity.smoothing import smooth_moments, smooth_velocity

__all__ = [
    "Fates",
    "GeneSets",
    "MannWhitney",
    "ScveloMode",
    "StreamLines",
    "TableOne",
    "Trajectory",
    "agreement",
    "boundary_correctness",
    "boundary_means",
    "cell_stages",
    "coherence",
    "common_genes",
    "consistency",
    "consistency_celltype",
    "direction_confidence",
    "disagreement",
    "driver_overlap",
    "drivers",
    "fates",
    "graphvelo_velocity",
    "grid_arrows",
    "is_relevant",
    "library",
    "mann_whitney",
    "markers_by_group",
    "match_genes",
    "mostly_of",
    "multikinetic_score",
    "over_representation",
    "p_text",
    "rate_scores",
    "rates_embedding",
    "read_gene_list",
    "read_gmt",
    "read_terms",
    "scvelo_velocity",
    "share_in_sets",
    "smooth_moments",
    "smooth_velocity",
    "spelled",
    "stream_lines",
    "table_one",
    "trajectory",
    "velocity",
    "velocity_embedding",
    "velocity_graph",
]
