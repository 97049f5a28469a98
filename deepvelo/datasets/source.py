"""Descriptions of data sets that can be stored, compared and sent to another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from deepvelo import keys
from deepvelo.config import Ambiguous
from deepvelo.errors import InputError
from deepvelo.wording import in_one_line, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings
    from deepvelo.io import JoinReport
    from deepvelo.io.runs import Run
    from deepvelo.selections import FoundCells, GroupingStore

Kind = Literal["sample", "file", "join", "public", "run", "shuffled", "steady_state", "cells"]
_TRIES = 2  # a file that changes twice is being written to
PUBLIC_CACHE = Path("~/.cache/deepvelo")
_NEEDED: dict[Kind, tuple[str, ...]] = {
    "sample": (),
    "file": ("path",),
    "join": ("path", "counts_path"),
    "public": ("name",),
    "run": ("path",),
    "shuffled": ("path",),
    "steady_state": ("path",),
    "cells": ("path",),
}

_CONTROLS: dict[Kind, str] = {"shuffled": "shuffled control", "steady_state": "steady-state control"}


@dataclass(frozen=True)
class DataSource:
    """Description of a data set that is not read yet.

    Parameters
    ----------
    kind
        ``sample`` the shipped simulated data; ``file`` a file or folder, or those of several samples; ``join`` a
        processed object and its counts; ``public`` a public set by name; ``run`` the prepared data of a stored run;
        ``shuffled`` the same with unspliced counts permuted among the cells of each of the run's groups
        (see `deepvelo.datasets.derived.shuffled_control`); ``steady_state`` the same with unspliced counts as at steady
        state (see `deepvelo.datasets.derived.steady_state_control`); ``cells`` the counts of some cells of a run, to be
        prepared again (see `of_cells`), with the groups made by hand.
    path
        The file, the processed object of a join, or the folder of a run. For a public set the folder where
        downloads are kept, ``~/.cache/deepvelo`` when empty.
    counts_path
        The file with the counts of a join.
    more
        Counts of further samples.
    sheet
        A table with one row per sample: its name, its file, and columns for ``obs``.
    gene_names, ambiguous
        As for `deepvelo.io.read`, for the counts.
    name
        Name of a public set; otherwise the display name of the data.
    seed
        Seed of ``shuffled`` and ``steady_state``.
    n_genes
        Use only this many of a run's genes, the most variable; 0 uses all.
    selection, cells_file
        The cells of ``cells``: id of a selection saved in the run, or a text file with their names.
    """

    kind: Kind
    path: str = ""
    counts_path: str = ""
    more: tuple[str, ...] = ()
    sheet: str = ""
    gene_names: str = "auto"
    ambiguous: Ambiguous = "leave_out"
    name: str = ""
    seed: int = 0
    n_genes: int = 0
    selection: str = ""
    cells_file: str = ""

    def __post_init__(self) -> None:
        """Refuse an incomplete description."""
        if self.kind not in _NEEDED:
            msg = f"`kind` must be one of {sorted(_NEEDED)}. Got {self.kind!r}. Choose one of them."
            raise InputError(msg)
        missing = [field for field in _NEEDED[self.kind] if not getattr(self, field)]
        if missing:
            msg = f"Data of kind {self.kind!r} need {' and '.join(missing)}. Got none. Give it."
            raise InputError(msg)
        if self.kind == "cells" and bool(self.selection) == bool(self.cells_file):
            msg = "Data of kind 'cells' need either a saved selection or a file with the names of cells. Give one of them."
            raise InputError(msg)

    @classmethod
    def of_cells(cls, run_folder: Path | str, *, selection: str = "", cells_file: str = "") -> DataSource:
        """Some cells of a stored run as a data set, called for instance ``sample, 312 cells: tip``.

        Parameters
        ----------
        run_folder
            Folder of the run.
        selection
            Id of a selection saved in the run.
        cells_file
            A text file with names of cells, in any layout that `deepvelo.selections.find_cells` reads.

        Raises
        ------
        InputError
            The run, the selection or the file cannot be read, or no cell is found.
        """
        file = str(Path(cells_file).resolve()) if cells_file else ""
        bare = cls("cells", path=str(Path(run_folder).resolve()), selection=selection, cells_file=file)
        found, called = bare._found_cells()
        n_cells = number(int(found.cells.sum()), "cell")
        words = called if called.startswith(n_cells) else f"{n_cells}: {called}"
        return replace(bare, name=f"{bare._run().info.data_name}, {words}")

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files and folders that are read."""
        paths = (self.path, self.counts_path, *self.more, self.sheet, self.cells_file)
        return tuple(path for path in paths if path)

    @property
    def is_prepared(self) -> bool:
        """Whether `load` returns prepared data, to be fitted unchanged."""
        return self.kind in ("run", "shuffled", "steady_state")

    @property
    def label(self) -> str:
        """Display name of the data."""
        match self.kind:
            case "sample":
                from deepvelo.datasets import shipped

                return self.name or shipped.LABEL
            case "public":
                return self.name
            case "join" | "file":
                names = [Path(path).name for path in (self.path, self.counts_path, *self.more) if path]
                return self.name or " + ".join(names)
            case "run" | "shuffled" | "steady_state":
                words = [self.name or self._name_of_run()]
                words += [f"{self.n_genes} genes"] * bool(self.n_genes)
                if self.kind in _CONTROLS:
                    words.append(f"{_CONTROLS[self.kind]} {self.seed}")
                return ", ".join(words)
            case "cells":
                return self.name or f"{self._name_of_run()}, selected cells"

    def load(self) -> AnnData:
        """Read the data, a new object each time; large counts of a file stay on disk.

        Raises
        ------
        InputError
            A file or run is missing or unreadable, cells do not match, or a public set cannot be downloaded.
        """
        match self.kind:
            case "sample":
                from deepvelo.datasets import shipped

                return shipped.sample()
            case "public":
                from deepvelo.datasets import public

                return public.load(self.name, folder=Path(self.path or PUBLIC_CACHE).expanduser())
            case "file":
                return self._read_counts(self.path, lazy_if_large=True)
            case "join":
                return self.joined()[0]
            case "run" | "shuffled" | "steady_state":
                return self._load_run()
            case "cells":
                return self._load_cells()

    def load_with_hash(self) -> tuple[AnnData, str]:
        """The data with their `hash`, read consistently.

        Raises
        ------
        InputError
            As `load`; or a file is being written to.
        """
        before = self.hash()
        for _ in range(_TRIES):
            adata, after = self.load(), self.hash()
            if after == before:
                return adata, after
            before = after
        msg = (
            f"{self.label} changed while it was read. Wait until it is completely written, then start again."
        )
        raise InputError(msg)

    def joined(self) -> tuple[AnnData, JoinReport]:
        """The processed object of a join with its counts, and a report on the matched cells.

        Raises
        ------
        InputError
            As `load`.
        """
        from deepvelo.io import join, read

        return join(read(self.path), self._read_counts(self.counts_path))

    def _read_counts(self, path: str, *, lazy_if_large: bool = False) -> AnnData:
        from deepvelo.io import read, read_samples

        if self.more or self.sheet:
            return read_samples(
                [path, *self.more],
                sheet=self.sheet or None,
                gene_names=self.gene_names,
                ambiguous=self.ambiguous,
            )
        return read(path, lazy_if_large=lazy_if_large, gene_names=self.gene_names, ambiguous=self.ambiguous)

    def hash(self) -> str:
        """Hash of the content, 32 hexadecimal digits; see `deepvelo.io.hashing.data_hash`.

        The hash of a public set depends only on its name. The prepared data of a run have the hash of the original
        data. That of cells of a run changes with the groups made by hand, which become their annotation.
        """
        from deepvelo.io.hashing import data_hash

        match self.kind:
            case "sample":
                from deepvelo.datasets import shipped

                return data_hash(shipped.path())
            case "file" | "join":
                choices = [] if self._is_plain else [self.gene_names, self.ambiguous]
                parts = [data_hash(path) for path in self.files]
                if [self.kind, *choices] == ["file"] and len(parts) == 1:
                    return parts[0]
                words = ":".join([self.kind, *parts, *choices])
            case "public":
                words = f"public:{self.name}"
            case "run" | "shuffled" | "steady_state":
                info = self._run().info
                if self.kind == "run" and not self.n_genes:
                    return info.data_hash
                words = f"{self.kind}:{info.data_hash}:{info.run_id}:{self.n_genes}:{self.seed}"
            case "cells":
                info, cells = self._run().info, self._found_cells()[0].cells
                words = f"cells:{info.data_hash}:{info.run_id}:{self.n_genes}:{cells.tobytes().hex()}"
                words += "".join(
                    f":{saved.grouping_id}:{saved.changed}" for saved in self._groupings().stored().groupings
                )
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()

    @property
    def _is_plain(self) -> bool:
        """Whether the file alone decides what is read."""
        return (self.gene_names, self.ambiguous) == ("auto", "leave_out")

    def require_suitable(self, settings: Settings) -> None:
        """Check that settings can be used for the data of a run; called before a job is submitted and when it starts.

        Raises
        ------
        InputError
            The preparation differs from that of prepared data, so the new run would record wrong settings; or there
            are fewer selected cells than a fit with these settings needs.
        """
        if self.is_prepared and self._run().info.settings.of_preparation != settings.of_preparation:
            msg = (
                f"The data of run {Path(self.path).name} are prepared, and the settings ask for another preparation. "
                "Keep its settings under `preparation`; for fewer genes give the data source `n_genes`."
            )
            raise InputError(msg)
        if self.kind == "cells":
            from deepvelo.checks import require_enough_cells

            require_enough_cells(int(self._found_cells()[0].cells.sum()), settings)

    def _run(self) -> Run:
        from deepvelo.io.runs import RunStore

        folder = Path(self.path)
        return RunStore(folder.parent).open(folder.name)

    def _name_of_run(self) -> str:
        try:
            return self._run().info.data_name
        except InputError:  # deleted; jobs that used it still need a name
            return f"run {Path(self.path).name}"

    def _load_run(self) -> AnnData:
        from deepvelo.datasets import derived

        run = self._run()
        adata = run.prepared()
        if self.n_genes:
            adata = derived.most_variable(adata, self.n_genes)
        if self.kind == "run":
            return adata
        control = derived.shuffled_control if self.kind == "shuffled" else derived.steady_state_control
        return control(adata, run.info.settings, group_key=run.info.cluster_key, seed=self.seed)

    def _load_cells(self) -> AnnData:
        from deepvelo.contents.notes import stored_notes
        from deepvelo.datasets import derived

        adata = self._run().prepared()
        if self.n_genes:
            adata = derived.most_variable(adata, self.n_genes)
        found, called = self._found_cells()
        of_groups = self._groupings().add_to(adata)
        cells = derived.of_cells(adata, found.cells)
        note = (
            f"{cells.n_obs:,} of {number(adata.n_obs, 'cell')} of {self._name_of_run()} are used: {called}."
        )
        if found.n_found < found.n_given:
            note += f" {found.report}"
        cells.uns[keys.NOTES] = [*stored_notes(cells), note, *of_groups]
        return cells

    def _groupings(self) -> GroupingStore:
        """The groups made by hand of the data of a run."""
        from deepvelo.selections import GroupingStore

        return GroupingStore(Path(self.path).parent, self._run().info.data_hash)

    def _found_cells(self) -> tuple[FoundCells, str]:
        """The cells of a selection or a file in the run, and what they are called."""
        from deepvelo.plain_text import read_text
        from deepvelo.selections import find_cells, same_cells, store
        from deepvelo.selections.names import MOST_CHARACTERS

        run = self._run()
        if self.selection:
            saved, names = store.load(run.folder, self.selection)
            found, called = same_cells(names, run.obs.index), saved.label
        else:
            text = read_text(Path(self.cells_file), most=MOST_CHARACTERS)
            found, called = find_cells(text, run.obs), in_one_line(Path(self.cells_file).name, most=100)
        if not found.cells.any():
            msg = f"No cell of {called} is in run {run.info.run_id}. {found.report} Choose the run that they are from."
            raise InputError(msg)
        return found, called
