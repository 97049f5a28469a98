"""From moments to rates, velocities, their scores and where they lead.

Functions on AnnData write the keys that they document in place and return None, or a table that needs no key.
Functions on arrays return arrays; they are in the modules of the rooms below.
"""

from deepvelo.tl.differential.composition import composition
from deepvelo.tl.differential.kinetics import differential_kinetics
from deepvelo.tl.differential.marker_genes import marker_genes
from deepvelo.tl.graph.arrows import velocity_embedding
from deepvelo.tl.graph.velocity_graph import velocity_graph
from deepvelo.tl.lineage.drivers import drivers
from deepvelo.tl.lineage.fates import Fates, fates
from deepvelo.tl.lineage.latent_time import latent_time
from deepvelo.tl.lineage.trajectory import Trajectory, trajectory
from deepvelo.tl.metrics.scores import confidence, consistency, multikinetic_genes
from deepvelo.tl.rates.rates_embedding import rate_scores, rates_umap
from deepvelo.tl.velocity.baselines import scvelo_velocity
from deepvelo.tl.velocity.graphvelo import graphvelo_velocity
from deepvelo.tl.velocity.velocity import velocity

__all__ = [
    "Fates",
    "Trajectory",
    "composition",
    "confidence",
    "consistency",
    "differential_kinetics",
    "drivers",
    "fates",
    "graphvelo_velocity",
    "latent_time",
    "marker_genes",
    "multikinetic_genes",
    "rate_scores",
    "rates_umap",
    "scvelo_velocity",
    "trajectory",
    "velocity",
    "velocity_embedding",
    "velocity_graph",
]
