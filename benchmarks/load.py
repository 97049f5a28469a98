"""Twenty visitors at once: how long pages and changes of gene take, what grows, and what goes wrong.

``python benchmarks/load.py [--runs DIR] [--sessions 20] [--seconds 120] [--visits 200] [--json FILE]`` starts a server
on 127.0.0.1 with the simulated sample, fitted briefly unless a folder of runs is given. Each visitor speaks Streamlit's own
protocol over a websocket: opens pages in turn, changes gene and colour, and thinks in between. After that visits are made
one after the other, and the server must return to the descriptors it had. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
START_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 90, 60, 20
THINKING = (1.0, 2.0)  # seconds between two clicks of a visitor
PAGES = ("velocity", "phase_portraits", "kinetic_rates", "lineages", "compare", "train", "data")
WITH_GENES = ("phase_portraits", "velocity")
GENE, COLOR = "Gene", "Colour by"  # labels of the widgets
OF_LIST = "Gene list: mean score"  # a colour that needs a list
RETURN_SECONDS = 180  # within which the descriptors of ended visits are given back
SPARE_DESCRIPTORS = 10  # a connection that is just being closed, and the like

PAGE_P95, GENE_P95 = 2.0, 1.0  # seconds
MOST_GROWTH = 50.0  # MB


@dataclass(frozen=True)
class Widget:
    """A select box as a page drew it."""

    id: str
    options: tuple[str, ...]
    fragment: str


@dataclass
class Counts:
    """Seconds of each kind of request, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, what: str, seconds: float) -> None:
        """One more of its kind."""
        self.seconds.setdefault(what, []).append(seconds)

    def lines(self) -> list[str]:
        """A table: how many, the median, the 95th percentile and the slowest."""
        rows = [f"{'seconds':<22}{'n':>6}{'median':>9}{'p95':>9}{'max':>9}"]
        for what, found in sorted(self.seconds.items()):
            median, p95 = np.percentile(found, [50, 95])
            rows.append(f"{what:<22}{len(found):>6}{median:>9.2f}{p95:>9.2f}{max(found):>9.2f}")
        return rows

    def p95(self, what: str) -> float:
        """Of one kind, not a number where there was none."""
        return float(np.percentile(self.seconds.get(what) or [np.nan], 95))


class Visitor:
    """One browser, as far as the server can tell."""

    def __init__(self, port: int, counts: Counts) -> None:
        self._port, self._counts = port, counts
        self._socket: ClientConnection | None = None
        self._query, self._page = "", ""
        self._values: dict[str, WidgetState] = {}
        self._cached: dict[str, Delta] = {}
        self._pages: dict[str, str] = {}
        self.widgets: dict[str, Widget] = {}
        """Select boxes of the page, by label."""

    async def __aenter__(self) -> Visitor:
        """Connect, as a browser that opens an address."""
        self._socket = await connect(
            f"ws://{HOST}:{self._port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            compression=None,
            open_timeout=ANSWER_SECONDS,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the tab."""
        if self._socket is not None:
            await self._socket.close()

    async def open(self, page: str, **query: str) -> None:
        """Open a page: the first by its address, later ones as a click in the navigation does."""
        self._query = urllib.parse.urlencode(query)
        self.widgets = {}
        known = self._pages.get(page, "")
        state = ClientState(query_string=self._query, page_script_hash=known, page_name="" if known else page)
        seconds = await self._ask(state, f"page {page}")
        self._counts.add("page", seconds)
        self._counts.add(f"page {page}", seconds)

    async def change(self, label: str, value: str, *, what: str) -> None:
        """Choose a value in a select box; a box in a fragment reruns that fragment alone."""
        widget = self.widgets[label]
        self._values[widget.id] = WidgetState(id=widget.id, string_value=value)
        state = ClientState(
            query_string=self._query, page_script_hash=self._page, fragment_id=widget.fragment
        )
        self._counts.add(what, await self._ask(state, f"{what} {value}"))

    async def _ask(self, state: ClientState, what: str) -> float:
        """Send a request and read until its script has finished; seconds."""
        assert self._socket is not None
        state.widget_states.widgets.extend(self._values.values())
        state.cached_message_hashes.extend(self._cached)
        state.context_info.url = f"http://{HOST}:{self._port}/"
        start = time.monotonic()
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not self._is_last(await self._socket.recv(), what):
                    pass
        except TimeoutError:
            self._counts.errors.append(f"{what}: no answer within {ANSWER_SECONDS} s")
        return time.monotonic() - start

    def _is_last(self, message: bytes | str, what: str) -> bool:
        """Take in a message; whether it ends the script."""
        forward = ForwardMsg.FromString(message if isinstance(message, bytes) else message.encode())
        kind = forward.WhichOneof("type")
        if forward.metadata.cacheable and forward.hash:
            self._cached[forward.hash] = forward.delta
        if kind == "delta":
            self._take(forward.delta, what)
        elif kind == "ref_hash":
            self._take(self._cached[forward.ref_hash], what)
        elif kind == "new_session":
            self._page = forward.new_session.page_script_hash
        elif kind == "navigation":
            self._page = forward.navigation.page_script_hash
            self._pages = {page.url_pathname: page.page_script_hash for page in forward.navigation.app_pages}
        elif kind == "page_info_changed":
            self._query = forward.page_info_changed.query_string
        elif kind == "page_not_found":
            self._counts.errors.append(f"{what}: page not found")
        elif kind == "script_finished":
            if forward.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                self._counts.errors.append(f"{what}: compile error")
            return forward.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return False

    def _take(self, delta: Delta, what: str) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        match element.WhichOneof("type"):
            case "exception":
                self._counts.errors.append(
                    f"{what}: {element.exception.type}: {element.exception.message[:200]}"
                )
            case "alert" if element.alert.format == element.alert.ERROR:
                self._counts.errors.append(f"{what}: {element.alert.body[:200]}")
            case "selectbox":
                box = element.selectbox
                self.widgets[box.label] = Widget(box.id, tuple(box.options), delta.fragment_id)
                if box.set_value:
                    self._values[box.id] = WidgetState(id=box.id, string_value=box.raw_value)


async def stroll(port: int, counts: Counts, *, until: float, run_id: str, rng: random.Random) -> None:
    """What one visitor does until the time is over: every page in turn, and changes on those of a gene."""
    async with Visitor(port, counts) as visitor:
        while time.monotonic() < until:
            for page in rng.sample(PAGES, len(PAGES)):
                await visitor.open(page, run=run_id)
                await asyncio.sleep(rng.uniform(*THINKING))
                for _ in range(2 if page in WITH_GENES else 0):
                    if time.monotonic() < until:
                        await _change_something(visitor, page, rng)
                        await asyncio.sleep(rng.uniform(*THINKING))
                if time.monotonic() > until:
                    return


async def _change_something(visitor: Visitor, page: str, rng: random.Random) -> None:
    """Another gene; on the page Velocity the cells are coloured by it first, and sometimes by something else."""
    if page == "velocity" and (GENE not in visitor.widgets or rng.random() < 0.3):
        colors = [color for color in visitor.widgets[COLOR].options if color != OF_LIST]
        of_gene = [color for color in colors if color.startswith(f"{GENE}:")]
        color = rng.choice(of_gene if GENE not in visitor.widgets else colors)
        visitor.widgets.pop(GENE, None)  # drawn again if there is still one
        await visitor.change(COLOR, color, what="colour change")
    elif GENE in visitor.widgets:
        await visitor.change(GENE, rng.choice(visitor.widgets[GENE].options), what="gene change")


async def crowd(port: int, counts: Counts, *, sessions: int, seconds: float, run_id: str) -> None:
    """So many visitors at once, for so long."""
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as visitors:
        for number in range(sessions):
            visitors.create_task(stroll(port, counts, until=until, run_id=run_id, rng=random.Random(number)))


async def one_after_the_other(port: int, counts: Counts, *, visits: int, run_id: str) -> None:
    """Visits that open one page and end."""
    for number in range(visits):
        async with Visitor(port, counts) as visitor:
            await visitor.open(PAGES[number % len(PAGES)], run=run_id)


@dataclass(frozen=True)
class Server:
    """The server, seen from outside."""

    process: psutil.Process
    port: int

    @property
    def megabytes(self) -> float:
        """Memory that it has, without that of its workers."""
        return float(self.process.memory_info().rss) / 2**20

    @property
    def descriptors(self) -> int:
        """Files and connections that it holds open."""
        return int(self.process.num_fds())

    @property
    def processor_seconds(self) -> float:
        """Seconds of all its threads."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serving(runs: Path, data: Path, log: Path) -> Iterator[Server]:
    """The app on a free port of this machine; ends with the ``with`` block."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {
        "DEEPVELO_RUNS": str(runs),
        "DEEPVELO_DATA": str(data),
        "DEEPVELO_SCHEDULER": "",
    }
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.headless", "true"]
    with log.open("wb") as told:
        process = subprocess.Popen(
            [*command, "--server.address", HOST, "--server.port", str(port)],
            cwd=ROOT, env=environment, stdout=told, stderr=told, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(f"http://{HOST}:{port}/_stcore/health", process, log)
        yield Server(psutil.Process(process.pid), port)
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # what is left of it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise SystemExit(f"The app did not start. It printed:\n{log.read_text(errors='replace')[-2000:]}")  # noqa: EM102


def fit_sample(folder: Path) -> None:
    """The simulated sample with few epochs: pages draw as much as of a whole fit."""
    from deepvelo import config, keys, workflow
    from deepvelo.datasets.source import DataSource
    from deepvelo.io.runs import RunStore

    store, sample = RunStore(folder), DataSource(kind="sample")
    settings = config.replace(config.Settings(), {"training": {"n_epochs": 3}})
    with store.scratch() as scratch:
        result = workflow.run(sample.load(), settings, cluster_key=keys.CLUSTERS, basis=None, scratch=scratch)
        store.save(result, data_name=sample.label, data_hash=sample.hash())


async def measure(
    server: Server, *, run_id: str, sessions: int, seconds: float, visits: int
) -> tuple[list[str], list[str]]:
    """The table, and every target that was missed, in words."""
    warm = Counts()
    for page in PAGES:  # what is computed once a server
        async with Visitor(server.port, warm) as visitor:
            await visitor.open(page, run=run_id)
    counts, memory, used = Counts(), server.megabytes, server.processor_seconds
    await crowd(server.port, counts, sessions=sessions, seconds=seconds, run_id=run_id)
    grown, used = server.megabytes - memory, server.processor_seconds - used
    n_runs = sum(len(found) for what, found in counts.seconds.items() if not what.startswith("page "))

    single, before = Counts(), server.descriptors
    await one_after_the_other(server.port, single, visits=visits, run_id=run_id)
    most, end = server.descriptors, time.monotonic() + RETURN_SECONDS
    while server.descriptors > before + SPARE_DESCRIPTORS and time.monotonic() < end:
        await asyncio.sleep(1)
    after, errors = server.descriptors, warm.errors + counts.errors + single.errors

    lines = [
        f"{sessions} visitors at once for {seconds:g} s, {used / max(1, n_runs):.3f} s of the processor each time",
        *counts.lines(),
        f"memory: {memory:.0f} MB before, {grown:+.0f} MB",
        f"{visits} visits one after the other, and {server.megabytes - memory - grown:+.0f} MB",
        *single.lines(),
        f"descriptors: {before} before, {most} at the end of the last visit, {after} after",
        f"errors: {len(errors)}",
        *(f"  {error}" for error in list(dict.fromkeys(errors))[:10]),
    ]
    targets = {
        f"the 95th percentile of pages is above {PAGE_P95:g} s": counts.p95("page") > PAGE_P95,
        f"the 95th percentile of gene changes is above {GENE_P95:g} s": counts.p95("gene change") > GENE_P95,
        f"memory grew by more than {MOST_GROWTH:g} MB": grown > MOST_GROWTH,
        "there were errors": bool(errors),
        "descriptors did not return": after > before + SPARE_DESCRIPTORS,
    }
    return lines, [target for target, missed in targets.items() if missed]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="A folder of runs; its newest fit is looked at.")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    from deepvelo.io.runs import RunStore

    with tempfile.TemporaryDirectory(prefix="deepvelo-load-") as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        shutil.copyfile(
            ROOT / "sample_data" / "simulated_dentate_gyrus.h5ad", folder / "data" / "sample.h5ad"
        )
        runs = folder / "runs" if args.runs is None else args.runs.resolve()
        if args.runs is None:
            print("Fitting the sample, about a minute.", flush=True)
            fit_sample(runs)
        fits = [info for info in RunStore(runs).list() if info.purpose == "fit"]
        with serving(runs, folder / "data", folder / "server.log") as server:
            lines, missed = asyncio.run(
                measure(
                    server,
                    run_id=fits[0].run_id,
                    sessions=args.sessions,
                    seconds=args.seconds,
                    visits=args.visits,
                )
            )
            told = (folder / "server.log").read_text(errors="replace")
    if "Traceback" in told:
        missed.append("the server printed a traceback")
        lines.append(told[-3000:])
    print(*lines, *(f"missed: {target}" for target in missed), sep="\n")
    if args.json:
        args.json.write_text(json.dumps({"lines": lines, "missed": missed}, indent=2))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
