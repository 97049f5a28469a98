"""``deepvelo evaluate``: compare several fitted files in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepvelo.errors import InputError
from deepvelo.wording import for_terminal, number

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from deepvelo.evaluation.compare import Comparison, ResultFile


def evaluate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FITTED.h5ad[::LAYER]...",
            help="Files with velocities of any tool; the graph of the first is used. Velocities are read from the layer "
            "'velocity' or the tool's name for it (dynamo's 'velocity_S'); name another as FILE::LAYER.",
        ),
    ],
    cluster_key: Annotated[str | None, typer.Option(help="Column of obs with the cell groups.")] = None,
    edges: Annotated[
        list[str] | None,
        typer.Option(metavar="'A > B'", help="Source and target groups; repeat, or separate by commas."),
    ] = None,
    smooth: Annotated[
        int | None,
        typer.Option(
            help="Average every method's velocity over the graph 0, 1 or 2 times; by default as fitted."
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE.json", help="Write table, tests and warnings.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE.csv", help="Write the table.")
    ] = None,
) -> None:
    """Score the velocities of several methods on the same cells, with statistical tests."""
    _require_reports(json_file, csv_file)
    # slow imports, which --help should not wait for
    from deepvelo.evaluation import compare
    from deepvelo.io.write import write_text

    files_given = [compare.ResultFile.parse(file) for file in files]
    _require_different(files_given)
    results = [(one, one.read()) for one in files_given]
    matched = compare.match(_by_name(results), cluster_key=cluster_key).smoothed(smooth)
    groups = [str(group) for group in matched.groups.cat.categories]
    chosen = compare.parse_edges(edges, groups=groups) if edges else None
    comparison = compare.compare(matched, edges=chosen)
    typer.echo(as_text(comparison))
    for path, text in ((json_file, compare.to_json), (csv_file, compare.to_csv)):
        if path is not None:
            write_text(text(comparison), path)
            typer.echo(f"Wrote {path}", err=True)


def as_text(comparison: Comparison) -> str:
    """The comparison for the terminal: table, definitions, tests, notes and warnings."""
    from deepvelo.evaluation import compare

    table = comparison.table
    times = comparison.smooth
    averaged = "as fitted" if times is None else f"averaged {number(times, 'time')} over the graph"
    scores = dict.fromkeys(
        column.partition(":")[0].removesuffix("_median").removesuffix("_mean") for column in table
    )
    parts = [
        f"{comparison.n_cells:,} cells, groups '{comparison.cluster_key}', velocities {averaged}",
        _transposed(table),
        "\n".join(f"{score}: {compare.definition(score)}" for score in scores),
    ]
    if not comparison.tests.empty:
        shown = comparison.tests[["score", "a", "b", "median_a", "median_b", "effect", "p_text"]]
        shown = shown.rename(columns={"p_text": "p"})
        tests = shown.to_string(index=False, float_format="{:.3f}".format)
        parts.append(f"Mann-Whitney U tests, cell by cell:\n{tests}")
        parts.append(compare.EFFECT_NOTE)
    if comparison.agreement.notna().any():
        parts.append(
            f"Median agreement of the methods (mean cosine over their pairs, {comparison.n_common_genes:,} genes): "
            f"{comparison.agreement.median():.3f}"
        )
    parts.append(compare.SMOOTHING_NOTE)
    parts += [f"Warning: {warning}" for warning in comparison.warnings]
    return for_terminal("\n\n".join(parts))


def _transposed(table: pd.DataFrame) -> str:
    """The table with methods as columns; ``-`` where a score is not defined."""
    import pandas as pd

    def shown(value: float, column: str) -> str:
        if pd.isna(value):
            return "-"
        return f"{value:,.0f}" if column in ("n_velocity_genes", "peak_memory_mb") else f"{value:.3f}"

    rows = {column: [shown(value, column) for value in table[column]] for column in table}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(table.index)).to_string()


def _by_name(results: list[tuple[ResultFile, AnnData]]) -> dict[str, AnnData]:
    from deepvelo.evaluation.compare import method_names

    return dict(zip(method_names(results), (adata for _, adata in results), strict=True))


def _require_reports(json_file: Path | None, csv_file: Path | None) -> None:
    """Check endings, so that no data file is overwritten, and folders, before minutes of scoring."""
    from deepvelo.io.write import require_writable

    for path, suffix in ((json_file, ".json"), (csv_file, ".csv")):
        if path is None:
            continue
        if path.suffix.lower() != suffix:
            msg = f"The report must end in {suffix}. Got {path.name!r}. Name it {path.stem}{suffix}."
            raise InputError(msg)
        require_writable(path)


def _require_different(files_given: list[ResultFile]) -> None:
    places = [(one.file.resolve(), one.layer) for one in files_given]
    for n, one in enumerate(files_given):
        if places[n] in places[:n]:
            msg = f"{one} was given twice. Give each file, or each of its layers, once."
            raise InputError(msg)
