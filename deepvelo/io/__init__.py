"""Data files in and out, and the store of finished runs."""

from deepvelo.io.join import JoinReport, join
from deepvelo.io.read import SUFFIXES, read
from deepvelo.io.samples import read_samples
from deepvelo.io.write import require_writable, scratch_beside, write_h5ad, write_text

__all__ = [
    "SUFFIXES",
    "JoinReport",
    "join",
    "read",
    "read_samples",
    "require_writable",
    "scratch_beside",
    "write_h5ad",
    "write_text",
]
