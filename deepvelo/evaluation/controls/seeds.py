"""Agreement of fits with different seeds, per cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from deepvelo.errors import InputError
from deepvelo.tl.metrics.agreement import agreement

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

SEEDS_NOTE: Final = (
    "Mean cosine between the velocities of the same fit with different seeds: 1, all seeds say the same; 0 or below, "
    "the direction is luck. With the default preset the direction is settled before the training, from the same data "
    "for every seed, so seeds agree more than they should: a low value is a warning, a high one proves nothing."
)


def seed_agreement(velocities: Sequence[Layer]) -> np.ndarray:
    """Agreement of fits that differ only by their seed, per cell; `SEEDS_NOTE` explains its interpretation.

    Parameters
    ----------
    velocities
        One layer of shape ``(n_cells, n_genes)`` per seed, in memory or on disk, with the same cells and genes. Genes
        with NaN in any fit are left out.

    Returns
    -------
    Shape ``(n_cells,)``: mean cosine over the pairs of seeds, see `deepvelo.tl.metrics.agreement`; NaN if fewer than two
    seeds have a velocity.

    Raises
    ------
    InputError
        There are fewer than two fits, or they differ in cells or genes.
    """
    if len(velocities) < 2:
        msg = f"Seeds are compared with each other, so two fits are needed. Got {len(velocities)}. Fit another seed."
        raise InputError(msg)
    shapes = {velocity.shape for velocity in velocities}
    if len(shapes) > 1:
        msg = f"Fits with different seeds must have the same cells and genes. Found the shapes {sorted(shapes)}. Fit them again."
        raise InputError(msg)
    return agreement(velocities)
