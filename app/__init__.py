"""The Streamlit app: one folder per page, `app.shared` for what pages share, `app.background` for jobs."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the pages, the sample data and the default folders."""
