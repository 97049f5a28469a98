"""Small files that check themselves."""

from __future__ import annotations

import pytest

from deepvelo.errors import InputError
from deepvelo.selections import checked_file


@pytest.mark.parametrize("more", [0, 1])
def test_a_description_is_written_only_if_it_can_be_read(tmp_path, more):
    path = tmp_path / "file"
    checked_file.write(path, {"name": "tip", "more": ""}, b"cells")
    spare = checked_file._MAX_LINE - len(path.read_bytes().partition(b"\n")[0]) - 1
    path.unlink()
    description = {"name": "tip", "more": "x" * (spare + more)}
    if more:
        with pytest.raises(
            InputError, match=r"description of 'tip' takes 1,048,577 bytes, and at most 1,048,576"
        ):
            checked_file.write(path, description, b"cells")
        assert not path.exists()
    else:
        checked_file.write(path, description, b"cells")
        assert checked_file.read_description(path, "selection") == description
        assert checked_file.read(path, "selection") == (description, b"cells")
