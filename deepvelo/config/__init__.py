"""All settings: frozen, checked on construction, TOML on disk.

Every field carries its range and a sentence for the biologist who turns the knob; the form in the
app, the command line's help and the checks all read them from here.
"""

from deepvelo.config.graph import GraphConfig
from deepvelo.config.objective import ObjectiveConfig
from deepvelo.config.preparation import PreparationConfig
from deepvelo.config.reading import AMBIGUOUS_CHOICES, Ambiguous
from deepvelo.config.settings import (
    FITTED,
    METHOD_LABELS,
    PRESETS,
    PUBLISHED,
    Method,
    Settings,
    fit_label,
    method_label,
    preset_label,
    sections,
)
from deepvelo.config.toml import from_dict, read_toml, replace, to_dict, to_toml
from deepvelo.config.training import Device, TrainingConfig
from deepvelo.config.variant import VARIANTS, Preset, Variant, ablation

__all__ = [
    "AMBIGUOUS_CHOICES",
    "FITTED",
    "METHOD_LABELS",
    "PRESETS",
    "PUBLISHED",
    "VARIANTS",
    "Ambiguous",
    "Device",
    "GraphConfig",
    "Method",
    "ObjectiveConfig",
    "PreparationConfig",
    "Preset",
    "Settings",
    "TrainingConfig",
    "Variant",
    "ablation",
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
