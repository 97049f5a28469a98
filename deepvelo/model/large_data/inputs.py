"""Inputs of the network, in memory or in files that are read for the cells of one step at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import scipy.sparse as sp
from torch import Tensor

from deepvelo.arrays.on_disk import (
    Cells,
    CellsOnDisk,
    Columns,
    ColumnsInMemory,
    ColumnsOnDisk,
    ColumnWriter,
    written_by_cell,
)
from deepvelo.model.graph.averaging import Averaging
from deepvelo.model.large_data.blocks import BlockedObjective, Sample, blocks_of_genes
from deepvelo.model.large_data.mini_batches import Batch


def input_blocks(
    spliced: Columns, unspliced: Columns, graph: sp.csr_matrix, *, standardize: bool, half: bool
) -> Iterator[Tensor]:
    """Inputs of the network in blocks of columns: [u, s] averaged once over the graph, ``(n_cells, 2 n_genes)``.

    In single precision, or half of it: `deepvelo.plan.input_precision`.
    """
    average = Averaging(graph)
    # In the released code's order, on which the random start depends.
    for values in (unspliced, spliced):
        for genes in blocks_of_genes(*values.shape):
            features = values[:, genes]
            if standardize:
                # A gene that is the same in every cell becomes 0 and tells the network nothing.
                deviation = features.std(0, correction=0).clamp_min(1e-6)
                features = (features - features.mean(0)) / deviation
            averaged = average(features)
            yield averaged.half() if half else averaged


def in_memory(blocks: Iterable[Tensor], *, n_columns: int) -> Tensor:
    """Blocks of columns side by side."""
    columns = ColumnsInMemory(n_columns)
    for block in blocks:
        columns.add(block)
    return columns.values()


def in_files(
    blocks: Iterable[Tensor], moments: tuple[Columns, Columns], *, order: Tensor, folder: Path
) -> tuple[CellsOnDisk, tuple[CellsOnDisk, CellsOnDisk]]:
    """Inputs, and spliced and unspliced moments that lie on disk, in files of cells in this order."""
    columns = folder / "columns"
    with ColumnWriter(columns) as file:
        for block in blocks:
            file.add(block)
    inputs = written_by_cell(file.values(), folder / "inputs", order=order)
    columns.unlink()
    spliced, unspliced = moments
    assert isinstance(spliced, ColumnsOnDisk)
    assert isinstance(unspliced, ColumnsOnDisk)
    return inputs, (
        written_by_cell(spliced, folder / "spliced", order=order),
        written_by_cell(unspliced, folder / "unspliced", order=order),
    )


class Step(NamedTuple):
    """A batch, the inputs whose rows it indexes, and its moments once they are read from files."""

    batch: Batch
    inputs: Cells
    moments: tuple[Columns, Columns] | None

    def sample(self, objective: BlockedObjective) -> Sample:
        """The cells of the batch with their moments."""
        return Sample(self.batch.cells, *(self.moments or objective.of(self.batch.cells)))


def steps(batches: Iterable[Batch], inputs: Cells, objective: BlockedObjective) -> Iterator[Step]:
    """The steps of one epoch; inputs and moments that lie in files are read, once for each batch."""
    for batch in batches:
        batch = batch.to(inputs.device)
        if isinstance(inputs, Tensor) or batch.inputs is None:
            yield Step(batch, inputs, None)
        else:
            of_batch = inputs.index_select(0, batch.inputs)
            yield Step(replace(batch, inputs=None), of_batch, objective.of(batch.cells))
