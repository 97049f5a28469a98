"""Uploaded text files, read without keeping them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

MOST_MB: Final = 30  # more than all of MSigDB; every rerun of the page reads them again


def read_text(upload: UploadedFile, reader: Callable[[Path], Any]) -> Any:
    """What a reader makes of an uploaded file; errors show the file's own name.

    Raises
    ------
    InputError
        The file is larger than 30 MB, or as by the reader.
    """
    if upload.size > MOST_MB * 10**6:
        msg = (
            f"{upload.name} is larger than {MOST_MB} MB. Upload a smaller file, or use `deepvelo lineages`, which "
            "reads larger ones."
        )
        raise InputError(msg)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(upload.name[-20:]).suffix}"  # no path from the name of an upload
        path.write_bytes(upload.getvalue())
        try:
            return reader(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), upload.name)) from None
