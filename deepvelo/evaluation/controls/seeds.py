"""How much of a direction depends on the seed: one uncertainty value a cell."""

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
    """How far fits that differ by their seed alone agree in each cell; `SEEDS_NOTE` says what it is worth.

    Parameters
    ----------
    velocities
        One layer of shape ``(n_cells, n_genes)`` a seed, in memory or on disk, the same cells and genes; NaN where one
        has no velocity of a gene, which then is left out.

    Returns
    -------
    Shape ``(n_cells,)``, mean cosine over the pairs of seeds as `deepvelo.tl.metrics.agreement` defines it; NaN where fewer
    than two seeds move.

    Raises
    ------
    InputError
        Fewer than two fits, or fits of different cells or genes.
    """
    if len(velocities) < 2:
        msg = f"Seeds are compared with each other, so two fits are needed. Got {len(velocities)}. Fit another seed."
        raise InputError(msg)
    shapes = {velocity.shape for velocity in velocities}
    if len(shapes) > 1:
        msg = f"Fits with different seeds must have the same cells and genes. Found the shapes {sorted(shapes)}. Fit them anew."
        raise InputError(msg)
    return agreement(velocities)
