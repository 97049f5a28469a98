"""Questions to a page in a test: what it says, what it offers."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.testing.v1 import AppTest

from app.chart.message import unpacked


def fine(page: AppTest) -> AppTest:
    """The page, which has neither broken nor complained."""
    assert not page.exception
    assert not page.error
    return page


def words(page: AppTest) -> str:
    """All text and captions, without the marks that keep user text from being markup."""
    return plain(" ".join(text.value for text in [*page.markdown, *page.caption]))


def plain(markdown: str) -> str:
    """What `app.shared.text.escape` was given, of names without backslashes."""
    return re.sub(r":color\[(\\?.)\]", r"\1", markdown).replace("\\", "")


def shown_gene(page: AppTest) -> str:
    """The gene that the page shows."""
    return plain(page.menu_button(key="gene.last").label)


def labels(page: AppTest) -> list[str]:
    """Of the buttons."""
    return [button.label for button in page.button]


def kept_widgets(page: AppTest, key: str) -> list[str]:
    """Ids of the widgets with such a key that Streamlit keeps for the visit, drawn or not."""
    kept = page._session_state._state._new_widget_state.widget_metadata
    return [name for name in kept if name.startswith("$$ID-") and key in name]


def press(page: AppTest, label: str) -> AppTest:
    """The page after a click."""
    return next(button for button in page.button if button.label == label).click().run()


def headers(page: AppTest) -> list[dict[str, Any]]:
    """What the figures of a page tell the browser, with their arrays; those sent in an earlier run are empty."""
    found = []
    for chart in page.get("bidi_component"):
        header, arrays = unpacked(chart.proto.bytes)
        found.append(_filled(header, arrays))
    return found


def figures(page: AppTest) -> list[dict[str, Any]]:
    """Data and layout of the figures of a page, which has neither broken nor complained."""
    return [header["figure"] for header in headers(fine(page))]


def _filled(part: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(part, list):
        return [_filled(item, arrays) for item in part]
    if not isinstance(part, dict):
        return part
    if "$" in part:
        return arrays.get(part["$"], np.empty(0))
    return {name: _filled(value, arrays) for name, value in part.items()}


def gesture(page: AppTest, place: int, value: Any, *, stale: bool = False) -> AppTest:
    """The page after a gesture on its figure at this place; ``stale`` draws it on a figure of before."""
    header = headers(page)[place]
    if isinstance(value, dict):
        view = "of before" if stale else header["figure"]["layout"]["uirevision"]
        number = header["selection"]["taken"] + 1
        value = {"number": number, "view": view, "key": header["selection"]["key"]} | value
    return send(page, place, "gestures", [value])


def send(page: AppTest, place: int, name: str, value: Any) -> AppTest:
    """The page after what the browser sends from its figure at this place."""
    chart = page.get("bidi_component")[place]
    states = page._tree.get_widget_states()
    sent = json.dumps([{"event": name, "value": value}])
    states.widgets.add(id=_make_trigger_id(chart.proto.id, "events"), json_trigger_value=sent)
    page._run(states)
    return page


def selected(page: AppTest) -> list[int]:
    """Rows of the cells that the figures of a page show as selected."""
    chosen = headers(fine(page))[0]["selection"]
    if chosen["bits"] is None:
        return []
    return np.flatnonzero(np.unpackbits(chosen["bits"].astype(np.uint8), count=chosen["size"])).tolist()
