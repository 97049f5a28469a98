"""All settings in one object, the presets, and what people call them."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from deepvelo.config.graph import GraphConfig
from deepvelo.config.objective import ObjectiveConfig
from deepvelo.config.preparation import PreparationConfig
from deepvelo.config.strict import STRICT
from deepvelo.config.training import TrainingConfig
from deepvelo.config.variant import VARIANTS, Preset, Variant

Method = Literal["deepvelo", "steady_state", "stochastic", "dynamical", "graphvelo", "imported"]

# What a method is called where people read it.
METHOD_LABELS: dict[Method, str] = {
    "deepvelo": "DeepVelo",
    "steady_state": "scVelo, steady state",
    "stochastic": "scVelo, stochastic",
    "dynamical": "scVelo, dynamical",
    "graphvelo": "GraphVelo",
    "imported": "Imported result",
}
FITTED: tuple[Method, ...] = tuple(method for method in METHOD_LABELS if method != "imported")
"""Methods that fit velocities; with ``imported`` they come with the data. Which are installed: `deepvelo.peers`."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Settings:
    """All settings that decide a result, besides the data and what the preset fixes (`Variant`)."""

    preset: Preset = "default"
    method: Annotated[
        Method,
        Field(
            title="Method",
            description=(
                "deepvelo fits rates for every cell; steady_state, stochastic and dynamical are scVelo's modes, with "
                "one rate per gene; graphvelo projects the stochastic mode's velocities onto the cells' tangent space. "
                "These four use only the preparation settings, and the seed only there. imported keeps the velocities "
                "that another tool computed, and the file's moments."
            ),
        ),
    ] = "deepvelo"
    layer: Annotated[
        str,
        Field(
            title="Velocity layer",
            description=(
                "Layer that holds the velocities of an imported result. Leave it empty to use `velocity`, or the name "
                "that the tool writes."
            ),
        ),
    ] = ""
    tool: Annotated[
        str,
        Field(
            max_length=40,
            title="Tool",
            description=(
                "Name of the tool that computed an imported result, as pages show it. Leave it empty to detect it."
            ),
        ),
    ] = ""
    seed: Annotated[
        int,
        Field(
            ge=0,
            le=2**32 - 1,
            title="Seed",
            description=(
                "Seed of all random numbers: the same seed gives the same result on one machine. Try other seeds to see "
                "what is chance."
            ),
        ),
    ] = 0
    preparation: PreparationConfig = field(default_factory=PreparationConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def variant(self) -> Variant:
        """What the preset fixes."""
        return VARIANTS[self.preset]

    @property
    def of_preparation(self) -> tuple[object, ...]:
        """All choices of the preparation: data prepared by other ones are other data."""
        return self.preparation, self.variant.size_factors, self.variant.neighbors_from

    @property
    def correlation_weights(self) -> tuple[float, float]:
        """Weights of corr(v, u) and corr(v, -s) in the direction loss.

        Half of each lambda. The published schedule divides by their sum, as the released code does: only the ratio
        of the lambdas counts there.
        """
        lambda_u, lambda_s = self.objective.lambda_u, self.objective.lambda_s
        published = self.variant.direction_schedule == "published"
        divisor = ((lambda_u + lambda_s) or 1.0) if published else 2.0
        return lambda_u / divisor, lambda_s / divisor


PUBLISHED = Settings(
    preset="published",
    preparation=PreparationConfig(n_components=30),
    # The release counts the cell itself: 20 neighbours are 19, 30 candidates 29.
    graph=GraphConfig(
        n_neighbors=19, n_candidates=29, smooth_inputs=0, smooth_velocity=0, total_rna="technical"
    ),
    training=TrainingConfig(n_epochs=100, learning_rate=1e-3, batch_cells=100_000_000),
)
PRESETS: dict[Preset, Settings] = {"default": Settings(), "published": PUBLISHED}


def sections() -> dict[str, type]:
    """The groups of settings by their field name in `Settings`, for forms and tables."""
    instance = Settings()
    return {
        f.name: type(getattr(instance, f.name))
        for f in dataclasses.fields(Settings)
        if dataclasses.is_dataclass(getattr(instance, f.name))
    }


def method_label(settings: Settings) -> str:
    """What computed a result, as people write it; of an imported one the tool."""
    label = METHOD_LABELS[settings.method]
    return f"{settings.tool}, imported" if settings.method == "imported" and settings.tool else label


def preset_label(settings: Settings) -> str:
    """The preset's name, ``"default, changed"`` where values differ from it.

    Method, seed and device do not count.
    """
    preset = PRESETS[settings.preset]
    training = dataclasses.replace(settings.training, device=preset.training.device)
    same = dataclasses.replace(settings, method=preset.method, seed=preset.seed, training=training) == preset
    return settings.preset if same else f"{settings.preset}, changed"


def fit_label(settings: Settings) -> str:
    """What made a fit, in a few words: preset and seed, or another method, for which neither counts."""
    if settings.method != "deepvelo":
        return method_label(settings)
    return f"{preset_label(settings)}, seed {settings.seed}"
