"""The signal on hand-made cells: what points forward, what back, and what chance gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.evaluation.controls import forward_balance, forward_surplus, signal_score

WAYS = np.array(
    [1.0, 1.0, -1.0, -1.0]
)  # gene 0 rises ahead of the first two cells, falls ahead of the others


def cells(unspliced, *, ways=WAYS, groups="AAAA", spliced=None, marker=(0, 0, 0, 0)):
    """Four cells, each with an arrow to a cell of its own that differs by ``ways`` in gene 0.

    Gene 1 brings the counts of each cell to 40 in each layer and is the same everywhere ahead. Gene 2, the marker,
    is spliced only.
    """
    n = len(unspliced)
    unspliced, spliced = (np.array(x, dtype=float) for x in (unspliced, spliced or [10.0] * n))
    # behind the n cells, where their arrows lead; in a group of their own, and of a marker of their own
    moments = np.zeros((2 * n, 3))
    moments[n:, 0] = ways
    marker = np.append(marker, [25.0] * n)
    first = {
        keys.UNSPLICED: (np.append(unspliced, [10.0] * n), 0 * marker),
        keys.SPLICED: (np.append(spliced, [10.0] * n), marker),
    }
    counts = {key: np.column_stack([a, 40 - a - c, c]) for key, (a, c) in first.items()}
    adata = AnnData(
        obs=pd.DataFrame({"groups": [*groups, *["ends"] * n]}, index=[str(i) for i in range(2 * n)]),
        layers={key: sparse.csr_matrix(values) for key, values in counts.items()} | {keys.MS: moments},
    )
    ahead = sparse.csr_matrix((np.full(n, 0.8), (np.arange(n), np.arange(n, 2 * n))), shape=(2 * n, 2 * n))
    adata.uns[keys.VELOCITY_GRAPH], adata.uns[keys.VELOCITY_GRAPH_NEG] = ahead, 0 * ahead
    return adata


def along(*args, n_neighbors=0, **kwargs):
    adata = cells(*args, **kwargs)
    return forward_surplus(adata, cluster_key="groups", n_neighbors=n_neighbors)[: adata.n_obs // 2]


def test_surplus_that_points_forward_is_positive_and_as_long_as_it_is():
    assert along([13, 12, 8, 7]) == pytest.approx([3, 2, 2, 3])  # the group's mean is 10
    assert forward_balance(along([13, 12, 8, 7])) == pytest.approx(1)


def test_reversed_arrows_turn_the_sign():
    assert along([13, 12, 8, 7], ways=-WAYS) == pytest.approx([-3, -2, -2, -3])


def test_neighbours_behind_count_as_much_as_neighbours_ahead():
    adata = cells([13, 12, 8, 7], ways=-WAYS)
    graph, negative = (adata.uns[key] for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG))
    adata.uns[keys.VELOCITY_GRAPH], adata.uns[keys.VELOCITY_GRAPH_NEG] = negative, -graph
    assert forward_surplus(adata, cluster_key="groups", n_neighbors=0)[:4] == pytest.approx([3, 2, 2, 3])


def test_what_differs_between_groups_alone_is_no_surplus():
    """The shuffled control keeps it."""
    assert along([13, 13, 7, 7], groups="AABB") == pytest.approx([0, 0, 0, 0])


def test_what_spliced_rna_explains_is_no_surplus():
    """At steady state unspliced RNA follows spliced RNA."""
    assert along([13, 12, 8, 7], spliced=[16, 14, 6, 4]) == pytest.approx([0, 0, 0, 0], abs=1e-9)


def test_counts_are_averaged_over_the_neighbours_in_spliced_rna():
    pairs = {"marker": (0, 0, 5, 5), "n_neighbors": 1}
    assert along([13, 11, 8, 8], **pairs) == pytest.approx([2, 2, 2, 2])
    assert along([13, 11, 8, 8], groups="ABAB", **pairs) == pytest.approx([2.5, 1.5, 2.5, 1.5])


def test_many_neighbours_leave_the_mean_of_the_group_and_no_surplus():
    assert along([13, 12, 8, 7], n_neighbors=30) == pytest.approx([0, 0, 0, 0])


def test_a_cell_alone_in_its_group_or_without_arrow_says_nothing():
    assert along([13, 12, 8, 7], groups="ABCD") == pytest.approx([0, 0, 0, 0])
    assert along([13, 12, 8, 7], ways=0 * WAYS) == pytest.approx([0, 0, 0, 0])


def test_depth_of_the_cell_does_not_count():
    adata = cells([13, 12, 8, 7])
    adata.layers[keys.UNSPLICED] = sparse.diags([3.0, 1, 1, 2, 1, 1, 1, 1]) @ adata.layers[keys.UNSPLICED]
    assert forward_surplus(adata, cluster_key="groups", n_neighbors=0)[:4] == pytest.approx([3, 2, 2, 3])


def test_a_run_without_its_graph_names_what_is_missing():
    adata = cells([13, 12, 8, 7])
    del adata.uns[keys.VELOCITY_GRAPH]
    with pytest.raises(InputError, match="lacks 'uns/velocity_graph'"):
        forward_surplus(adata, cluster_key="groups")


def test_balance_is_forward_less_backward_as_a_share_of_all():
    assert forward_balance(np.array([3.0, 0, -1.0])) == pytest.approx(0.5)
    assert forward_balance(np.array([-2.0, -2.0])) == -1
    assert forward_balance(np.zeros(3)) == 0


def test_signal_counts_from_the_control_to_all():
    half, tenth, back = (np.array([1 + b, b - 1]) / 2 for b in (0.5, 0.1, -0.4))
    assert [forward_balance(x) for x in (half, tenth, back)] == pytest.approx([0.5, 0.1, -0.4])
    assert signal_score(np.ones(2), [half]) == 1
    assert signal_score(half, [tenth]) == pytest.approx(0.4 / 0.9)
    assert signal_score(half, [tenth, half]) == pytest.approx(0.2 / 0.7)  # chance is their mean, 0.3
    assert signal_score(half, [half]) == 0
    assert signal_score(tenth, [half]) == 0
    assert signal_score(half, [back]) == pytest.approx(0.5)  # chance is never below even
    assert signal_score(back, [back]) == 0
    assert signal_score(np.ones(2), [np.ones(2)]) == 0
    with pytest.raises(InputError, match="Got no control"):
        signal_score(half, [])
