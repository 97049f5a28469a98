"""The table of a sweep, and what is read from it, on four hand-made cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.evaluation.controls import conclusions, sensitivity_table

EDGE = ("A", "B")


def run(velocity, *, genes=("g0", "g1"), cells="0123"):
    """Cells on a line in gene 0, two in group A and then two in B, each a neighbour of the next and the one before."""
    moments = np.zeros((4, len(genes)))
    moments[:, 0] = np.arange(4)
    line = sparse.diags([np.ones(3), np.ones(3)], [1, -1]).tocsr()
    return AnnData(
        obs=pd.DataFrame(
            {
                "clusters": list("AABB"),
                keys.CONSISTENCY: [0.5, 0.7, 0.7, 0.9],
                keys.CONSISTENCY_CELLTYPE: 0.25,
            },
            index=list(cells),
        ),
        var=pd.DataFrame(index=list(genes)),
        layers={keys.MS: moments, keys.VELOCITY: np.array(velocity, dtype=float)},
        obsp={keys.DISTANCES: line},
    )


FORWARD = [[1, 0]] * 4


def table(sweep, **kwargs):
    return sensitivity_table(run(FORWARD), sweep.items(), edges=[EDGE], cluster_key="clusters", **kwargs)


def test_scores_agreement_and_boundary_of_every_run():
    found = table({"same": run([[2, 0]] * 4), "half turned": run([[1, 0], [1, 0], [-1, 0], [-1, 0]])})
    assert list(found.index) == ["base run", "same", "half turned"]
    assert found["consistency"].to_list() == pytest.approx([0.7] * 3)
    assert found["consistency_celltype"].to_list() == pytest.approx([0.25] * 3)
    assert found["agreement"].to_list() == pytest.approx([1, 1, 0])
    assert found["reversed"].to_list() == pytest.approx([0, 0, 0.5])
    assert found["A > B"].to_list() == pytest.approx([1, 1, 1])


def test_fewer_genes_are_matched_by_name():
    fewer = run([[1], [1], [1], [-1]], genes=("g0",))
    assert table({"genes 1": fewer}).loc["genes 1", ["agreement", "reversed"]].to_list() == pytest.approx(
        [0.5, 0.25]
    )


def test_a_run_at_rest_has_no_agreement():
    row = table({"still": run(np.zeros((4, 2)))}).loc["still"]
    assert row[["agreement", "reversed", "A > B"]].isna().all()


def test_other_cells_or_genes_are_refused():
    with pytest.raises(InputError, match="the same cells"):
        table({"other": run(FORWARD, cells="abcd")})
    with pytest.raises(InputError, match="Found none of the 2"):
        table({"other": run(FORWARD, genes=("x", "y"))})


def test_what_survives_is_said_and_what_does_not():
    survives = conclusions(table({"λ spliced 2": run([[1, 0.1]] * 4)}))
    assert survives[0].startswith("Directions: survive; no cell reverses in 1 run.")
    assert "lowest with λ spliced 2, 1.00" in survives[0]
    assert survives[1] == "A > B: survives; CBDir keeps its sign in 1 run (1.00 to 1.00)."
    turned = conclusions(table({"genes 2": run([[-1, 0]] * 4), "λ spliced 2": run(FORWARD)}))
    assert turned[0].startswith("Directions: do not survive everywhere; at worst 100%")
    assert turned[1] == "A > B: does not survive; CBDir changes its sign with genes 2 (-1.00 to 1.00)."


def test_nothing_is_concluded_from_nothing():
    assert conclusions(table({})) == ["No run of the sweep is finished."]
    still = conclusions(table({"still": run(np.zeros((4, 2)))}))
    assert "no run can be compared" in still[0]
    assert "no score" in still[1]
