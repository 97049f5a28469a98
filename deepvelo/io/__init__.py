"""Data files in and out, and the store of finished runs."""

from deepvelo.io.join import JoinReport, join
from deepvelo.io.read import SUFFIXES, read, write_h5ad

__all__ = ["SUFFIXES", "JoinReport", "join", "read", "write_h5ad"]
