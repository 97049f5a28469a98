"""All settings: frozen, checked on construction, TOML on disk.

Every field carries its range and a sentence for the biologist who turns the knob; the form in the
app, the command line's help and the checks all read them from here.
"""

from deepvelo.config.graph import GraphConfig
from deepvelo.config.network import NetworkConfig
from deepvelo.config.objective import ObjectiveConfig
from deepvelo.config.preparation import PreparationConfig
from deepvelo.config.reading import AMBIGUOUS_CHOICES, Ambiguous
from deepvelo.config.settings import (
    FITTED,
    METHOD_LABELS,
    PRESETS,
    PUBLISHED,
    Method,
    Preset,
    Settings,
    fit_label,
    method_label,
    preset_label,
    sections,
)
from deepvelo.config.toml import from_dict, read_toml, replace, to_dict, to_toml
from deepvelo.config.training import Device, TrainingConfig

__all__ = [
    "AMBIGUOUS_CHOICES",
    "FITTED",
    "METHOD_LABELS",
    "PRESETS",
    "PUBLISHED",
    "Ambiguous",
    "Device",
    "GraphConfig",
    "Method",
    "NetworkConfig",
    "ObjectiveConfig",
    "PreparationConfig",
    "Preset",
    "Settings",
    "TrainingConfig",
    "fit_label",
    "from_dict",
    "method_label",
    "preset_label",
    "read_toml",
    "replace",
    "sections",
    "to_dict",
    "to_toml",
]
