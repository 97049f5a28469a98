"""Figures as messages to the browser: arrays once, in as few bytes as a screen can show."""

from __future__ import annotations

import json
import math
import zlib
from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

_MISSING: Final = 2**16 - 1  # code of NaN among quantised values
_CELL_TYPES: Final = ("scattergl", "scatter3d")
_OF_CELLS: Final = {"x", "y", "z"}

Part = dict[str, Any]


@dataclass(frozen=True)
class Array:
    """An array on its way to the browser; ``low`` and ``high`` belong to codes of 16 bits."""

    id: str
    values: np.ndarray
    low: float | None = None
    high: float | None = None

    def described(self) -> Part:
        """Its entry in the header."""
        limits = {} if self.low is None else {"low": self.low, "high": self.high}
        return {"id": self.id, "type": self.values.dtype.str[1:], "n": len(self.values), **limits}


def array_of(values: np.ndarray) -> Array:
    """An array as it is; its id is a hash of its bytes."""
    values = np.ascontiguousarray(values)
    return Array(_hash(values.tobytes(), values.dtype.str.encode()), values)


def text_array(lines: Sequence[str]) -> Array:
    """Texts of one line each, as bytes that the browser splits."""
    return array_of(np.frombuffer("\n".join(lines).encode(), dtype=np.uint8))


def quantised(values: np.ndarray) -> Array:
    """Numbers as codes of 16 bits between the lowest and the highest: half the bytes, and finer than a screen.

    Parameters
    ----------
    values
        Shape ``(n,)``; NaN and infinite values become NaN.
    """
    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    step = (high - low) / (_MISSING - 1) or 1.0
    codes = np.full(len(values), _MISSING, dtype="<u2")
    codes[known] = np.rint((values[known].astype(np.float64) - low) / step)
    return Array(_hash(codes.tobytes(), repr((low, high)).encode()), codes, low, high)


@dataclass
class Message:
    """A header in JSON, deflated, and the arrays that it names.

    Parameters
    ----------
    known
        Ids of arrays that the browser holds; they are named and not sent.
    """

    known: Collection[str]
    arrays: dict[str, Array] = field(default_factory=dict)

    def named(self, array: Array) -> Part:
        """The place of an array in the header."""
        self.arrays[array.id] = array
        return {"$": array.id}

    def figure(self, figure: go.Figure, *, rows: np.ndarray | None = None) -> Part:
        """Data and layout of a figure, with ids in place of arrays.

        ``rows`` are the row numbers to send in place of those in ``customdata``; None sends them as they are.
        """
        whole = figure.to_dict()
        layout = {name: value for name, value in whole["layout"].items() if name != "template"}
        return {
            "data": [self._trace(trace, rows) for trace in whole["data"]],
            "layout": self._with_ids(layout),
        }

    def packed(self, header: Mapping[str, Any]) -> bytes:
        """The message; arrays that the browser knows are left out."""
        sent = [array for array in self.arrays.values() if array.id not in self.known]
        text = json.dumps({**header, "arrays": [array.described() for array in sent]}, separators=(",", ":"))
        start = zlib.compress(text.encode(), 1)
        return b"".join(
            [len(start).to_bytes(4, "little"), start, *(array.values.tobytes() for array in sent)]
        )

    def _trace(self, trace: Part, numbers: np.ndarray | None) -> Part:
        rows = _decoded(trace.get("customdata"))
        if not isinstance(rows, np.ndarray) or rows.dtype.kind != "i" or trace["type"] not in _CELL_TYPES:
            return self._with_ids(trace)
        rows = rows if numbers is None else numbers[rows]
        # In the order of their rows, coordinates are the same array for every gene and colour.
        order = np.argsort(rows, kind="stable")
        marker = trace.get("marker", {})
        return {
            **self._with_ids(
                {name: trace[name] for name in trace.keys() - _OF_CELLS - {"marker", "customdata"}}
            ),
            **self._of_cells({name: trace[name] for name in _OF_CELLS & trace.keys()}, order),
            "marker": self._of_cells(marker, order),
            "customdata": self.named(array_of(rows[order].astype("<i4"))),
            "cells": True,
            # The figure draws some cells over others.
            "top": isinstance(_decoded(marker.get("color")), np.ndarray)
            and bool((order[1:] < order[:-1]).any()),
        }

    def _of_cells(self, part: Part, order: np.ndarray) -> Part:
        """A part of a trace whose arrays have a value a cell."""
        values = {name: _decoded(value) for name, value in part.items()}
        return {
            name: self.named(quantised(value[order]))
            if isinstance(value, np.ndarray)
            else self._with_ids(value)
            for name, value in values.items()
        }

    def _with_ids(self, part: Any) -> Any:
        if isinstance(part, Mapping):
            values = _decoded(part)
            if isinstance(values, np.ndarray):
                return self.named(array_of(_sent_as(values))) if values.ndim == 1 else self._with_ids(values)
            return {name: self._with_ids(value) for name, value in part.items()}
        if isinstance(part, (list, tuple)):
            return [self._with_ids(item) for item in part]
        if isinstance(part, np.ndarray):
            return self._with_ids(part.tolist())
        if isinstance(part, np.generic):
            part = part.item()
        return None if isinstance(part, float) and not math.isfinite(part) else part  # as JSON has neither


def unpacked(message: bytes) -> tuple[Part, dict[str, np.ndarray]]:
    """Header and arrays of a message, as the browser reads them; for tests and measurements."""
    length = int.from_bytes(message[:4], "little")
    header = json.loads(zlib.decompress(message[4 : 4 + length]))
    arrays, at = {}, 4 + length
    for entry in header["arrays"]:
        values = np.frombuffer(message, dtype=f"<{entry['type']}", count=entry["n"], offset=at)
        at += values.nbytes
        if "low" in entry:
            step = (entry["high"] - entry["low"]) / (_MISSING - 1)
            values = np.where(values == _MISSING, np.nan, entry["low"] + step * values).astype(np.float32)
        arrays[entry["id"]] = values
    return header, arrays


def header_id(header: Mapping[str, Any]) -> str:
    """Hash of a header, by which the browser knows a figure that it shows already."""
    return _hash(json.dumps(header, sort_keys=True).encode())


def _decoded(part: Any) -> Any:
    """The array that Plotly wrote as ``{"dtype": ..., "bdata": ...}``; anything else as it is."""
    if not isinstance(part, Mapping) or "bdata" not in part:
        return part
    values = np.frombuffer(b64decode(part["bdata"]), dtype=np.dtype(part["dtype"]).newbyteorder("<"))
    return values.reshape([int(n) for n in str(part["shape"]).split(",")]) if "shape" in part else values


def _sent_as(values: np.ndarray) -> np.ndarray:
    """Numbers in one of the types that the browser reads."""
    if values.dtype.kind == "f":
        return values.astype("<f4")
    return values.astype("<i4")


def _hash(*parts: bytes) -> str:
    digest = blake2b(digest_size=9)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
