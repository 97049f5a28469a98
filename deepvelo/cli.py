"""The command line.

The exit code is 0 only if the output is complete, and 2 for bad input, with a message and no traceback.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from deepvelo import config, keys, open_files, peers
from deepvelo.commands.app import (
    LOCALHOST,
    access_note,
    require_free_port,
    require_scheduler_address,
    require_streamlit,
    serve,
)
from deepvelo.commands.evaluate import evaluate
from deepvelo.commands.lineages import lineages
from deepvelo.commands.runs import runs as list_runs
from deepvelo.commands.simulate import simulate
from deepvelo.config import Ambiguous, Device, Method, Preset
from deepvelo.contents.count_kinds import KIND_NAMES
from deepvelo.errors import InputError
from deepvelo.places import default_folder
from deepvelo.plan import in_words, plan_of
from deepvelo.result import STEP_NAMES, step_in_words
from deepvelo.result import Progress as RunProgress
from deepvelo.wording import for_terminal, in_one_line, listed

if TYPE_CHECKING:
    from deepvelo.checks import Summary
    from deepvelo.datasets.source import DataSource
    from deepvelo.model.large_data.checkpoint import Checkpoint

cli = typer.Typer(
    help="Cell-specific kinetic rates of RNA velocity.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console(stderr=True)

Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT...",
        help="A file or folder with spliced and unspliced counts; several are samples of one experiment.",
    ),
]
Onto = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Processed cells without counts; the counts of INPUT are joined onto them."
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        "--samples",
        metavar="FILE.csv",
        help="A table with one row per sample: its name, its file, columns for obs.",
    ),
]
GeneNames = Annotated[
    str,
    typer.Option(
        metavar="COLUMN",
        help="Column of var with the gene names; auto uses symbols where names are ids, index keeps the names.",
    ),
]
AmbiguousCounts = Annotated[
    Ambiguous,
    typer.Option(
        "--ambiguous",
        help="Leave out counts that are neither spliced nor unspliced, or add them to one of the layers.",
    ),
]


def main() -> None:
    """Run the command line; bad input gives a message and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # our own checks report what matters to the user
    warnings.filterwarnings("ignore")
    try:
        # set by torchrun
        if "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
            from deepvelo.model.large_data.parallel import run_main  # seconds to import

            run_main(cli)
        else:
            cli()
    except InputError as error:
        _print(f"Error: {error}", style="red")
        sys.exit(2)
    except MemoryError:
        _print(
            "Error: The memory ran out. Close other programs, or use fewer cells or a larger machine.",
            style="red",
        )
        sys.exit(2)
    except OSError as error:  # e.g. a file name that is too long
        place = "" if error.filename is None else f" {in_one_line(error.filename, most=200)}:"
        _print(f"Error:{place} {error.strerror or error}. Check the paths.", style="red")
        sys.exit(2)


def _print(text: str, *, to: Console = console, style: str = "") -> None:
    # names of files and groups may contain rich's markup and emoji codes
    to.print(for_terminal(text), style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)


@cli.command()
def run(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .h5ad file to write.")],
    onto: Onto = None,
    sheet: Sheet = None,
    gene_names: GeneNames = "auto",
    ambiguous: AmbiguousCounts = "leave_out",
    cells: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Fit the cells of a finished run that are named in a text file, prepared again; INPUT is the folder of the run.",
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(
            help="DeepVelo; a mode of scVelo or GraphVelo (if installed), which use only the preparation settings; or "
            "imported, which keeps the velocities that another tool wrote into INPUT."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer with the velocities of an imported result; by default recognized by its name."
        ),
    ] = None,
    tool: Annotated[
        str | None,
        typer.Option(
            help="Tool that computed an imported result; by default recognized by its layers and columns."
        ),
    ] = None,
    preset: Annotated[Preset | None, typer.Option(help="Settings to start from.")] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings from a file.")
    ] = None,
    neighbors: Annotated[int | None, typer.Option(help="Graph neighbours.")] = None,
    candidates: Annotated[int | None, typer.Option(help="Candidate neighbours.")] = None,
    lambda_u: Annotated[
        float | None, typer.Option(help="Weight of the correlation with unspliced RNA.")
    ] = None,
    lambda_s: Annotated[
        float | None, typer.Option(help="Weight of the correlation with spliced RNA.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Training epochs.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same result on one machine.")
    ] = None,
    device: Annotated[Device | None, typer.Option(help="Where to train.")] = None,
    compare_in: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Graph or representation for comparing cells: auto, graph, own or a name.",
        ),
    ] = None,
    cluster_key: Annotated[str | None, typer.Option(help="Column of obs with the cell groups.")] = None,
    basis: Annotated[str | None, typer.Option(help="Embedding for the arrows, e.g. umap.")] = None,
) -> None:
    """Fit velocities, with rates for every cell, and write them with their scores to an .h5ad file."""
    from deepvelo import checks
    from deepvelo.contents.notes import stored_notes
    from deepvelo.io.write import require_writable, scratch_beside, write_h5ad

    if output.suffix != ".h5ad":
        msg = f"The output must be an .h5ad file. Got {output.name!r}. Name it {output.stem}.h5ad."
        raise InputError(msg)
    settings = _settings(
        config_file,
        preset,
        {
            "preparation": {"compare_in": compare_in},
            "graph": {"n_neighbors": neighbors, "n_candidates": candidates},
            "objective": {"lambda_u": lambda_u, "lambda_s": lambda_s},
            "training": {"n_epochs": epochs, "device": device},
            "seed": seed,
            "method": method,
            "layer": layer,
            "tool": tool,
        },
    )
    peers.require_installed(settings.method)
    require_writable(output)  # before the fit, not after
    source = _source(inputs, onto=onto, sheet=sheet, gene_names=gene_names, ambiguous=ambiguous, cells=cells)
    source.require_suitable(settings)
    adata = source.load()
    if settings.method != "deepvelo":
        _warn_ignored_options(settings.method, neighbors, candidates, lambda_u, lambda_s, epochs, device)
    if settings.method != "imported":  # imported results may lack counts and have gaps
        checked = checks.CheckedData(adata)
        checks.require_fit(adata, settings, cluster_key=cluster_key, basis=basis, checked=checked)
        _print_findings(checks.summarize(adata, settings, checked=checked), to=Console())
    from deepvelo.model.large_data.checkpoint import (
        Checkpoint,  # imports torch, which refused input need not wait for
    )

    checkpoint = Checkpoint(output.with_name(f".{output.name}.training"), on_resume=_print_resumed)
    with scratch_beside(output) as scratch:
        result = _run(
            adata, settings, cluster_key=cluster_key, basis=basis, scratch=scratch, checkpoint=checkpoint
        )
        write_h5ad(result.adata, output)
    checkpoint.remove()
    if settings.method == "imported":  # for other methods the findings include the notes
        for note in stored_notes(result.adata):
            _print(f"note: {note}", to=Console())
    _print_metrics(result.metrics)
    _print(f"Wrote {output}")


@cli.command()
def check(
    inputs: Inputs,
    onto: Onto = None,
    sheet: Sheet = None,
    gene_names: GeneNames = "auto",
    ambiguous: AmbiguousCounts = "leave_out",
) -> None:
    """Report what a file contains, what is missing, and what to do about it."""
    from deepvelo import checks

    adata = _source(inputs, onto=onto, sheet=sheet, gene_names=gene_names, ambiguous=ambiguous).load()
    settings, checked = config.Settings(), checks.CheckedData(adata)
    summary = checks.summarize(adata, settings, checked=checked)
    out = Console()
    facts = {
        "cells": f"{summary.n_cells:,}",
        "genes": f"{summary.n_genes:,}",
        **{
            f"layer {in_one_line(name, most=100)}": description
            for name, description in summary.layers.items()
        },
        "values": "unknown" if summary.count_kind is None else KIND_NAMES[summary.count_kind],
        "moments (Ms, Mu)": "yes" if summary.has_moments else "no",
        "embeddings": ", ".join(summary.embeddings) or "none",
        "groupings": ", ".join(summary.groupings) or "none",
        "neighbours": summary.comparison_space,
    }
    _print_table(facts.items(), to=out)
    if summary.unspliced_fraction is not None:
        group_key = summary.groupings[0] if summary.groupings else None
        fractions = checks.unspliced_fractions(adata, group_key=group_key)["unspliced"]
        _print(f"unspliced fraction, all cells {summary.unspliced_fraction:.1%}, by {group_key}:", to=out)
        _print_table(
            (
                (f"  {in_one_line(group, most=100)}", f"{fraction:.1%}")
                for group, fraction in fractions.items()
            ),
            to=out,
        )
    _print_findings(summary, to=out)
    if any(finding.level == "error" for finding in summary.findings):
        raise typer.Exit(2)
    checks.require_fit(adata, settings, here=False, checked=checked)
    n_genes = checks.most_genes(summary, settings)
    memory = checks.estimate_memory(summary.n_cells, n_genes, settings)
    _print(f"What this size decides, at default settings; memory up to {memory / 2**30:.1f} GB:", to=out)
    rows = in_words(plan_of(summary.n_cells, n_genes, settings))
    _print_table(((f"  {name}", value) for name, value in rows), to=out)


cli.command()(evaluate)
cli.command()(lineages)
cli.command("runs")(list_runs)
cli.command()(simulate)


@cli.command()
def app(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=0, max=65535)] = 8501,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen at: this machine alone by default, 0.0.0.0 for everyone on the network.",
        ),
    ] = LOCALHOST,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder whose files the app may read.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for finished runs.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler of your own, tls://HOST:PORT."),
    ] = None,
) -> None:
    """Open the app in the browser; the first start fits the simulated sample."""
    require_streamlit()
    if data is not None and not data.is_dir():
        msg = f"There is no folder {data} for data. Make it, or leave --data out to use {default_folder('data')}."
        raise InputError(msg)
    if scheduler:
        require_scheduler_address(scheduler)
    require_free_port(host, port)
    data, runs = (data or default_folder("data")).resolve(), (runs or default_folder("runs")).resolve()
    if note := open_files.raise_limit():
        _print(note)
    _fit_sample_once(runs)
    _print(access_note(host, port))
    environment = os.environ | {
        "DEEPVELO_DATA": str(data),
        "DEEPVELO_RUNS": str(runs),
        "DEEPVELO_SCHEDULER": scheduler or "",
    }
    serve(host, port, environment)


def _fit_sample_once(folder: Path) -> None:
    """Fit the sample if the store is empty; the app starts even if that fails."""
    from deepvelo.datasets.source import DataSource
    from deepvelo.io.runs import RunStore

    try:
        store = RunStore(folder)
        if store.list():
            return
        store.require_writable()
        _print("First start: fitting the simulated sample, about two minutes.")
        sample = DataSource(kind="sample")
        adata, data_hash = sample.load_with_hash()
        with store.scratch() as scratch:
            result = _run(adata, config.Settings(), cluster_key=keys.CLUSTERS, basis=None, scratch=scratch)
            store.save(result, data_name=sample.label, data_hash=data_hash)
    except InputError as error:
        _print(f"The sample was not fitted. {error}")
    except Exception as error:  # noqa: BLE001  the app works without this run
        _print(f"The sample was not fitted ({type(error).__name__}: {error}).")


def _settings(file: Path | None, preset: Preset | None, options: dict[str, Any]) -> config.Settings:
    """Settings from a file or a preset, overridden by command-line options."""
    if file is not None and preset is not None:
        msg = "Both --config and --preset were given. Name the preset in the settings file instead."
        raise InputError(msg)
    settings = config.read_toml(file) if file is not None else config.PRESETS[preset or "default"]
    given: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            given[name] = {key: entry for key, entry in value.items() if entry is not None}
        elif value is not None:
            given[name] = value
    return config.replace(settings, given)


def _source(
    inputs: list[Path],
    *,
    onto: Path | None,
    sheet: Path | None,
    gene_names: str,
    ambiguous: Ambiguous,
    cells: Path | None = None,
) -> DataSource:
    from deepvelo.datasets.source import DataSource
    from deepvelo.io.run_info import INFO

    first, *more = map(str, inputs)
    if cells is not None:
        if more or onto or sheet or not (inputs[0] / INFO).is_file():
            msg = f"`--cells` takes the folder of one finished run as INPUT. Got {listed([*map(str, inputs)])}. Find the folder with `deepvelo runs`."
            raise InputError(msg)
        return DataSource.of_cells(first, cells_file=str(cells))
    return DataSource(
        kind="file" if onto is None else "join",
        path=first if onto is None else str(onto),
        counts_path="" if onto is None else first,
        more=tuple(more),
        sheet="" if sheet is None else str(sheet),
        gene_names=gene_names,
        ambiguous=ambiguous,
    )


def _print_findings(summary: Summary, *, to: Console) -> None:
    for finding in summary.findings:
        _print(f"{finding.level}: {finding.what} {finding.remedy}".rstrip(), to=to)


def _warn_ignored_options(method: Method, *given: object) -> None:
    """Warn that other methods ignore some of the given options."""
    if any(value is not None for value in given):
        _print(
            f"--method {method} ignores --neighbors, --candidates, --lambda-u, --lambda-s, --epochs and --device."
        )


def _print_resumed(epoch: int, n_epochs: int) -> None:
    _print(f"Resuming after epoch {epoch} of {n_epochs}.")


def _run(
    adata: Any,
    settings: config.Settings,
    *,
    cluster_key: str | None,
    basis: str | None,
    scratch: Path,
    checkpoint: Checkpoint | None = None,
) -> Any:
    from deepvelo import workflow

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(STEP_NAMES["prepare"], total=None, loss="")

        def show(progress: RunProgress) -> None:
            bar.update(
                task,
                description=step_in_words(progress),
                completed=progress.epoch,
                total=progress.n_epochs or None,
                loss=f"loss {progress.terms['total']:.3f}" if progress.terms else "",
            )

        return workflow.run(
            adata,
            settings,
            cluster_key=cluster_key,
            basis=basis,
            on_progress=show,
            scratch=scratch,
            checkpoint=checkpoint,
        )


def _print_metrics(metrics: dict[str, float | int | str]) -> None:
    _print_table(
        (
            name,
            f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value,
        )
        for name, value in metrics.items()
    )


def _print_table(rows: Iterable[tuple[str, str]], *, to: Console | None = None) -> None:
    table = Table(show_header=False, box=None)
    for name, value in rows:
        table.add_row(Text(for_terminal(name)), Text(for_terminal(value)))
    (to or Console()).print(table)
