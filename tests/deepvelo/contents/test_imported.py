"""Velocities that other tools computed: their layer, their genes, their gaps, and the tool."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo import keys
from deepvelo.contents import imported
from deepvelo.errors import InputError


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [
        (["Ms", "velocity_S", "velocity"], "velocity"),
        (["M_s", "velocity_S", "velocity_U", "velocity_P"], "velocity_S"),
        (["Velocity"], "Velocity"),
        (["velo_t", "velo_hat"], "velo_hat"),
        (["velo_s", "velo_u", "velo_chrom"], "velo_s"),
        (["spliced", "vae_velocity", "vae_velocity_u", "variance_velocity"], "vae_velocity"),
        (["latent_time_velovi", "velocities_velovi"], "velocities_velovi"),
    ],
)
def test_the_layer_with_velocities_is_found_by_its_name(layers, chosen):
    assert imported.chosen_layer(layers, name="r") == chosen


@pytest.mark.parametrize(
    ("layers", "asked", "words"),
    [
        (["Ms", "spliced"], None, ["r has no velocities", "'Ms', 'spliced'", "FILE::LAYER"]),
        (["velocity_a", "velocity_b"], None, ["'velocity_a', 'velocity_b'", "Name one"]),
        (["velocity", "Ms"], "velo", ["no layer 'velo'", "'Ms', 'velocity'"]),
    ],
)
def test_the_refusal_lists_what_was_found(layers, asked, words):
    with pytest.raises(InputError) as error:
        imported.chosen_layer(layers, requested=asked, name="r")
    assert all(word in str(error.value) for word in words)


def test_a_layer_is_asked_for_as_the_file_or_this_program_calls_it():
    assert imported.chosen_layer(["velocity", "other"], requested="other", name="r") == "other"
    assert imported.chosen_layer(["velocity", "Other"], requested="other", name="r") == "Other"
    assert imported.chosen_layer(["velocity"], requested="velocity_S", name="r") == "velocity"


@pytest.mark.parametrize(
    "column",
    [
        [True, False, False],
        np.array([1, 0, 0]),
        [1.0, 0.0, np.nan],
        ["TRUE", "FALSE", "FALSE"],
        ["T", "F", None],
        ["1.0", "0.0", None],
        pd.array([True, pd.NA, pd.NA], dtype="boolean"),
        pd.array([1, 0, pd.NA], dtype="Int8"),
        pd.Categorical([True, None, False]),
        pd.Categorical(["true", "false", None]),
    ],
)
def test_yes_and_no_are_read_however_they_are_stored(column):
    assert imported.as_booleans(pd.Series(column)).tolist() == [True, False, False]


def test_no_yes_at_all():
    assert not imported.as_booleans(pd.Series([None, None], dtype=object)).any()


@pytest.mark.parametrize(
    ("var", "genes"),
    [
        ({}, [True, True, True]),
        ({"velocity_genes": ["T", "F", "F"]}, [True, False, False]),
        ({"use_for_dynamics": [False, True, True]}, [False, True, True]),
        (
            {"velocity_genes-0": [True, False, None], "velocity_genes-1": [None, True, False]},
            [True, True, False],
        ),
        ({"velocity_genes_score": [0, 0, 0]}, [True, True, True]),
    ],
)
def test_velocity_genes_of_any_tool(var, genes):
    adata = AnnData(np.zeros((2, 3), dtype=np.float32), var=pd.DataFrame(var, index=list("abc")))
    assert imported.velocity_genes(adata).tolist() == genes


def test_gaps_do_not_cost_a_gene_that_has_most_of_its_values():
    velocity = np.ones((5, 3), dtype=np.float32)
    velocity[4] = np.nan  # a cell without any
    velocity[0, 0] = np.inf
    velocity[1:3, 1] = np.nan
    velocity[1:4, 2] = np.nan
    values = imported.known_values(velocity, np.array([True, True, True]))
    assert values.genes.tolist() == [True, False, False]
    assert values.cells.tolist() == [True, True, True, True, False]
    assert values.n_missing == 1
    made = imported.with_zeros(velocity, values.genes)[:, :]
    assert made[:, 0].tolist() == [0, 1, 1, 1, 0]
    assert np.isnan(made[:, 1:]).all()


def test_genes_that_were_not_chosen_say_nothing_about_cells():
    velocity = np.array([[1, np.nan], [1, 2], [1, 2]], dtype=np.float32)
    values = imported.known_values(velocity, np.array([False, True]))
    assert values.genes.tolist() == [False, True]
    assert values.cells.tolist() == [False, True, True]
    assert values.n_missing == 0


def test_other_velocities_take_the_place_of_those_called_so_with_their_arrows():
    ones = np.ones((2, 3), dtype=np.float32)
    adata = AnnData(
        layers={"velocity": ones, "second": 2 * ones}, obsm={"velocity_umap": ones, "X_umap": ones}
    )
    adata.uns[keys.DEEPVELO] = {"settings": "{}"}
    imported.name_velocity(adata, requested="second", name="r")
    assert (adata.layers["velocity"] == 2).all()
    assert set(adata.obsm) == {"X_umap"}
    assert keys.DEEPVELO not in adata.uns


@pytest.mark.parametrize(
    ("part", "name", "tool"),
    [
        ("var", "use_for_dynamics", "dynamo"),
        ("layers", "latent_time_velovi", "veloVI"),
        ("layers", "fit_t", "UniTVelo"),
        ("uns", "velocity_params", "scVelo"),
        ("uns", "celldancer", "cellDancer"),
        ("obs", "age", ""),
        ("obs", "pyro", ""),
        ("var", "pyroptosis", ""),
        ("layers", "velocity_pyro", "Pyro-Velocity"),
    ],
)
def test_a_tool_is_recognized_by_what_it_leaves(part, name, tool):
    adata = AnnData(np.zeros((2, 3), dtype=np.float32))
    values = {"var": [True] * 3, "obs": [1, 2], "layers": np.ones((2, 3)), "uns": {}}[part]
    getattr(adata, part)[name] = values
    assert imported.tool_of(adata) == tool
