"""What was chosen for an object, kept with it in ``uns["deepvelo"]``: settings, grouping and embedding."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from deepvelo import config, keys, peers
from deepvelo.errors import InputError
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Method, Preset, Settings
    from deepvelo.plan import Plan

_RECORDED_VERSIONS = ("deepvelo-explorer", "torch", "torch-geometric", "scanpy", "scvelo", "anndata", "numpy")
_OF_A_FIT = ("graph", "objective", "training")


def record(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None,
    basis: str | None,
    plan: Plan | None = None,
) -> None:
    """Keep what decides a result beside it, in place of what an earlier fit left.

    Parameters
    ----------
    adata
        Gets ``uns["deepvelo"]``: ``settings``, ``plan`` and ``versions`` as JSON, ``preset``, ``seed``, ``cluster_key``, ``basis``.
    """
    packages = [*_RECORDED_VERSIONS, *peers.PACKAGES.get(settings.method, ())[:1]]
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    kept = {"cluster_key": cluster_key, "basis": basis}
    adata.uns[keys.DEEPVELO] = {
        "settings": json.dumps(config.to_dict(settings)),
        **({"plan": json.dumps(dataclasses.asdict(plan))} if plan else {}),
        "preset": settings.preset,
        "seed": settings.seed,
        **{name: value for name, value in kept.items() if value is not None},
        "versions": json.dumps(versions),
    }


def recorded_settings(adata: AnnData) -> Settings | None:
    """The settings kept in ``uns["deepvelo"]``; None where there are none, or those of another version."""
    stored = adata.uns.get(keys.DEEPVELO)
    try:
        return config.from_dict(json.loads(stored["settings"]))
    except (InputError, KeyError, TypeError, ValueError):
        return None


def record_method(adata: AnnData, method: Method) -> None:
    """Keep which method made the velocities of an object, beside what else was chosen."""
    settings = config.replace(recorded_settings(adata) or config.Settings(), {"method": method})
    cluster_key, basis = recorded_views(adata)
    record(adata, settings, cluster_key=cluster_key, basis=basis)


def settings_of_moments(preset: Preset, *, seed: int, **preparation: Any) -> Settings:
    """A preset's settings with other ones of the preparation; None keeps the preset's value.

    Raises
    ------
    InputError
        An unknown preset, or a value out of range.
    """
    return config.from_dict({"preset": preset, "seed": seed, "preparation": _given(preparation)})


def settings_of_kept_moments(
    before: Settings, preset: Preset | None, *, seed: int, **preparation: Any
) -> tuple[Settings, Settings]:
    """Settings for an object that keeps its moments: to prepare it with now, and to record.

    Both keep the preset and preparation that the moments were computed with; None keeps a value. What a new graph or
    embedding was asked for holds now alone.

    Parameters
    ----------
    before
        The recorded settings.

    Raises
    ------
    InputError
        An unknown preset, or a value out of range.
    """
    sections = {name: config.to_dict(before)[name] for name in ("preset", "preparation")}
    sections |= _given({"preset": preset}) | {"seed": seed}
    now = {"compare_in": "auto", "recompute_embedding": False} | _given(preparation)
    recorded = {name: value for name, value in _given(preparation).items() if name != "recompute_moments"}
    return (
        config.from_dict(sections | {"preparation": sections["preparation"] | now}),
        config.from_dict(sections | {"preparation": sections["preparation"] | recorded}),
    )


def settings_of_fit(
    adata: AnnData, *, preset: Preset | None, seed: int, options: Mapping[str, Any]
) -> Settings:
    """Settings of a fit to an object, whose preparation is the recorded one.

    Parameters
    ----------
    preset
        None takes the one that the moments were computed with, else ``"default"``.
    options
        Settings of graph, objective and training by name; None keeps the preset's value.

    Raises
    ------
    InputError
        An unknown preset or option, or a value out of range.
    """
    before = recorded_settings(adata)
    if preset is None:
        preset = before.preset if before else "default"
    sections = config.to_dict(config.from_dict({"preset": preset}))
    values: dict[str, Any] = {section: {} for section in _OF_A_FIT}
    for name, value in _given(options).items():
        section = next((section for section in _OF_A_FIT if name in sections[section]), None)
        if section is None:
            known = [name for section in _OF_A_FIT for name in sections[section]]
            msg = f"There is no setting {listed([name])} of a fit. Found {listed(known)}. Choose one of them."
            raise InputError(msg)
        values[section][name] = value
    if before:
        values["preparation"] = config.to_dict(before)["preparation"]
    return config.from_dict({"preset": preset, "seed": seed, **values})


def grouping(adata: AnnData, cluster_key: str | None) -> str:
    """The ``obs`` column with the cells' groups: the given one, else the recorded one, else one named like cell types.

    Raises
    ------
    InputError
        There is no such column.
    """
    from deepvelo import checks
    from deepvelo.pp.prepare import chosen_cluster_key

    if cluster_key is not None:
        checks.require_column(adata, cluster_key)
        return cluster_key
    key = _recorded(adata, "cluster_key") or chosen_cluster_key(adata, None)
    if key not in adata.obs:
        found = checks.groupings(adata)
        msg = (
            f"No column of `adata.obs` is known to hold the cells' groups. Found {listed(found)}. "
            "Give `cluster_key`, or run `deepvelo.pp.moments(adata)`, which computes groups where there are none."
        )
        raise InputError(msg)
    return key


def embedding(adata: AnnData, basis: str | None) -> str:
    """The embedding to draw on, without ``X_``: the given one, else the recorded one, else the best picture there is.

    Raises
    ------
    InputError
        The object has no such embedding.
    """
    from deepvelo import contents
    from deepvelo.pp.prepare import chosen_basis

    name = chosen_basis(adata, basis or _recorded(adata, "basis"))
    if keys.embedding(name) not in adata.obsm:
        msg = (
            f"There is no embedding {listed([name])}. Found {listed(contents.embeddings(adata))}. "
            "Choose one of them, or run `deepvelo.pp.moments(adata)`, which computes a UMAP."
        )
        raise InputError(msg)
    return name


def recorded_views(adata: AnnData) -> tuple[str | None, str | None]:
    """Grouping and embedding kept in ``uns["deepvelo"]``; None where none is, or where it is no longer there."""
    return _recorded(adata, "cluster_key"), _recorded(adata, "basis")


def _recorded(adata: AnnData, name: str) -> str | None:
    record = adata.uns.get(keys.DEEPVELO)
    value = record.get(name) if isinstance(record, Mapping) else None
    parts = adata.obs if name == "cluster_key" else adata.obsm
    known = value and (value if name == "cluster_key" else keys.embedding(str(value))) in parts
    return str(value) if known else None


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
