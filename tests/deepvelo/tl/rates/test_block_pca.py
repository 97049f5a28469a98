"""Principal components in blocks are those of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.tl.rates.block_pca import block_pca


def steep(rng, n_cells, n_columns):
    """Columns whose singular values fall by a tenth from one to the next."""
    left, right = (np.linalg.qr(rng.normal(size=(n, 60)))[0] for n in (n_cells, n_columns))
    return left * 0.9 ** np.arange(60) @ right.T


def low_rank(rng, n_cells, n_columns):
    return rng.normal(size=(n_cells, 5)) @ rng.normal(size=(5, n_columns))


def few(rng, n_cells, n_columns):
    return rng.normal(size=(n_cells, 8))


@pytest.mark.parametrize("draw", [steep, low_rank, few])
@pytest.mark.parametrize(("n_cells", "n_columns"), [(300, 500), (70, 400)])
def test_scores_are_those_of_a_singular_value_decomposition(draw, n_cells, n_columns):
    values = draw(np.random.default_rng(0), n_cells, n_columns)
    values = (values - values.mean(axis=0)).astype(np.float32)
    scores = block_pca(np.array_split(values, 3, axis=1), n_components=20, seed=0)
    left, lengths, _ = np.linalg.svd(values.astype(float), full_matrices=False)
    n_components = min(20, values.shape[1] - 1)
    expected = (left * lengths)[:, :n_components]
    expected *= np.sign((expected * scores).sum(axis=0))
    assert scores.shape == expected.shape
    real = lengths[:n_components] > 1e-5 * lengths[0]
    np.testing.assert_allclose(scores[:, real], expected[:, real], atol=1e-4 * lengths[0])
    assert np.abs(scores[:, ~real]).max(initial=0) < 1e-4 * lengths[0]
    assert (scores[np.abs(scores).argmax(axis=0), np.arange(n_components)] >= 0).all()


def test_same_seed_same_scores():
    values = np.random.default_rng(0).normal(size=(90, 60)).astype(np.float32)
    first, second = (block_pca([values], n_components=5, seed=3) for _ in range(2))
    assert first.tolist() == second.tolist()
