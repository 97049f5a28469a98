"""Cells x genes wherever they lie, read in blocks: ``values[cells, genes]`` gives dense numbers of slices of both."""
