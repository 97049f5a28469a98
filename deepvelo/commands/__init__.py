"""The longer commands of the command line, one per file; `deepvelo.cli` registers them."""
