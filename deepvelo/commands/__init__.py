"""The longer commands of the command line, one a file; `deepvelo.cli` puts them together."""
