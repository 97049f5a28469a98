"""Agreement of seeds on hand-made velocities."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.errors import InputError
from deepvelo.evaluation.controls import seed_agreement


def test_equal_opposite_and_orthogonal_seeds():
    right, up = np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]])
    assert seed_agreement([right, 2 * right, 5 * right]) == pytest.approx([1])
    assert seed_agreement([right, -right]) == pytest.approx([-1])
    assert seed_agreement([right, up]) == pytest.approx([0])
    assert seed_agreement([right, right, -right]) == pytest.approx([-1 / 3])  # pairs: 1, -1, -1


def test_a_gene_that_one_seed_leaves_out_does_not_count():
    one, other = np.array([[1.0, 9.0], [1.0, 0.0]]), np.array([[1.0, np.nan], [-1.0, np.nan]])
    assert seed_agreement([one, other]) == pytest.approx([1, -1])


def test_a_cell_in_which_nobody_moves_has_no_value():
    still = np.zeros((1, 2))
    assert np.isnan(seed_agreement([still, still])).all()


def test_one_seed_or_other_genes_are_refused():
    with pytest.raises(InputError, match="two fits are needed"):
        seed_agreement([np.ones((2, 2))])
    with pytest.raises(InputError, match=r"\(2, 2\), \(2, 3\)"):
        seed_agreement([np.ones((2, 2)), np.ones((2, 3))])
