"""``deepvelo evaluate``: the table in the terminal, reports on disk, one sentence for bad input."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo import config, keys, workflow
from deepvelo.io import read, write_h5ad


@pytest.fixture
def files(fitted, field, tmp_path):
    """Two results on disk: one moves right, one left."""
    paths = {"ours": tmp_path / "ours.h5ad", "theirs": tmp_path / "theirs.h5ad"}
    write_h5ad(fitted(), paths["ours"])
    write_h5ad(fitted(field([-1.0, 0, 0, 0]), method="stochastic"), paths["theirs"])
    return paths


def test_the_table_with_definitions_tests_and_notes(deepvelo, capsys, files):
    assert deepvelo("evaluate", *files.values(), "--edges", "A>B") == 0
    out = capsys.readouterr().out
    assert out.index("deepvelo") < out.index("stochastic")
    for fact in (
        "boundary_genes: A > B",
        "1.000     -1.000",
        "consistency: mean cosine of a cell's velocity with those of its graph neighbours",
        "for any method and for any tissue, moving or not",
        "Mann-Whitney",
        "0.5 is no difference",
        "(mean cosine over their pairs, 4 genes): -1.000",
    ):
        assert fact in out


def test_reports_hold_what_is_printed(deepvelo, tmp_path, files):
    reports = tmp_path / "r.json", tmp_path / "r.csv"
    options = ["--edges", "A>B,B>A", "--smooth", 1, "--json", reports[0], "--csv", reports[1]]
    assert deepvelo("evaluate", *files.values(), *options) == 0
    written = json.loads(reports[0].read_text(encoding="utf-8"))
    assert written["smooth"] == 1
    assert [method["method"] for method in written["methods"]] == ["deepvelo", "stochastic"]
    table = pd.read_csv(reports[1], index_col="method")
    assert table["boundary_genes: B > A"].tolist() == pytest.approx([-1, 1])
    assert {path.name for path in tmp_path.iterdir()} == {"ours.h5ad", "theirs.h5ad", "r.json", "r.csv"}


def test_one_file_is_scored_alone(deepvelo, capsys, files):
    assert deepvelo("evaluate", files["ours"]) == 0
    assert "Mann-Whitney" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{ours}", "missing.h5ad"], "There is no file missing.h5ad"),
        (["{ours}", "{ours}"], "given twice"),
        (["{ours}", "{theirs}::speed"], "no layer 'speed'. Found 'Ms', 'velocity'"),
        (["{ours}", "--edges", "A > D"], "no group 'D'. Found 'A', 'B', 'C'"),
        (["{ours}", "--edges", "A"], "'source > target'"),
        (["{ours}", "--smooth", "3"], "Choose 0, 1 or 2"),
        (["{ours}", "--cluster-key", "types"], "no grouping 'types'"),
        (["{ours}", "--json", "{theirs}"], "must end in .json"),
        (["{ours}", "--csv", "nowhere/r.csv"], "nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    deepvelo, monkeypatch, capfd, tmp_path, files, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert deepvelo("evaluate", *(a.format(**files) for a in arguments)) == 2
    error = capfd.readouterr().err.strip()
    assert error.startswith("Error: ")
    assert message in error
    assert "\n" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours.h5ad", "theirs.h5ad"]


def methods(deepvelo, tmp_path, *files):
    """The rows of the report."""
    assert deepvelo("evaluate", *files, "--edges", "A > B", "--json", tmp_path / "r.json") == 0
    return json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["methods"]


def test_any_layer_is_compared_by_its_name(deepvelo, tmp_path, fitted, field):
    both = fitted(method=None)
    both.layers["backwards"] = field([-1.0, 0, 0, 0]).astype(np.float32)
    write_h5ad(both, tmp_path / "both.h5ad")
    file = tmp_path / "both.h5ad"
    found = methods(deepvelo, tmp_path, file, f"{file}::backwards")
    assert [method["boundary_genes: A > B"] for method in found] == pytest.approx([1, -1])
    assert [method["boundary_embedding: A > B"] for method in found] == pytest.approx([1, -1])


def test_the_result_of_dynamo_is_compared_as_it_comes(deepvelo, tmp_path, fitted, files):
    theirs = fitted(method=None)
    theirs.layers["velocity_S"] = sparse.csr_matrix(theirs.layers.pop("velocity"))
    theirs.layers["M_s"] = sparse.csr_matrix(theirs.layers.pop("Ms"))
    theirs.layers["M_u"] = theirs.layers["M_s"].copy()
    theirs.var["use_for_dynamics"] = [True, True, False, False]
    theirs.write_h5ad(tmp_path / "dynamo.h5ad")
    found = methods(deepvelo, tmp_path, files["ours"], tmp_path / "dynamo.h5ad")
    assert [method["n_velocity_genes"] for method in found] == [4, 2]
    assert found[1]["boundary_genes: A > B"] == pytest.approx(1)


@pytest.mark.parametrize(
    "values", [["TRUE", "FALSE", "FALSE", "TRUE"], pd.array([True, None, None, True], dtype="boolean")]
)
def test_velocity_genes_as_text_or_missing(deepvelo, tmp_path, fitted, files, values):
    theirs = fitted(method=None)
    theirs.var[keys.VELOCITY_GENES] = values
    theirs.write_h5ad(tmp_path / "r.h5ad")
    found = methods(deepvelo, tmp_path, files["ours"], tmp_path / "r.h5ad")
    assert [method["n_velocity_genes"] for method in found] == [4, 2]


def test_missing_velocities_are_told_and_no_gene_is_lost(deepvelo, tmp_path, capsys, fitted, files):
    theirs = fitted(method=None)
    theirs.layers[keys.VELOCITY][np.arange(4) * 2, np.arange(4)] = np.nan
    theirs.write_h5ad(tmp_path / "r.h5ad")
    found = methods(deepvelo, tmp_path, files["ours"], tmp_path / "r.h5ad")
    assert [method["n_velocity_genes"] for method in found] == [4, 4]
    assert found[1]["boundary_genes: A > B"] is not None
    assert "Warning: 4 velocities of r are missing" in capsys.readouterr().out


@pytest.mark.slow
def test_two_fits_of_the_real_cells(deepvelo, capsys, shared_data, tmp_path):
    cells = read(shared_data / "dentate_gyrus_200.h5ad")
    files = [tmp_path / f"{seed}.h5ad" for seed in (0, 1)]
    for seed, file in enumerate(files):
        settings = config.replace(config.Settings(), {"seed": seed, "training": {"n_epochs": 3}})
        write_h5ad(workflow.run(cells, settings, cluster_key=keys.CLUSTERS).adata, file)
    assert deepvelo("evaluate", *files, "--json", tmp_path / "r.json") == 0
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [method["method"] for method in found["methods"]] == ["deepvelo (0)", "deepvelo (1)"]
    assert found["edges"] == ["Neuroblast > Granule immature", "Granule immature > Granule mature"]
    for method, file in zip(found["methods"], files, strict=True):
        stored = read(file).uns[keys.DEEPVELO]["metrics"]
        for score in ("consistency", "consistency_celltype"):
            assert method[f"{score}_mean"] == pytest.approx(stored[score], abs=1e-4)
        assert method["seconds"] == pytest.approx(stored["seconds_train"])
    assert found["agreement"]["median"] > 0.5
    assert "boundary_embedding: Neuroblast > Granule immature" in capsys.readouterr().out


def test_velocities_of_a_file_made_elsewhere_are_scored(deepvelo, capsys, shared_data):
    assert deepvelo("evaluate", shared_data / "dentate_gyrus_200.h5ad") == 0
    out = capsys.readouterr().out
    assert "dentate_gyrus_200" in out
    assert "boundary_genes: Granule immature > Granule mature" in out
