"""Words that several pages share, and text that users wrote, inside Markdown."""

from __future__ import annotations

import re

NEGATIVE_RATES = (
    "Rates are unconstrained here (setting Non-negative rates is off, as in the preset `published`): they may be "
    "negative, which no transcription, splicing or degradation can be."
)


def escape(text: str) -> str:
    """The text as it is: a name like ``my_*best*_run`` or ``a:b`` must not turn into markup."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~])", r"\\\1", text)
