from __future__ import annotations

import asyncio
import math

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks import load


@pytest.fixture
def visitor():
    return load.Visitor(0, load.Counts())


def taken(visitor, message):
    """Whether a message ended the script, and the errors so far."""
    return visitor._is_last(message.SerializeToString(), "page velocity"), visitor._counts.errors


def test_a_table_of_seconds():
    counts = load.Counts()
    for seconds in range(1, 101):
        counts.add("page", float(seconds))
    (row,) = (line for line in counts.lines() if line.startswith("page"))
    assert row.split() == ["page", "100", "50.50", "95.05", "100.00"]
    assert counts.p95("page") == pytest.approx(95.05)
    assert math.isnan(counts.p95("gene change"))


def test_a_script_that_goes_on_elsewhere_has_not_finished(visitor):
    message = ForwardMsg(script_finished=ForwardMsg.FINISHED_EARLY_FOR_RERUN)
    assert taken(visitor, message) == (False, [])
    message = ForwardMsg(script_finished=ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
    assert taken(visitor, message) == (True, [])


def test_what_a_page_complains_of_counts(visitor):
    message = ForwardMsg()
    message.delta.new_element.exception.type = "KeyError"
    message.delta.new_element.exception.message = "'gene'"
    assert taken(visitor, message) == (False, ["page velocity: KeyError: 'gene'"])
    message.delta.new_element.alert.body = "There is no run"
    message.delta.new_element.alert.format = message.delta.new_element.alert.ERROR
    assert taken(visitor, message)[1][-1] == "page velocity: There is no run"
    message.delta.new_element.alert.format = message.delta.new_element.alert.INFO
    assert len(taken(visitor, message)[1]) == 2


def test_select_boxes_are_known_by_their_labels(visitor):
    message = ForwardMsg()
    message.delta.fragment_id = "part"
    message.delta.new_element.selectbox.id = "box"
    message.delta.new_element.selectbox.label = "Gene"
    message.delta.new_element.selectbox.options.extend(["Actb", "Cpe"])
    taken(visitor, message)
    assert visitor.widgets == {"Gene": load.Widget("box", ("Actb", "Cpe"), "part")}


@pytest.mark.slow
def test_a_few_visitors(made_up_run, tmp_path):
    (tmp_path / "data").mkdir()
    run_id = made_up_run(tmp_path / "runs")
    with load.serving(tmp_path / "runs", tmp_path / "data", tmp_path / "server.log") as server:
        lines, missed = asyncio.run(
            load.measure(server, run_id=run_id, sessions=3, seconds=12, visits=7)
        )  # fmt: skip
        assert server.megabytes > 100
    assert not {"there were errors", "descriptors did not return"} & set(missed), lines
    for what in ("gene change", "colour change", *(f"page {page}" for page in load.PAGES)):
        assert any(line.startswith(what) for line in lines), lines
    assert not server.process.is_running()
    assert "Traceback" not in (tmp_path / "server.log").read_text()


@pytest.mark.slow
def test_an_address_without_its_run_is_an_error(tmp_path):
    (tmp_path / "data").mkdir()
    with load.serving(tmp_path / "runs", tmp_path / "data", tmp_path / "server.log") as server:
        _, missed = asyncio.run(
            load.measure(server, run_id="not-there", sessions=1, seconds=1, visits=0)
        )  # fmt: skip
    assert "there were errors" in missed


def test_a_message_that_the_browser_keeps_is_sent_as_its_hash(visitor):
    kept = ForwardMsg(hash="a")
    kept.metadata.cacheable = True
    kept.delta.new_element.selectbox.label = "Gene"
    taken(visitor, kept)
    visitor.widgets.clear()
    taken(visitor, ForwardMsg(ref_hash="a"))
    assert set(visitor.widgets) == {"Gene"}
