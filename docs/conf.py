"""The documentation site: `make docs` builds it, and runs its tutorials, into docs/_build."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# Kernels of the tutorials inherit these: where to import from, and figures that carry plotly.js themselves.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ["PLOTLY_RENDERER"] = "notebook"
os.environ["PYTHONWARNINGS"] = "ignore"  # PyTorch's and scVelo's, which a reader cannot act on

project = "DeepVelo Explorer"
author = "The DeepVelo Explorer authors"
project_copyright = "2026, The DeepVelo Explorer authors"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", ".jupyter_cache", "jupyter_execute"]

html_theme = "sphinx_book_theme"
html_title = "DeepVelo Explorer"
html_logo = "../app/icon.svg"
html_show_sourcelink = False

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# Single backquotes in docstrings are names, of ours or of others.
default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autosummary_generate = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Sets", "notes_style")]
