"""How all settings are checked."""

from __future__ import annotations

from pydantic import ConfigDict

# A misspelt name is an error, never a setting that silently stays as it was.
STRICT = ConfigDict(extra="forbid")
