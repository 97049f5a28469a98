"""Settings of a lineage analysis: frozen, validated on construction, stored beside the result."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepvelo.config.strict import STRICT, sentence
from deepvelo.errors import InputError
from deepvelo.wording import listed


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LineageSettings:
    """All settings of a lineage analysis of a run."""

    cluster_key: str
    root: Annotated[
        str | None,
        Field(
            title="Root", description="Group where the trajectory begins; inferred from the arrows if none."
        ),
    ] = None
    terminal: Annotated[
        tuple[str, ...],
        AfterValidator(lambda names: tuple(sorted(set(names)))),  # the order does not matter
        Field(
            title="Terminal states",
            description="Groups where lineages end; inferred from macrostates if none.",
        ),
    ] = ()
    n_states: Annotated[
        int | None,
        Field(
            ge=1,
            le=50,
            title="Macrostates",
            description="Number of macrostates for GPCCA; chosen from the spectrum of the transition matrix if none.",
        ),
    ] = None
    weight_connectivities: Annotated[
        float,
        Field(
            ge=0,
            le=0.95,
            title="Weight of similarity",
            description=(
                "Weight of the neighbour graph against the arrows in the transition matrix. Higher values give smoother "
                "fates that depend less on the arrows; 0.2 is CellRank's usual choice."
            ),
        ),
    ] = 0.2
    stability: Annotated[
        float,
        Field(
            ge=0.5,
            le=1,
            title="Stability",
            description=(
                "A macrostate is a terminal state if a step from it stays in it with at least this probability. Lower it "
                "to find more, and weaker, terminal states."
            ),
        ),
    ] = 0.96
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, title="Seed")] = 0


_ADAPTER: TypeAdapter[LineageSettings] = TypeAdapter(LineageSettings)


def to_dict(settings: LineageSettings) -> dict[str, Any]:
    """Settings as a JSON-compatible dictionary."""
    plain: dict[str, Any] = _ADAPTER.dump_python(settings, mode="json")
    return plain


def from_dict(values: dict[str, Any]) -> LineageSettings:
    """Settings from a plain dictionary.

    Raises
    ------
    InputError
        An unknown name, or a value out of range.
    """
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        known = listed(list(LineageSettings.__dataclass_fields__))
        raise InputError(sentence(error, spelling=f"Choose among {known}.")) from None


def key_of(settings: LineageSettings) -> str:
    """Hash of the settings, 16 hexadecimal digits, which names the folder of the analysis in its run."""
    text = json.dumps(to_dict(settings), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
