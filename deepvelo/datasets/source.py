"""Where data come from, as a few words that can be kept, compared and sent to another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

Kind = Literal["sample", "file", "join", "public"]
PUBLIC_CACHE = Path("~/.cache/deepvelo")


@dataclass(frozen=True)
class DataSource:
    """One data set, not yet read.

    Parameters
    ----------
    kind
        ``sample`` the shipped simulated data; ``file`` one file; ``join`` a processed object and a
        file with its counts; ``public`` a public set by name.
    path
        The file, or the processed object of a join. For a public set the folder where downloads
        are kept, ``~/.cache/deepvelo`` when empty.
    counts_path
        The file with the counts of a join.
    name
        The name of a public set; otherwise what people call the data.
    """

    kind: Kind
    path: str = ""
    counts_path: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse a description that leads nowhere."""
        needed = {"sample": (), "file": ("path",), "join": ("path", "counts_path"), "public": ("name",)}
        if self.kind not in needed:
            msg = f"`kind` must be one of {sorted(needed)}. Got {self.kind!r}. Choose one of them."
            raise InputError(msg)
        missing = [field for field in needed[self.kind] if not getattr(self, field)]
        if missing:
            msg = f"Data of kind {self.kind!r} need {' and '.join(missing)}. Got none. Give it."
            raise InputError(msg)

    @property
    def label(self) -> str:
        """What people call the data."""
        match self.kind:
            case "sample":
                from deepvelo.datasets import sample

                return self.name or sample.LABEL
            case "public":
                return self.name
            case "join":
                return self.name or f"{Path(self.path).name} + {Path(self.counts_path).name}"
            case "file":
                return self.name or Path(self.path).name

    def load(self) -> AnnData:
        """Read the data, a new object each time.

        Raises
        ------
        InputError
            Missing or unreadable file, cells that do not match, or no network for a public set.
        """
        match self.kind:
            case "sample":
                from deepvelo.datasets import sample

                return sample.load()
            case "public":
                from deepvelo.datasets import public

                return public.load(self.name, folder=Path(self.path or PUBLIC_CACHE).expanduser())
            case "file":
                from deepvelo.io.read import read

                return read(self.path)
            case "join":
                from deepvelo.io.join import join
                from deepvelo.io.read import read

                joined, _ = join(read(self.path), read(self.counts_path))
                return joined

    def hash(self) -> str:
        """Hash of the content, 32 hexadecimal digits; see `deepvelo.io.hashing.data_hash`.

        A public set is known by its name alone: its content is fixed by whoever published it.
        """
        from deepvelo.io.hashing import data_hash

        match self.kind:
            case "sample":
                from deepvelo.datasets import sample

                return data_hash(sample.path())
            case "file":
                return data_hash(self.path)
            case "join":
                words = f"join:{data_hash(self.path)}:{data_hash(self.counts_path)}"
            case "public":
                words = f"public:{self.name}"
        return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()
