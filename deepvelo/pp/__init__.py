"""From counts to moments."""

from deepvelo.pp.imported import prepare_imported
from deepvelo.pp.prepare import chosen_basis, chosen_cluster_key, prepare

__all__ = ["chosen_basis", "chosen_cluster_key", "prepare", "prepare_imported"]
