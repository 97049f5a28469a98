"""Plotly figures of an AnnData object; the modules draw arrays and tables, one figure per file."""

from deepvelo.pl.figures import embedding, phase_portrait, rates, stream, training_curve

__all__ = ["embedding", "phase_portrait", "rates", "stream", "training_curve"]
