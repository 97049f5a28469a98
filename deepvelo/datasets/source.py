"""Descriptions of data sets that can be stored, compared and sent to another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from deepvelo.config import Ambiguous
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings
    from deepvelo.io import JoinReport
    from deepvelo.io.runs import Run

Kind = Literal["sample", "file", "join", "public", "run", "shuffled", "steady_state"]
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
        state (see `deepvelo.datasets.derived.steady_state_control`).
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

    def __post_init__(self) -> None:
        """Refuse an incomplete description."""
        if self.kind not in _NEEDED:
            msg = f"`kind` must be one of {sorted(_NEEDED)}. Got {self.kind!r}. Choose one of them."
            raise InputError(msg)
        missing = [field for field in _NEEDED[self.kind] if not getattr(self, field)]
        if missing:
            msg = f"Data of kind {self.kind!r} need {' and '.join(missing)}. Got none. Give it."
            raise InputError(msg)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files and folders that are read."""
        return tuple(path for path in (self.path, self.counts_path, *self.more, self.sheet) if path)

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
        data.
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
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()

    @property
    def _is_plain(self) -> bool:
        """Whether the file alone decides what is read."""
        return (self.gene_names, self.ambiguous) == ("auto", "leave_out")

    def require_preparation(self, settings: Settings) -> None:
        """Check that settings have the same preparation as a run's prepared data.

        Raises
        ------
        InputError
            The preparations differ, so the new run would record wrong settings.
        """
        if self.is_prepared and self._run().info.settings.of_preparation != settings.of_preparation:
            msg = (
                f"The data of run {Path(self.path).name} are prepared, and the settings ask for another preparation. "
                "Keep its settings under `preparation`; for fewer genes give the data source `n_genes`."
            )
            raise InputError(msg)

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
