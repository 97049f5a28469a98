"""A process that has imported everything and forks for each example: importing takes seconds, an example milliseconds.

It takes one example a line on stdin, as JSON, and answers how its fork ended on stdout. Started by `tests.fuzz.forks`.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

IMPORTED = (
    "anndata.experimental", "h5py", "hdf5plugin", "loompy", "scanpy", "streamlit.testing.v1", "zarr", "deepvelo.checks",
    "deepvelo.lineages", "deepvelo.model.large_data.checkpoint", "deepvelo.tl", "deepvelo.workflow", "app.shared.cached",
    "app.data.import_result", "app.data.dataset_picker", "app.shared.live_jobs", "app.shared.rates_charts",
    "app.train.run_table", "app.train.settings_form", "app.shared.signal", "app.train.start",
    "app.shared.velocity_chart", "stored",
)  # fmt: skip
MEGABYTE = 2**20
MOST_SECONDS = 10
MOST_GROWTH = 2**30  # bytes
KILLED_ABOVE = 3 * MOST_GROWTH
LOOKED_AFTER = 0.002  # seconds between two looks at a fork


def command(words: list[str]) -> None:
    """``deepvelo WORDS``, in which a fit is not made."""
    from deepvelo import cli

    sys.argv = ["deepvelo", *words]
    cli._run = lambda *_, **__: sys.exit(0)
    cli.main()


def fit(words: list[str]) -> None:
    """``deepvelo WORDS``, with a fit that learns nothing."""
    import pandas as pd

    from deepvelo import cli
    from deepvelo.result import Result

    def learn_nothing(adata: Any, settings: Any, **_: object) -> Result:
        adata.layers["velocity"] = adata.X.toarray()
        return Result(adata=adata, history=pd.DataFrame(), weights={}, settings=settings, metrics={})

    sys.argv = ["deepvelo", *words]
    cli._run = learn_nothing
    cli.main()


def save(folder: str, seed: int) -> None:
    """A fit that ends and saves its run."""
    from stored import save_made_up  # `tests` is a package of someone else here

    save_made_up(Path(folder), seed=seed)


def runs(folder: str) -> None:
    """What a page does with a store: list the runs, open each and read what pictures show."""
    from deepvelo.errors import InputError
    from deepvelo.io.runs import RunStore

    store, refused = RunStore(folder), 0
    for info in store.list():
        try:
            run = store.open(info.run_id)
            run.obs, run.var, run.history  # noqa: B018 (they are read when first asked for)
            for name in run.obsm:
                run.obsm[name]
            for layer in run.layers:
                run.gene(layer, str(run.var.index[0]))
            run.uns_colors(info.cluster_key)
            run.to_adata()
        except InputError as error:
            sys.stderr.write(f"Error: {error}\n")
            refused += 1
    sys.exit(2 if refused else 0)


def page(script: str, address: dict[str, str]) -> None:
    """Open an address; a page that shows an exception is an error of its own."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "pages" / script), default_timeout=MOST_SECONDS)
    app.query_params.update(address)
    app.run()
    for error in app.exception:
        sys.stderr.write(f"Traceback on {script}: {error.message}\n{''.join(error.stack_trace)}\n")
    for error in app.error:
        sys.stderr.write(f"Error: {error.value}\n")
    sys.exit(2 if app.error else 0)


KINDS = {"command": command, "fit": fit, "save": save, "runs": runs, "page": page}


def example(work: dict[str, Any]) -> None:
    """In the fork: the limits, then the work; what it prints goes into files."""
    for stream, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(work[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CPU, (3 * MOST_SECONDS, 3 * MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.update(work.get("environment", {}))
    try:
        KINDS[work["kind"]](*work["given"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (as Python ends with an error that nobody catches)
        sys.excepthook(*sys.exc_info())
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # threads of the test page need not be waited for


def memory_of(process: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def watched(process: int, *, killed_after: float) -> dict[str, Any]:
    """Wait for a fork, and kill one that takes too long or far too much memory; how it went."""
    start, before = time.monotonic(), memory_of(process)  # what it has from this process
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        seconds = time.monotonic() - start
        if ended:
            break
        if seconds > killed_after or memory_of(process) - before > KILLED_ABOVE:
            os.kill(process, signal.SIGKILL)
        time.sleep(LOOKED_AFTER)
    grown = used.ru_maxrss * 1024 - before  # the system counts kilobytes
    return {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "megabytes": grown / MEGABYTE}


def warm_up() -> None:
    """Import what the examples need, so that no fork does."""
    for name in IMPORTED:
        importlib.import_module(name)
    from streamlit.components.v2 import manifest_scanner

    scanned = manifest_scanner.scan_component_manifests()  # among all installed packages: half a second
    manifest_scanner.scan_component_manifests = lambda: scanned


def main() -> None:
    """Answer until stdin ends."""
    warm_up()
    for line in sys.stdin:
        work = json.loads(line)
        process = os.fork()
        if process == 0:
            example(work)
        sys.stdout.write(json.dumps(watched(process, killed_after=work["killed_after"])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
