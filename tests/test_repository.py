"""What must hold for the repository as a whole."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Put together here, so that this file does not hold them.
OF_ONE_MACHINE = ["/" + "work/", "/" + "root/", "/" + "home/", "/" + "tmp/", "C:" + "\\"]
REGISTRIES = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "index" + "-url",
    "artifact" + "ory",
    "registry" + ".",
]


def tracked_texts() -> dict[str, str]:
    """Every text file git knows, by its name."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        try:
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # pictures and data; deleted and not yet committed
            continue
    return texts


def test_no_file_names_a_place_of_one_machine_or_a_package_registry():
    texts = tracked_texts()
    assert len(texts) > 50
    found = [
        (name, phrase)
        for name, text in texts.items()
        for phrase in OF_ONE_MACHINE + REGISTRIES
        if phrase in text
    ]
    assert found == []


def test_streamlit_neither_phones_home_nor_asks_for_an_address():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["showEmailPrompt"] is False
    assert settings["server"]["address"] == "127.0.0.1"


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_documents_name_modules_that_are_there(document):
    modules = ["/" + name for name in tracked_texts() if name.endswith(".py")]
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / document).read_text(encoding="utf-8"))
    assert named
    gone = [name for name in named if not any(module.endswith("/" + name) for module in modules)]
    assert [name for name in gone if "NAME" not in name] == []
