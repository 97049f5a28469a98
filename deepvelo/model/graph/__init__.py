"""The graph of cells, averages over it, and graph coarsening."""
