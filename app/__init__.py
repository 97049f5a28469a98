"""The Streamlit shell: one folder a page, `app.shared` for what pages share, `app.background` for jobs."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository: pages, sample data and default folders lie there."""
