"""All settings: frozen, checked on construction, TOML on disk.

Every field carries its range and a sentence for the biologist who turns the knob; the form in the
app, the command line's help and the checks all read them from here.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from deepvelo.errors import InputError

Preset = Literal["default", "published"]
Device = Literal["auto", "cpu", "cuda"]
Method = Literal["deepvelo", "steady_state", "stochastic", "dynamical"]

# What a method is called where people read it.
METHOD_LABELS: dict[Method, str] = {
    "deepvelo": "DeepVelo",
    "steady_state": "scVelo, steady state",
    "stochastic": "scVelo, stochastic",
    "dynamical": "scVelo, dynamical",
}

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PreparationConfig:
    """From counts to moments: scanpy's and scVelo's usual steps."""

    min_shared_counts: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Minimum shared counts",
            description=(
                "A gene is kept when its spliced and unspliced counts, in cells that have both, add up to this. "
                "Higher drops noisy genes; too high drops the rare ones that mark small cell types."
            ),
        ),
    ] = 20
    n_top_genes: Annotated[
        int,
        Field(
            ge=2,
            le=20000,
            title="Variable genes",
            description=(
                "How many of the most variable genes are kept. More genes steady the arrows and take longer; "
                "a direction that flips with this number should not be trusted."
            ),
        ),
    ] = 2000
    n_components: Annotated[
        int,
        Field(
            ge=2,
            le=200,
            title="Principal components",
            description=("How many principal components decide which cells are alike."),
        ),
    ] = 20
    neighbors_from: Annotated[
        Literal["both", "spliced"],
        Field(
            title="Cells compared in",
            description=(
                "both: cells are alike when their spliced and their unspliced RNA are, so that a cell switching a gene "
                "on is not averaged with one switching it off; spliced: as scVelo does."
            ),
        ),
    ] = "both"
    n_neighbors: Annotated[
        int,
        Field(
            ge=2,
            le=500,
            title="Neighbours for moments",
            description=(
                "Counts are averaged over this many similar cells. Higher is smoother, "
                "and blurs neighbouring cell states into each other."
            ),
        ),
    ] = 30
    size_factors: Annotated[
        Literal["cell", "layer"],
        Field(
            title="Size factors",
            description=(
                "cell: spliced and unspliced counts of a cell are divided by one size, so that their ratio stays as "
                "it was measured; layer: each by its own total, as scVelo does."
            ),
        ),
    ] = "cell"
    recompute_moments: Annotated[
        bool,
        Field(
            title="Recompute moments",
            description=(
                "Replace the genes, neighbours and moments that came with the file by freshly computed ones."
            ),
        ),
    ] = False
    recompute_embedding: Annotated[
        bool,
        Field(
            title="Recompute embedding",
            description=("Replace the UMAP that came with the file. Off keeps your own picture."),
        ),
    ] = False


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class GraphConfig:
    """The cell graph of the network and the candidate neighbours of the objective."""

    n_neighbors: Annotated[
        int,
        Field(
            ge=1,
            le=500,
            title="Graph neighbours",
            description=(
                "Each cell's rates are learned together with this many similar cells. "
                "Higher gives smoother rates; lower lets small groups keep their own."
            ),
        ),
    ] = 20
    n_candidates: Annotated[
        int,
        Field(
            ge=2,
            le=500,
            title="Candidate neighbours",
            description=(
                "Among this many similar cells the model looks for each cell's future and past. "
                "Higher reaches further along a lineage and averages out noise; too high reaches into other cell types. "
                "In a small data set they are fewer: see the share as candidates."
            ),
        ),
    ] = 120
    candidate_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Share as candidates",
            description=(
                "At most this share of all cells are candidates, so that in a small data set they stay similar. "
                "1 sets no limit."
            ),
        ),
    ] = 0.125
    n_components: Annotated[
        int,
        Field(
            ge=2,
            le=200,
            title="Components for neighbours",
            description=(
                "Principal components of expression used to find those neighbours, and to tell movement from noise."
            ),
        ),
    ] = 20
    smooth_inputs: Annotated[
        int,
        Field(
            ge=0,
            le=5,
            title="Input smoothing",
            description=(
                "How often the moments are averaged once more over the neighbours before training. "
                "Helps with sparse counts; 0 leaves them as they are."
            ),
        ),
    ] = 1
    smooth_velocity: Annotated[
        int,
        Field(
            ge=0,
            le=5,
            title="Velocity smoothing",
            description=(
                "How often the fitted velocity is averaged over the neighbours. "
                "Raises the consistency score of any method, moving tissue or not: smooth is not correct."
            ),
        ),
    ] = 2
    denoise_velocity: Annotated[
        bool,
        Field(
            title="Denoise velocity",
            description=(
                "Keep of the fitted velocity what lies in the principal components of expression: cells move in the "
                "directions in which they differ, and the rest is mostly noise."
            ),
        ),
    ] = True

    def candidates_of(self, n_cells: int) -> int:
        """How many candidates a cell gets in a data set of this size, at least 2."""
        if self.candidate_share == 1:
            return self.n_candidates
        return min(self.n_candidates, max(2, round(self.candidate_share * n_cells)))

    def surroundings_of(self, n_cells: int) -> int:
        """How many other cells share rates with a cell before the training: twice the candidates, if there are so many."""
        return min(2 * self.candidates_of(n_cells), n_cells - 1)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class NetworkConfig:
    """The graph convolutional network (Eq. 2) and its rate layer (Eq. 3)."""

    hidden_sizes: Annotated[
        tuple[Annotated[int, Field(ge=1, le=2048)], ...],
        Field(
            min_length=1,
            max_length=6,
            title="Layer sizes",
            description=(
                "Width of each graph convolution. Every further layer lets a cell see one step further in the graph."
            ),
        ),
    ] = (64, 64)
    dropout: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Dropout",
            description=(
                "Share of the hidden values dropped at random while training; guards against overfitting."
            ),
        ),
    ] = 0.0
    nonnegative_rates: Annotated[
        bool,
        Field(
            title="Non-negative rates",
            description=(
                "Rates are physical: they cannot be negative. Off only to repeat the published release."
            ),
        ),
    ] = True
    standardize_inputs: Annotated[
        bool,
        Field(
            title="Standardise inputs",
            description=(
                "Scale each gene to mean 0 and variance 1 before the network, so abundant genes do not drown the rest."
            ),
        ),
    ] = True
    rate_layer: Annotated[
        Literal["linear", "graph"],
        Field(
            title="Rate layer",
            description=(
                "linear: one fully connected layer gives all rates, as in the paper; "
                "graph: a further graph convolution, as in the released code. graph needs the random start."
            ),
        ),
    ] = "linear"
    start: Annotated[
        Literal["steady_state", "random"],
        Field(
            title="Start",
            description=(
                "steady_state begins from the rates a steady-state fit gives every gene; random begins from nothing."
            ),
        ),
    ] = "steady_state"

    @model_validator(mode="after")
    def _start_fits_rate_layer(self) -> NetworkConfig:
        if self.rate_layer == "graph" and self.start != "random":
            msg = (
                "Setting `network.rate_layer` is 'graph', which knows no start but 'random'. "
                f"Got {self.start!r}. Change `network.start`, or the rate layer to 'linear'."
            )
            raise ValueError(msg)
        return self


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ObjectiveConfig:
    """Weights of the objective (Eq. 4 to 7)."""

    continuity: Annotated[
        Literal["components", "genes"],
        Field(
            title="Continuity in",
            description=(
                "components: displacements to the candidates are taken in the principal components, and a candidate "
                "weighs by how far along the velocity it lies; genes: in all genes with uniform weights, as in the paper."
            ),
        ),
    ] = "components"
    settle_every: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            title="Settle every",
            description=(
                "After how many epochs each cell's future and past are chosen anew. 0: once, before the training, from "
                "the velocity it starts with, and they stay. The published schedule does so in every epoch."
            ),
        ),
    ] = 0
    shared_rate_passes: Annotated[
        int,
        Field(
            ge=0,
            le=20,
            title="Passes with shared rates",
            description=(
                "Before the training, so often: each cell's surroundings get the rates that together explain the way "
                "ahead best, and future and past are chosen anew from the velocity with those rates. It turns arrows "
                "round that no rates of a whole region could explain. 0: none; only where Settle every is 0."
            ),
        ),
    ] = 2
    lambda_u: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="λ unspliced",
            description=(
                "How strongly velocity should rise with unspliced RNA (Eq. 7). "
                "Higher trusts new transcripts more when deciding which way a cell moves."
            ),
        ),
    ] = 1.0
    lambda_s: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            title="λ spliced",
            description=(
                "How strongly velocity should fall with spliced RNA (Eq. 7). "
                "Higher trusts degradation of abundant transcripts more."
            ),
        ),
    ] = 1.0
    direction_weight: Annotated[
        float,
        Field(
            ge=0,
            le=1000,
            title="Direction weight",
            description=(
                "Weight of both correlation terms against continuity. Higher pulls every gene towards one steady-state "
                "line for all cells; with a random start and 0 the sign of the arrows is luck."
            ),
        ),
    ] = 1.0
    direction_schedule: Annotated[
        Literal["annealed", "published"],
        Field(
            title="Direction schedule",
            description=(
                "annealed: strong at first, to set the sign, then let go; published: as in the released code, throughout."
            ),
        ),
    ] = "annealed"
    direction_until: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Direction until",
            description=("Share of the training after which the annealed direction term is gone."),
        ),
    ] = 0.5
    unspliced_velocity: Annotated[
        bool,
        Field(
            title="Unspliced velocity",
            description=(
                "Let du/dt take part in continuity. Needed for alpha: without it nothing in the data decides alpha."
            ),
        ),
    ] = True


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TrainingConfig:
    """Adam with amsgrad, full batch."""

    n_epochs: Annotated[
        int,
        Field(
            ge=1,
            le=100000,
            title="Epochs",
            description=("Passes over the data. Watch the loss curve: stop where it is flat."),
        ),
    ] = 100
    learning_rate: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate",
            description=("Size of the first steps. If the loss jumps up and down, lower it."),
        ),
    ] = 1e-2
    learning_rate_decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            title="Learning rate decay",
            description=("The learning rate is multiplied by this after every epoch."),
        ),
    ] = 0.97
    patience: Annotated[
        int,
        Field(
            ge=0,
            le=100000,
            title="Patience",
            description=(
                "Stop early when the total loss has not fallen for this many epochs; 0 never stops early."
            ),
        ),
    ] = 0
    device: Annotated[
        Device,
        Field(title="Device", description="auto takes a GPU when there is one."),
    ] = "auto"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Settings:
    """Everything that decides a result, besides the data."""

    preset: Preset = "default"
    method: Annotated[
        Method,
        Field(
            title="Method",
            description=(
                "deepvelo fits rates for every cell; steady_state, stochastic and dynamical are scVelo's modes, with "
                "one rate a gene. They take the preparation alone: graph, network, objective and training do not "
                "count for them, nor does the seed once the data are prepared."
            ),
        ),
    ] = "deepvelo"
    seed: Annotated[
        int,
        Field(
            ge=0,
            le=2**32 - 1,
            title="Seed",
            description=("Same seed, same answer on one machine. Try another seed to see what is chance."),
        ),
    ] = 0
    preparation: PreparationConfig = field(default_factory=PreparationConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


PUBLISHED = Settings(
    preset="published",
    preparation=PreparationConfig(n_components=30, neighbors_from="spliced", size_factors="layer"),
    # The release counts the cell itself: 20 neighbours are 19, 30 candidates 29.
    graph=GraphConfig(
        n_neighbors=19,
        n_candidates=29,
        candidate_share=1.0,
        smooth_inputs=0,
        smooth_velocity=0,
        denoise_velocity=False,
        n_components=30,
    ),
    network=NetworkConfig(
        dropout=0.2,
        nonnegative_rates=False,
        standardize_inputs=False,
        start="random",
        rate_layer="graph",
    ),
    objective=ObjectiveConfig(
        continuity="genes",
        settle_every=1,
        shared_rate_passes=0,
        direction_weight=18.0,
        direction_schedule="published",
        unspliced_velocity=False,
    ),
    training=TrainingConfig(n_epochs=100, learning_rate=1e-3, learning_rate_decay=0.97),
)
PRESETS: dict[Preset, Settings] = {"default": Settings(), "published": PUBLISHED}

_SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)


def preset_label(settings: Settings) -> str:
    """The preset's name, ``"default, changed"`` where values differ from it.

    Method, seed and device do not count.
    """
    preset = PRESETS[settings.preset]
    training = dataclasses.replace(settings.training, device=preset.training.device)
    same = dataclasses.replace(settings, method=preset.method, seed=preset.seed, training=training) == preset
    return settings.preset if same else f"{settings.preset}, changed"


def fit_label(settings: Settings) -> str:
    """What made a fit, in a few words: preset and seed, or the scVelo mode, for which neither counts."""
    if settings.method != "deepvelo":
        return METHOD_LABELS[settings.method]
    return f"{preset_label(settings)}, seed {settings.seed}"


def to_dict(settings: Settings) -> dict[str, Any]:
    """Plain nested dictionary: what JSON, TOML and ``uns`` hold."""
    plain: dict[str, Any] = _SETTINGS.dump_python(settings, mode="json")
    return plain


def from_dict(values: dict[str, Any]) -> Settings:
    """Settings from a nested dictionary; what it leaves out comes from the preset it names.

    Raises
    ------
    InputError
        An unknown preset or name, or a value out of range.
    """
    preset = values.get("preset", "default")
    if not isinstance(preset, str) or preset not in PRESETS:
        msg = f"`preset` must be one of {sorted(PRESETS)}. Got {preset!r}. Choose one of them."
        raise InputError(msg)
    merged = to_dict(PRESETS[preset])
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merged[name] | value
        else:
            merged[name] = value
    try:
        return _SETTINGS.validate_python(merged)
    except ValidationError as error:
        raise InputError(_sentence(error)) from None


def replace(settings: Settings, changes: dict[str, dict[str, Any] | Any]) -> Settings:
    """New settings with some values changed, checked like all others.

    ``replace(settings, {"seed": 1, "graph": {"n_neighbors": 10}})``
    """
    values = to_dict(settings)
    for name, change in changes.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    return from_dict(values)


def read_toml(path: Path) -> Settings:
    """Settings from a TOML file; what the file leaves out comes from the preset it names."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"There is no settings file {path}. Check the path."
        raise InputError(msg) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} is not a readable TOML file: {error}. Compare it with docs/settings.toml."
        raise InputError(msg) from None
    return from_dict(values)


def to_toml(settings: Settings) -> str:
    """The settings as TOML text, every value written out."""
    return tomli_w.dumps(to_dict(settings))


def sections() -> dict[str, type]:
    """The groups of settings by their field name in `Settings`, for forms and tables."""
    instance = Settings()
    return {
        f.name: type(getattr(instance, f.name))
        for f in dataclasses.fields(Settings)
        if dataclasses.is_dataclass(getattr(instance, f.name))
    }


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "value_error":  # our own words
        return str(first["ctx"]["error"])
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"There is no setting `{name}`. Check its spelling against docs/settings.toml."
    requirement = first["msg"].removeprefix("Input should be ").rstrip(".")
    return f"Setting `{name}` should be {requirement}. Got {first['input']!r}. Change it."
