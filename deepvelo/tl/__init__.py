"""From moments to rates, velocities and their scores."""

from deepvelo.tl.agreement import agreement, common_genes, disagreement
from deepvelo.tl.baselines import ScveloMode, scvelo_velocity
from deepvelo.tl.boundary import boundary_correctness
from deepvelo.tl.coherence import coherence
from deepvelo.tl.confidence import direction_confidence
from deepvelo.tl.consistency import consistency, consistency_celltype
from deepvelo.tl.effect_size import MannWhitney, mann_whitney, p_text
from deepvelo.tl.embedding import StreamLines, grid_arrows, stream_lines
from deepvelo.tl.graph import velocity_embedding, velocity_graph, velocity_pseudotime
from deepvelo.tl.multikinetic import multikinetic_score
from deepvelo.tl.rates import rate_scores, rates_embedding
from deepvelo.tl.smoothing import smooth_moments, smooth_velocity
from deepvelo.tl.velocity import velocity

__all__ = [
    "MannWhitney",
    "ScveloMode",
    "StreamLines",
    "agreement",
    "boundary_correctness",
    "coherence",
    "common_genes",
    "consistency",
    "consistency_celltype",
    "direction_confidence",
    "disagreement",
    "grid_arrows",
    "mann_whitney",
    "multikinetic_score",
    "p_text",
    "rate_scores",
    "rates_embedding",
    "scvelo_velocity",
    "smooth_moments",
    "smooth_velocity",
    "stream_lines",
    "velocity",
    "velocity_embedding",
    "velocity_graph",
    "velocity_pseudotime",
]
