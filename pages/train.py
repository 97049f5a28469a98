"""Set up and start a training, watch it, and list finished runs."""

import streamlit as st

from app import session
from app.shared import cached
from app.shared.empty import error_in_words
from app.shared.live_jobs import live_jobs
from app.train.run_table import run_table
from app.train.settings_form import say_what_is_used, settings_form
from app.train.start import start_panel

st.header("Train")
with error_in_words():
    live_jobs()
with error_in_words():
    source = session.source()
    if source is None:
        st.info("No data set chosen yet: choose one, or train on the simulated sample.")
        with st.container(horizontal=True):
            if st.button("Choose data", type="primary"):
                session.go("data")
            st.button("Use the sample", on_click=session.use_sample)
    else:
        form, start = st.columns([3, 2], gap="large")
        with form:
            filled = settings_form(compare_in=cached.compare_options(source))
        with start, error_in_words():  # an error takes the place of the panel
            say_what_is_used(filled, n_cells=cached.summary(source).n_cells)
            start_panel(source, filled)
st.subheader("Finished runs")
with error_in_words():
    run_table()
