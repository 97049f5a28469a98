"""``deepvelo lineages``: write trajectory, fates, drivers and their enrichment as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepvelo.errors import InputError
from deepvelo.wording import for_terminal, listed, number

if TYPE_CHECKING:
    import pandas as pd

    from deepvelo.lineages import Lineages
    from deepvelo.tl.gene_sets.sets import GeneSets
    from deepvelo.tl.gene_sets.table_one import TableOne


def lineages(
    file: Annotated[Path, typer.Argument(metavar="FITTED.h5ad", help="The output of `deepvelo run`.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for the tables; created if missing."),
    ],
    cluster_key: Annotated[str | None, typer.Option(help="Column of obs with the cell groups.")] = None,
    root: Annotated[str | None, typer.Option(metavar="GROUP", help="Root group of the trajectory.")] = None,
    terminal: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUPS", help="Terminal states; repeat, or separate by commas."),
    ] = None,
    states: Annotated[
        int | None,
        typer.Option(help="Number of macrostates; by default from the spectrum of the transition matrix."),
    ] = None,
    stability: Annotated[
        float, typer.Option(help="Probability of staying from which a macrostate is a terminal state.")
    ] = 0.96,
    weight: Annotated[
        float, typer.Option(help="Weight of the neighbour graph in the transition matrix.")
    ] = 0.2,
    gmt: Annotated[
        Path | None,
        typer.Option(metavar="FILE.gmt", help="Gene sets to test for enrichment among the drivers."),
    ] = None,
    library: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of an Enrichr gene-set library, downloaded once.")
    ] = None,
    markers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Known markers: one gene per line, or a .gmt with one set per lineage."
        ),
    ] = None,
    tfs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Transcription factors, one gene per line.")
    ] = None,
    relevant: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keywords that make a gene set relevant, one per line."),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of top drivers per lineage.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the macrostates.")] = 0,
) -> None:
    """Find the lineages of a fitted file: PAGA edges, fate probabilities, driver genes and their enrichment."""
    _require_folder(output)
    _require_top(top)
    known = _read_known_genes(gmt=gmt, library=library, markers=markers, tfs=tfs, relevant=relevant)
    # slow imports, which --help should not wait for
    from deepvelo import lineages as analysis
    from deepvelo.contents.groups import find_group, group_names, split_groups
    from deepvelo.evaluation.compare.results import stored_value
    from deepvelo.io import read
    from deepvelo.pp.prepare import chosen_cluster_key
    from deepvelo.tl.gene_sets.table_one import table_one

    adata = read(file, by_gene=analysis.LAYERS)
    known = known.spelled(adata.var)
    key = chosen_cluster_key(adata, cluster_key or stored_value(adata, "cluster_key"))
    groups = list(group_names(adata.obs[key]).cat.categories) if key in adata.obs else []
    settings = analysis.from_dict(
        {
            "cluster_key": key,
            "root": root and (find_group(root, groups) or root),
            "terminal": [name for text in terminal or () for name in split_groups(text, groups)],
            "n_states": states,
            "stability": stability,
            "weight_connectivities": weight,
            "seed": seed,
        }
    )
    found = analysis.analyse(adata, settings)
    table = None
    if known.any:
        table = table_one(
            {file.stem: found.drivers},
            markers=known.markers,
            tfs=known.tfs,
            sets=known.sets,
            keywords=known.keywords,
            top=top,
        )
    _make_folder(output)
    names = analysis.write_tables(found, output, table_one=table)
    typer.echo(as_text(found, table))
    typer.echo(f"Wrote {listed(names)} into {output}", err=True)


def as_text(found: Lineages, table: TableOne | None) -> str:
    """The analysis for the terminal."""
    from deepvelo.tl.lineage.driver_lists import top_drivers

    parts = [
        f"{len(found.cells):,} cells, groups '{found.settings.cluster_key}'; root {found.root}; "
        f"{number(len(found.lineages), 'lineage')}: {listed(found.lineages)}"
    ]
    if len(found.edges):  # a warning covers the other case
        edges = found.edges[["source", "target", "confidence", "source_cells", "target_cells"]]
        parts.append(
            "PAGA, arrows from group to group:\n" + edges.to_string(index=False, float_format="{:.3f}".format)
        )
    for lineage in found.lineages:
        best = top_drivers(found.drivers, lineage, top=10)
        parts.append(f"Drivers of {lineage}: {', '.join(best['gene'])}")
    if table is not None:
        shown = table.rows[[name for name in table.rows if not name.endswith("_genes")]]
        parts.append("Table 1:\n" + shown.to_string(index=False, float_format="{:.3g}".format, na_rep="–"))
    parts += [f"Warning: {warning}" for warning in found.warnings]
    return for_terminal("\n\n".join(parts))


@dataclass(frozen=True, kw_only=True)
class _KnownGenes:
    """Gene lists and sets for `deepvelo.tl.gene_sets.table_one`, with the source of each."""

    names: Mapping[str, str]
    sets: GeneSets | None
    markers: Sequence[str] | GeneSets | None
    tfs: Sequence[str] | None
    keywords: Sequence[str]

    @property
    def any(self) -> bool:
        return any(known is not None for known in (self.sets, self.markers, self.tfs))

    def spelled(self, var: pd.DataFrame) -> _KnownGenes:
        """The same with the gene names of the data.

        Raises
        ------
        InputError
            A list shares no gene with the data.
        """
        from deepvelo.contents.genes import GeneIndex, gene_aliases
        from deepvelo.tl.gene_sets.sets import spelled

        index = GeneIndex(var.index, aliases=gene_aliases(var))
        names = self.names
        return replace(
            self,
            markers=self.markers and spelled(self.markers, index, what=names["markers"]),
            tfs=self.tfs and spelled(self.tfs, index, what=names["tfs"]),
            sets=self.sets and spelled(self.sets, index, what=names["sets"]),
        )


def _read_known_genes(
    *, gmt: Path | None, library: str | None, markers: Path | None, tfs: Path | None, relevant: Path | None
) -> _KnownGenes:
    """Read all lists before minutes of analysis."""
    from deepvelo.tl.gene_sets import gene_library
    from deepvelo.tl.gene_sets.sets import read_gene_list, read_gmt, read_terms

    if gmt is not None and library is not None:
        msg = f"Gene sets come from a file or a library. Got {gmt} and {library!r}. Give one of them."
        raise InputError(msg)
    if relevant is not None and gmt is None and library is None:
        msg = f"Keywords ({relevant}) apply to the names of gene sets. Got no gene sets. Give --gmt or --library."
        raise InputError(msg)
    of_markers: Sequence[str] | GeneSets | None = None
    if markers is not None:
        in_sets = markers.suffix.lower() == ".gmt"
        of_markers = read_gmt(markers) if in_sets else read_gene_list(markers)
    return _KnownGenes(
        names={"markers": f"{markers}", "tfs": f"{tfs}", "sets": f"{gmt or library}"},
        sets=read_gmt(gmt) if gmt else gene_library.library(library) if library else None,
        markers=of_markers,
        tfs=read_gene_list(tfs) if tfs else None,
        keywords=read_terms(relevant) if relevant else (),
    )


def _require_top(top: int) -> None:
    if top < 1:
        msg = f"--top must be 1 or more. Got {top}. Try 100."
        raise InputError(msg)


def _require_folder(output: Path) -> None:
    """Check that the folder can be created and written to, before minutes of analysis."""
    from deepvelo.io.write import require_writable

    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir():
        msg = f"{output} cannot be a folder: {there} is a file. Choose another place."
        raise InputError(msg)
    require_writable(there / "drivers.csv")


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"The folder {output} could not be made: {error.strerror or error}. Choose another place."
        raise InputError(msg) from error
