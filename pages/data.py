"""Choose a data set and see its contents and findings."""

import streamlit as st

from app import session
from app.data.dataset_picker import dataset_picker
from app.data.import_result import import_result
from app.data.reading_choices import reading_choices
from app.data.summary import (
    contents,
    embedding_chart,
    findings,
    join_report,
    numbers,
    proportions_chart,
)
from app.shared import cached
from app.shared.empty import stop_on_error
from app.shared.text import box_labels, escape
from app.shared.view import one_of

st.header("Data")
dataset_picker()
import_result()

with stop_on_error():
    source = session.source()
    if source is None:
        st.info("No data set chosen yet. Use the simulated sample, or choose your own above.")
        st.button("Use the sample", type="primary", on_click=session.use_sample)
        st.stop()
    summary = cached.summary(source)

left, right = st.columns([2, 1.3], vertical_alignment="center")
left.subheader(escape(source.label), anchor=False)
# Data with errors need a fix before training.
usable = all(finding.level != "error" for finding in summary.findings)
if right.button(
    "Train on this data set",
    type="primary" if usable else "secondary",
    width="stretch",
    icon=":material/arrow_forward:",
):
    session.go("train")
join_report(source)
numbers(summary)
reading_choices(source, summary)
findings(summary)

if cached.display_embeddings(source):
    left, right = st.columns(2, gap="large")
else:  # a sentence uses the full width
    left, right = st.container(), st.container()
group = None
if summary.groupings:
    labels = box_labels(summary.groupings)
    group = left.selectbox(
        "Cell groups",
        summary.groupings,
        format_func=labels.__getitem__,
        **one_of("group", summary.groupings, key="data.group"),
    )
with left:
    proportions_chart(source, group)
with right:
    embedding_chart(source, group)
with st.expander("Contents of the file"):
    contents(summary)
