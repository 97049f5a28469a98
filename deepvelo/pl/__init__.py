"""Plotly figures from arrays and tables; one picture a file, nothing about AnnData."""
