"""From moments to rates, velocities and their scores."""

from deepvelo.tl.agreement import agreement, common_genes, disagreement
from deepvelo.tl.arrows import velocity_embedding
from deepvelo.tl.baselines import ScveloMode, scvelo_velocity
from deepvelo.tl.boundary import boundary_correctness, boundary_means
from deepvelo.tl.coherence import coherence
from deepvelo.tl.confidence import direction_confidence
from deepvelo.tl.consistency import consistency, consistency_celltype
from deepvelo.tl.driver_lists import driver_overlap
from deepvelo.tl.drivers import drivers
from deepvelo.tl.effect_size import MannWhitney, mann_whitney, p_text
from deepvelo.tl.embedding import StreamLines, grid_arrows, mostly_of, stream_lines
from deepvelo.tl.enrichment import is_relevant, over_representation, share_in_sets
from deepvelo.tl.fates import Fates, fates
from deepvelo.tl.gene_library import library
from deepvelo.tl.gene_sets import GeneSets, match_genes, read_gene_list, read_gmt, read_terms, spelled
from deepvelo.tl.graph import velocity_graph
from deepvelo.tl.graphvelo import graphvelo_velocity
from deepvelo.tl.markers import markers_by_group
from deepvelo.tl.multikinetic import multikinetic_score
from deepvelo.tl.rates import rate_scores, rates_embedding
from deepvelo.tl.smoothing import smooth_moments, smooth_velocity
from deepvelo.tl.stages import cell_stages
from deepvelo.tl.table_one import TableOne, table_one
from deepvelo.tl.trajectory import Trajectory, trajectory
from deepvelo.tl.velocity import velocity

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
