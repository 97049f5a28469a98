"""The schema of a run's ``info.json``, for writing and for strict reading."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from deepvelo import config
from deepvelo.config import Settings
from deepvelo.config.strict import STRICT
from deepvelo.errors import InputError
from deepvelo.io.checksums import read_regular_file
from deepvelo.plan import Plan

INFO = "info.json"
FORMAT = 1
"""Format of a run's folder. Raise it with a change that earlier versions cannot read."""
PACKAGE = "deepvelo-explorer"
MAX_BYTES = 2**20
_MAX_CHARACTERS = 1000
_MOST = 2**53  # the largest number that JSON, floats and browsers agree on
_UNKNOWN = {
    "extra_forbidden",
    "unexpected_keyword_argument",
}  # pydantic's names for fields of a newer version

# "fit" is a run of its own, by any method; the others belong to a fit and are listed with it.
Purpose = Literal["fit", "control", "steady_state", "seed", "sweep"]


def _require_time_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        msg = "no time zone"
        raise ValueError(msg)
    return text


def _require_sizes(metrics: dict[str, float | int]) -> dict[str, float | int]:
    """Require ``n_cells`` and ``n_genes``, which pages and estimates read."""
    for name in ("n_cells", "n_genes"):
        n = metrics.get(name)
        if not isinstance(n, int) or not 0 < n < 2**31:
            msg = f"no {name}"
            raise ValueError(msg)
    return metrics


_Text = Annotated[str, Field(max_length=_MAX_CHARACTERS)]
_Number = (
    Annotated[int, Field(strict=True, ge=-_MOST, le=_MOST)]
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
)


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """Summary of a run, available without opening its result."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    run_id: str
    name: _Text
    data_name: _Text
    data_hash: _Text
    created: Annotated[_Text, AfterValidator(_require_time_zone)]
    """Time of saving, ISO 8601, UTC."""
    settings: Settings
    metrics: Annotated[dict[_Text, _Number], AfterValidator(_require_sizes)]
    """Scores, times in seconds, ``n_cells`` and ``n_genes``; finite values only."""
    versions: dict[_Text, _Text]
    cluster_key: _Text
    basis: _Text
    plan: Plan | None = None
    """What the sizes decided about a DeepVelo fit; None for other methods, and in runs stored before there were plans."""
    purpose: Purpose = "fit"
    base: _Text = ""
    """Id of the run that a control, seed or sweep belongs to; for a fit, the run whose data it used, if any."""
    job: _Text = ""
    """Id of the job that produced the run."""
    owner: _Text = ""
    """Key of the visitor who started the job; empty for runs from the command line."""
    owner_name: _Text = ""
    """Display name of the owner."""

    @property
    def is_ours(self) -> bool:
        """Whether DeepVelo was fitted, by this program."""
        return self.settings.method == "deepvelo"

    @property
    def is_imported(self) -> bool:
        """Whether another tool computed the velocities."""
        return self.settings.method == "imported"

    @property
    def is_scvelo(self) -> bool:
        """Whether one of scVelo's modes was fitted."""
        return self.settings.method in ("steady_state", "stochastic", "dynamical")

    @property
    def method_label(self) -> str:
        """What computed the velocities, as people write it."""
        return config.method_label(self.settings)


_SCHEMA: TypeAdapter[RunInfo] = TypeAdapter(RunInfo)


class DamagedRunError(InputError):
    """A run exists and cannot be opened."""


def read_info(folder: Path) -> RunInfo:
    """Read ``info.json`` of a run's folder.

    Raises
    ------
    DamagedRunError
        The file is missing, unreadable, too large, not JSON, does not fit the schema, or is of a newer version.
    """
    try:
        values = from_json(read_regular_file(folder / INFO, max_bytes=MAX_BYTES), allow_inf_nan=False)
    except PermissionError:
        msg = f"Run {folder.name} may not be read by this program. Allow reading it, or take it out of the store."
        raise DamagedRunError(msg) from None
    except OSError as error:
        raise damaged_run_error(folder.name, f"{INFO} cannot be read ({error.strerror or error})") from None
    except ValueError:
        raise damaged_run_error(folder.name, f"{INFO} is no JSON") from None
    if not isinstance(values, dict):
        raise damaged_run_error(folder.name, f"{INFO} does not describe a run")
    if (stored := values.pop("format", FORMAT)) != FORMAT:
        what = f"format {stored}" if isinstance(stored, int) else "its format"
        raise _other_version(folder.name, values, what=what)
    try:
        return _SCHEMA.validate_python(values | {"run_id": folder.name})
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        first = next((found for found in errors if found["type"] in _UNKNOWN), errors[0])
        field = ".".join(str(part) for part in first["loc"])[:100]
        if first["type"] in _UNKNOWN or _version_of(values) not in (version(PACKAGE), "unknown"):
            raise _other_version(folder.name, values, what=f"`{field}`") from None
        reason = first["msg"].removeprefix("Value error, ").partition("\n")[0]
        raise damaged_run_error(folder.name, f"{INFO} is damaged at `{field}`: {reason}") from None


def info_text(info: RunInfo) -> str:
    """The text of ``info.json``, without metrics that are not finite and with long texts truncated."""
    values = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    texts = {name: value[:_MAX_CHARACTERS] for name, value in values.items() if isinstance(value, str)}
    numbers = {
        name: getattr(value, "item", lambda value=value: value)() for name, value in info.metrics.items()
    }
    values |= texts | {
        "settings": config.to_dict(info.settings),
        "metrics": {name: value for name, value in numbers.items() if math.isfinite(value)},
    }
    values["plan"] = None if info.plan is None else dataclasses.asdict(info.plan)
    del values["run_id"]  # the folder's name
    return json.dumps({"format": FORMAT} | values, indent=2, ensure_ascii=False)


def damaged_run_error(run_id: str, what: str) -> DamagedRunError:
    """The error to raise for a damaged run."""
    return DamagedRunError(f"Run {run_id} is damaged: {what}. Delete it and fit again.")


def _other_version(run_id: str, values: dict[str, Any], *, what: str) -> DamagedRunError:
    return DamagedRunError(
        f"Run {run_id} was saved by version {_version_of(values)} of DeepVelo Explorer. This is version "
        f"{version(PACKAGE)}, which does not know {what}. Update DeepVelo Explorer to open the run."
    )


def _version_of(values: dict[str, Any]) -> str:
    versions = values.get("versions")
    found = versions.get(PACKAGE) if isinstance(versions, dict) else None
    return found[:40] if isinstance(found, str) and found else "unknown"
