"""Embeddings of kinetic rates, and genes with several kinetics."""
