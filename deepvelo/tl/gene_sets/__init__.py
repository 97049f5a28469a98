"""Gene sets: reading, enrichment, markers and the paper's Table 1."""
