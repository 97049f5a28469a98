"""Text that users wrote, inside Markdown."""

from __future__ import annotations

import re


def escape(text: str) -> str:
    """The text as it is: a name like ``my_*best*_run`` or ``a:b`` must not turn into markup."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~])", r"\\\1", text)
