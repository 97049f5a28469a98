"""Lineages of a run: trajectory, terminal states, fate probabilities and driver genes."""

from deepvelo.lineages.analysis import LAYERS, Lineages, Stage, analyse
from deepvelo.lineages.report import to_json, write_tables
from deepvelo.lineages.settings import LineageSettings, from_dict, to_dict
from deepvelo.lineages.store import load, save, stored

__all__ = [
    "LAYERS",
    "LineageSettings",
    "Lineages",
    "Stage",
    "analyse",
    "from_dict",
    "load",
    "save",
    "stored",
    "to_dict",
    "to_json",
    "write_tables",
]
