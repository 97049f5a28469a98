"""The objective in blocks of genes, mini-batches, values on disk, checkpoints and several processes."""
