"""Lines of scVelo's models for genes whose rates are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.integrate import solve_ivp

from deepvelo import keys, tl
from deepvelo.tl.velocity.model_curves import FIT_TIME, learned_curve, steady_state_line

ALPHA, BETA, GAMMA, SCALING, SWITCH, LAST = 6.0, 2.0, 0.5, 0.4, 4.0, 9.0


@pytest.fixture
def fit() -> pd.Series:
    """A gene as the dynamical mode leaves it."""
    return pd.Series(
        {
            "symbol": "Cpe", "fit_alpha": ALPHA, "fit_beta": BETA, "fit_gamma": GAMMA, "fit_scaling": SCALING,
            "fit_t_": SWITCH, "fit_u0": 0.1, "fit_s0": 0.3,
        }
    )  # fmt: skip


def test_line_of_the_steady_state_mode_is_where_its_velocity_is_zero():
    adata = cells_near_lines(slopes=[0.5, 0.2])
    tl.scvelo_velocity(adata, mode="steady_state")
    for gene, slope in enumerate([0.5, 0.2]):
        line = steady_state_line(adata.var.iloc[gene], mode="steady_state")
        above = adata.layers[keys.MU][:, gene] - (
            line.slope * adata.layers[keys.MS][:, gene] + line.intercept
        )
        np.testing.assert_allclose(adata.layers[keys.VELOCITY][:, gene], above, atol=1e-5)
        assert line.slope == pytest.approx(slope, rel=0.05)


def cells_near_lines(*, slopes: list[float]) -> AnnData:
    """Cells scattered around a line for each gene, in a ring of neighbours."""
    rng, n_cells = np.random.default_rng(0), 101
    spliced = np.repeat(np.linspace(0, 10, n_cells)[:, None], len(slopes), axis=1)
    unspliced = np.abs(spliced * slopes + rng.normal(scale=0.1, size=spliced.shape))
    adata = AnnData(np.zeros(spliced.shape), layers={keys.MS: spliced, keys.MU: unspliced})
    ends = n_cells - 1
    ring = sparse.diags([1.0] * 4, [-ends, -1, 1, ends], shape=(n_cells, n_cells), format="csr")
    adata.obsp[keys.CONNECTIVITIES] = adata.obsp[keys.DISTANCES] = ring
    adata.uns[keys.NEIGHBORS] = {
        "params": {"n_neighbors": 3}, "connectivities_key": keys.CONNECTIVITIES, "distances_key": keys.DISTANCES,
    }  # fmt: skip
    return adata


def test_offsets_and_beta_count_where_scvelo_wrote_them():
    fit = pd.Series({"velocity_gamma": 0.6, "velocity_beta": 2.0, "velocity_offset": 1.0})
    line = steady_state_line(fit, mode="stochastic")
    assert (line.slope, line.intercept) == pytest.approx((0.3, 0.5))


def test_line_of_the_dynamical_mode_holds_its_steady_state(fit):
    line = steady_state_line(fit, mode="dynamical")
    on = learned_curve(pd.Series(dict(fit) | {"fit_t_": 200.0}), last_time=0.0).induction[
        -1
    ]  # transcription on for ever
    assert line.slope == pytest.approx(GAMMA / BETA)
    assert on == pytest.approx([ALPHA / GAMMA + 0.3, ALPHA / BETA + 0.1])
    assert line.slope * on[0] + line.intercept == pytest.approx(on[1])


def test_another_fit_in_the_same_file_is_not_read(fit):
    assert steady_state_line(fit, mode="steady_state") is None


@pytest.mark.parametrize("scaling", [SCALING, GAMMA / BETA])  # the second makes both rates of the fit equal
def test_curve_solves_the_equations_of_splicing(fit, scaling):
    fit["fit_scaling"] = scaling
    curve = learned_curve(fit, last_time=LAST)

    def change(t, state):
        u, s = state
        spliced_now = BETA * scaling * u
        return (ALPHA if t < SWITCH else 0.0) - spliced_now, spliced_now - GAMMA * s

    for branch, start, end in ((curve.induction, 0, SWITCH), (curve.repression, SWITCH, LAST)):
        times = np.linspace(start, end, len(branch))
        first = (branch[0, ::-1] - [0.1, 0.3]) / [scaling, 1]
        inside = np.nextafter(end, start)  # the switch itself belongs to the next branch
        u, s = solve_ivp(
            change, (start, end), first, t_eval=np.minimum(times, inside), rtol=1e-8, atol=1e-9
        ).y
        np.testing.assert_allclose(branch, np.column_stack([s + 0.3, scaling * u + 0.1]), rtol=1e-3)
    np.testing.assert_allclose(curve.induction[0], [0.3, 0.1])
    np.testing.assert_allclose(curve.repression[0], curve.induction[-1])


def test_curve_is_the_one_scvelo_draws(fit):
    from scvelo.plotting.simulation import compute_dynamics

    times = np.linspace(0, LAST, 41)[:, None]
    adata = AnnData(
        np.zeros((41, 1)), var=pd.DataFrame([fit], index=["Cpe"]), layers={FIT_TIME: times}
    )  # fmt: skip
    _, u, s = compute_dynamics(adata, "Cpe", key="fit", sort=False)
    curve = learned_curve(fit, last_time=LAST)
    drawn = np.concatenate([curve.induction, curve.repression])
    at = np.concatenate(
        [np.linspace(0, SWITCH, len(curve.induction)), np.linspace(SWITCH, LAST, len(curve.repression))]
    )
    for theirs, ours in ((s, drawn[:, 0]), (u, drawn[:, 1])):
        np.testing.assert_allclose(np.interp(times[:, 0], at, ours), theirs, rtol=2e-3)


def test_no_cell_past_the_switch_is_no_repression(fit):
    assert len(learned_curve(fit, last_time=SWITCH - 1).repression) == 0


def test_a_gene_without_fit_has_no_lines(fit):
    missing = fit.where(~fit.index.str.startswith("fit_"), np.nan)
    assert learned_curve(missing, last_time=LAST) is None
    assert steady_state_line(missing, mode="dynamical") is None
    assert learned_curve(fit, last_time=np.nan) is None
