"""Plotly figures: of an AnnData object here, of arrays and tables in the modules, one picture a file."""

from deepvelo.pl.figures import embedding, phase_portrait, rates, stream, training_curve

__all__ = ["embedding", "phase_portrait", "rates", "stream", "training_curve"]
