"""``deepvelo runs``: list the finished runs of a store and verify their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepvelo.errors import InputError
from deepvelo.places import default_folder
from deepvelo.wording import in_one_line, number

if TYPE_CHECKING:
    from deepvelo.io.runs import RunStore


def runs(
    folder: Annotated[
        Path | None,
        typer.Option("--runs", metavar="DIR", help="Folder of finished runs; by default that of the app."),
    ] = None,
    verify: Annotated[  # noqa: FBT002  (typer's way to have an option)
        bool,
        typer.Option("--verify", help="Read every file of every run and compare it with its checksum."),
    ] = False,
) -> None:
    """List the finished runs, one per line, with damaged ones and their problems last. Exit code 2 if any is damaged."""
    from deepvelo.io.runs import RunStore  # seconds to import

    store = RunStore(folder or default_folder("runs"))
    if problem := store.problem():
        raise InputError(problem)
    if not store.folder.is_dir():
        msg = f"There is no run store {store.folder}. Give the folder of the runs as --runs DIR."
        raise InputError(msg)
    n_damaged = 0
    for line, is_damaged in _checked(store) if verify else _listed(store):
        typer.echo(line)
        n_damaged += is_damaged
    if n_damaged:
        typer.echo(f"{number(n_damaged, 'run')} damaged.", err=True)
        raise typer.Exit(2)


def _listed(store: RunStore) -> Iterator[tuple[str, bool]]:
    for info in store.list():
        belongs = "" if info.purpose == "fit" else f"{info.purpose} of {info.base}"
        yield _line(info.run_id, info.created[:16], info.name, belongs), False
    for run in store.damaged():
        yield _line(run.run_id, run.problem), True


def _checked(store: RunStore) -> Iterator[tuple[str, bool]]:
    """One line per run, without runs deleted since."""
    run_ids = [info.run_id for info in store.list()] + [run.run_id for run in store.damaged()]
    for run_id in run_ids:
        problem = store.verify(run_id)
        if problem is None:
            yield _line(run_id, "ok"), False
        elif store.exists(run_id):
            yield _line(run_id, problem), True


def _line(*parts: str) -> str:
    """Columns separated by tabs, without the control characters that names from files may contain."""
    return "\t".join(in_one_line(part, most=len(part)) for part in parts if part)
