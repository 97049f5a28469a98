"""Entry of the app: ``python -m streamlit run app/main.py``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # Streamlit puts only this file's folder there
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app import session  # noqa: E402
from app.background import ended_visits  # noqa: E402
from app.shared import cached  # noqa: E402
from app.shared.charts import picture_format  # noqa: E402
from app.shared.copy_link import copy_link  # noqa: E402
from app.shared.glossary import glossary  # noqa: E402
from app.shared.group_picker import group_picker  # noqa: E402
from app.shared.live_jobs import jobs_in_brief  # noqa: E402
from app.shared.run_picker import choose_first_run, run_picker  # noqa: E402
from app.shared.shown_run import gone_in_words  # noqa: E402

GROUPS: dict[str, list[tuple[str, str, str]]] = {
    "Data": [
        ("data", "Data", ":material/database:"),
        ("train", "Train", ":material/model_training:"),
    ],
    "Explore": [
        ("velocity", "Velocity", ":material/air:"),
        ("phase_portraits", "Phase portraits", ":material/scatter_plot:"),
        ("kinetic_rates", "Kinetic rates", ":material/speed:"),
        ("selection", "Selection", ":material/lasso_select:"),
        ("compare", "Compare", ":material/balance:"),
        ("lineages", "Lineages", ":material/account_tree:"),
    ],
}


def home() -> None:
    """Redirect the bare address to Velocity if there are runs, else to Data."""
    session.go("velocity" if cached.runs() else "data")


st.set_page_config(
    page_title="DeepVelo Explorer",
    page_icon=ROOT / "app" / "icon.svg",
    layout="wide",
    initial_sidebar_state=280,
)
ended_visits.close_event_loops()
cached.warm_up()
pages = {
    group: [st.Page(f"../pages/{name}.py", title=title, icon=icon) for name, title, icon in entries]
    for group, entries in GROUPS.items()
}
page = st.navigation({"": [st.Page(home, title="Home", default=True, visibility="hidden")], **pages})
session.sync_url(page.url_path)
with gone_in_words():
    choose_first_run()
    with st.sidebar:
        run_picker()
        group_picker()
        jobs_in_brief()
        picture_format()
        copy_link()
        glossary()
    page.run()
