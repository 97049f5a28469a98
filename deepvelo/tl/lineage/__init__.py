"""Lineages: directed PAGA, latent time, terminal states, fates and driver genes."""
