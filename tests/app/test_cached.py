"""What takes seconds to import waits for the background."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from app import cached

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_screen_waits_for_nothing_heavy():
    code = "import sys, app.cached; sys.exit(bool({'torch', 'scanpy', 'scvelo'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120).returncode == 0


@pytest.mark.slow
def test_the_background_imports_once_what_pictures_need():
    thread = cached.warm_up()
    assert thread.daemon
    assert cached.warm_up() is thread
    thread.join(timeout=120)
    assert not thread.is_alive()
    assert "scvelo.plotting.velocity_embedding_grid" in sys.modules
    assert gc.get_freeze_count() > 100_000
