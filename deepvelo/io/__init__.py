"""Data files in and out, and the store of finished runs."""

from deepvelo.io.join import JoinReport, join
from deepvelo.io.read import SUFFIXES, read
from deepvelo.io.samples import read_samples
from deepvelo.io.write import write_h5ad

__all__ = ["SUFFIXES", "JoinReport", "join", "read", "read_samples", "write_h5ad"]
