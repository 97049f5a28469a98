"""Made-up cases on their way through the command line, the Data page and the run store, each step done once."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo import config, keys
from deepvelo.io import read
from deepvelo.io.join import JoinReport
from deepvelo.io.runs import Run, RunStore
from tests import on_page
from tests.cases.made.every import CASES
from tests.on_page import headers

PAGE = Path(__file__).resolve().parents[2] / "pages" / "data.py"
SETTINGS = config.replace(config.Settings(), {"training": {"n_epochs": 5}})  # as `--epochs 5`

# The data of a case where it is not the one file beside `first.h5ad`.
DATA = {
    "starsolo_folder": "Solo.out/Velocyto/filtered",
    "zarr_without_ending": "sample",
    "zarr_v3_zip": "v3.zarr.zip",
}

Made = TypeVar("Made")


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, what it printed, and the file it was to write."""

    code: int
    said: str
    output: Path

    @cached_property
    def adata(self) -> AnnData:
        """The output, which a command that succeeded must have left; read only."""
        assert self.code == 0, self.said
        return ad.read_h5ad(self.output)

    @cached_property
    def report(self) -> dict[str, Any]:
        """What `evaluate --json` or `lineages` wrote."""
        assert self.code == 0, self.said
        whole = self.output / "lineages.json" if self.output.is_dir() else self.output
        return json.loads(whole.read_text())

    @property
    def methods(self) -> list[dict[str, Any]]:
        """The scores of each method that `evaluate` compared, in the order given."""
        return self.report["methods"]

    @property
    def velocity_genes(self) -> list[int]:
        """Velocity genes of each method that `evaluate` compared."""
        return [method["n_velocity_genes"] for method in self.methods]

    @property
    def notes(self) -> list[str]:
        """What reading changed, as the output keeps it."""
        return notes_of(self.adata)

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores and numbers of a fit, as the output keeps them."""
        return self.adata.uns[keys.DEEPVELO]["metrics"]

    def says(self, *words: str) -> bool:
        """Whether all of these occur in what was printed, in any case of letters."""
        return says(self.said, *words)


@dataclass(frozen=True)
class Page:
    """The Data page of a case: its sentences by kind, and its pictures."""

    errors: list[str]
    warnings: list[str]
    figures: list[dict[str, Any]]
    groupings: list[str]
    said: str

    @property
    def picture(self) -> dict[str, Any]:
        """The cells on their embedding."""
        (picture,) = (figure for figure in self.figures if figure["data"][0]["type"].startswith("scatter"))
        return picture

    @property
    def group_colors(self) -> dict[str, str]:
        """The colour of each group in the picture, by the name in its legend."""
        return {trace["name"]: trace["marker"]["color"] for trace in self.picture["data"]}


class Bench:
    """Takes cases by name; what was done for one test is there for the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.runs = folder / "runs"
        self._results = folder / "results"
        for made in (self.folder, self.runs, self._results):
            made.mkdir()
        self._done: dict[tuple[object, ...], Any] = {}

    def _once(self, key: tuple[object, ...], work: Callable[[], Made]) -> Made:
        if key not in self._done:
            self._done[key] = work()
        return self._done[key]

    def made(self, case: str) -> Path:
        """The folder with the files of a case."""

        def make() -> Path:
            folder = self.folder / case
            folder.mkdir()
            CASES[case](folder)
            return folder

        return self._once(("made", case), make)

    def data(self, case: str) -> Path:
        """The file of a case that its row in the table is about; a result of another tool where there are two."""
        folder = self.made(case)
        if case in DATA:
            return folder / DATA[case]
        found = sorted(path for path in folder.iterdir() if path.suffix != ".txt")
        return next((path for path in found if path.name != "first.h5ad"), found[0])

    def check(self, case: str, name: str | None = None) -> Outcome:
        """``deepvelo check FILE``."""
        file = self.file(case, name)
        return self._once(("check", file), lambda: command("check", file))

    def run(self, case: str, *options: str, name: str | None = None) -> Outcome:
        """``deepvelo run FILE -o OUT.h5ad --epochs 5``, with further options."""
        file, output = self.file(case, name), self._new(".h5ad")
        words = ("run", file, "-o", output, "--epochs", 5, *options)
        return self._once(("run", file, *options), lambda: command(*words, output=output))

    def evaluate(self, case: str, *options: str, files: tuple[Path, ...] | None = None) -> Outcome:
        """``deepvelo evaluate first.h5ad OTHER --json FILE``; the one file where there is no other."""
        given = files or tuple(dict.fromkeys([self.made(case) / "first.h5ad", self.data(case)]))
        output = self._new(".json")
        words = ("evaluate", *given, "--json", output, *options)
        return self._once(("evaluate", given, options), lambda: command(*words, output=output))

    def lineages(self, case: str, file: Path, *options: str | Path) -> Outcome:
        """``deepvelo lineages FILE -o DIR``, with further options."""
        output = self._new("")
        words = ("lineages", file, "-o", output, *options)
        return self._once(("lineages", file, *options), lambda: command(*words, output=output))

    def page(self, case: str, name: str | None = None) -> Page:
        """The Data page on a case's file, or on its two files to be joined."""
        if name is None and case.startswith("join_"):
            address = f"join:{case}/processed.h5ad|{case}/counts.h5ad"
            self.made(case)
        else:
            address = f"file:{self.file(case, name).relative_to(self.folder).as_posix()}"
        return self._once(("page", address), lambda: self._opened(address))

    def joined(self, case: str) -> tuple[AnnData, JoinReport]:
        """The processed object with the counts, and the report."""
        from deepvelo.io import join

        folder = self.made(case)
        return self._once(
            ("join", case), lambda: join(read(folder / "processed.h5ad"), read(folder / "counts.h5ad"))
        )

    def fitted(self, case: str) -> tuple[AnnData, Run]:
        """A fit as a job of the app makes it, written into the run store and opened again: the object, the run."""
        return self._once(("fitted", case), lambda: self._fitted(case))

    def _fitted(self, case: str) -> tuple[AnnData, Run]:
        from deepvelo import workflow
        from deepvelo.datasets.source import DataSource

        folder = self.made(case)
        if case.startswith("join_"):
            source = DataSource(
                kind="join", path=f"{folder}/processed.h5ad", counts_path=f"{folder}/counts.h5ad"
            )
        else:
            source = DataSource(kind="file", path=str(self.data(case)))
        store = RunStore(self.runs)
        with store.scratch() as scratch:
            result = workflow.run(source.load(), SETTINGS, scratch=scratch)
            run_id = store.save(result, data_name=source.label, data_hash=source.hash())
        run = RunStore(self.runs).open(run_id)  # as another process opens it
        return run.to_adata(), run

    def _opened(self, address: str) -> Page:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DEEPVELO_DATA", str(self.folder))
            patch.setenv("DEEPVELO_RUNS", str(self.runs))
            patch.setattr(cached, "inspect", lambda source: None)  # it takes a second a file
            app = AppTest.from_file(str(PAGE), default_timeout=120)
            app.query_params["data"] = address
            app.run()
        assert not app.exception, app.exception[0].message
        texts = {
            kind: [plain(element.value) for element in getattr(app, kind)]
            for kind in ("error", "warning", "success", "info", "markdown", "caption")
        }
        groups = [box.options for box in app.selectbox if box.label == "Cell groups"]
        return Page(
            errors=texts["error"],
            warnings=texts["warning"],
            figures=[header["figure"] for header in headers(app)],  # those of a page with errors too
            groupings=groups[0] if groups else [],
            said="\n".join(line for lines in texts.values() for line in lines),
        )

    def file(self, case: str, name: str | None = None) -> Path:
        """One of the files of a case; by default its `data`."""
        return self.data(case) if name is None else self.made(case) / name

    def _new(self, suffix: str) -> Path:
        return self._results / f"{len(self._done)}{suffix}"


def command(*words: object, output: Path = Path()) -> Outcome:
    """A command of `deepvelo`, in this process; what it cannot handle is raised, as a traceback would be shown."""
    from deepvelo import cli

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
        patch.setattr(sys, "argv", ["deepvelo", *map(str, words)])
        patch.setenv("COLUMNS", "400")  # tables in whole
        try:
            cli.main()
        except SystemExit as end:
            return Outcome(int(end.code or 0), said.getvalue(), output)
    return Outcome(0, said.getvalue(), output)


def plain(text: str) -> str:
    """Markdown of a page as it is read, settings by their names alone."""
    return on_page.plain(re.sub(r"\*\*[^*]+\*\* \((`[\w.]+`)\)", r"\1", text))


def says(text: str, *words: str) -> bool:
    """Whether all of these occur in a text, in any case of letters."""
    return all(word.lower() in text.lower() for word in words)


def findings(said: str) -> list[str]:
    """The warnings and notes that a command printed."""
    lines = [line.partition(": ") for line in said.splitlines()]
    return [text for level, _, text in lines if level in ("warning", "note")]


def noted(notes: list[str], *words: str) -> bool:
    """Whether one of the notes has all of these words."""
    return any(says(note, *words) for note in notes)


def notes_of(adata: AnnData) -> list[str]:
    """The notes an object keeps."""
    return [str(note) for note in np.atleast_1d(adata.uns.get(keys.NOTES, np.array([], str)))]


def n_drawn(figure: dict[str, Any]) -> int:
    """How many points with coordinates a figure of the app has."""
    return sum(
        int(np.isfinite(np.asarray(trace["x"], dtype=float)).sum())
        for trace in figure["data"]
        if "x" in trace
    )


def texts(column: pd.Series) -> list[str | None]:
    """Values of a column as texts, None where missing: files keep texts in several ways."""
    return [None if pd.isna(value) else str(value) for value in column]


def holding(frame: pd.DataFrame, values: list[str | None]) -> list[str]:
    """The columns that hold these values."""
    return [str(name) for name in frame if texts(frame[name]) == values]


def same_matrix(one: Any, other: Any) -> bool:
    """Whether two sparse matrices hold the same values."""
    return one.shape == other.shape and abs(sparse.csr_matrix(one) - sparse.csr_matrix(other)).max() < 1e-6


def assert_drawn_on(fit: AnnData, coordinates: np.ndarray) -> None:
    """The coordinates are in the output as they came, with arrows on them, and no new UMAP beside them."""
    kept = [name for name, stored in fit.obsm.items() if _are_same(stored, coordinates)]
    arrows = {name.removeprefix("velocity_") for name in fit.obsm if name.startswith("velocity_")}
    assert arrows
    assert arrows <= {name.removeprefix("X_") for name in kept}
    known = np.isfinite(coordinates).all(axis=1)
    for basis in arrows:
        assert np.isfinite(fit.obsm[f"velocity_{basis}"][known]).all()
        assert np.abs(fit.obsm[f"velocity_{basis}"][known]).max() > 0
    assert "X_umap" not in fit.obsm or "X_umap" in kept


def _are_same(stored: object, coordinates: np.ndarray) -> bool:
    given = np.asarray(stored)
    return given.shape == coordinates.shape and np.allclose(given, coordinates, atol=1e-5, equal_nan=True)


def require_agreement(bench: Bench, case: str, name: str | None = None) -> None:
    """`check`, `run` and the Data page refuse a file together, in a sentence, or take it, with the same notes."""
    check, run, page = bench.check(case, name), bench.run(case, name=name), bench.page(case, name)
    assert {check.code, run.code} <= {0, 2}
    assert "Traceback" not in check.said + run.said + page.said
    refused = (check.code, run.code, 2 if page.errors else 0)
    assert refused in ((0, 0, 0), (2, 2, 2)), (check.said, run.said, page.errors)
    if run.code == 2:
        (sentence,) = page.errors
        assert sentence.removeprefix("- ").split("\n")[0][:60] in plain(run.said)
        assert not run.output.exists()
        assert not list(run.output.parent.glob(f".{run.output.name}*"))
        return
    assert findings(run.said) == findings(check.said)
    for finding in findings(check.said):
        assert finding in page.said
    for note in notes_of(read(bench.file(case, name))):
        assert note in run.notes
        assert any(note in finding for finding in findings(check.said))


def assert_noted(bench: Bench, case: str, *words: str) -> None:
    """One note has all of these words: the output keeps it, and `check`, `run` and the Data page say it."""
    fit = bench.run(case)
    notes = [note for note in fit.notes if says(note, *words)]
    assert notes, fit.notes
    for said in (bench.check(case).said, fit.said, bench.page(case).said):
        assert notes[0] in said
