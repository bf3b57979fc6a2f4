"""Files without a disk: what a sealed spool opens, and what is not verified yet, must not lie there in plain."""

import io
import os
import shutil
from typing import BinaryIO


def in_memory() -> BinaryIO:
    """Return an empty file that never lies on a disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("casebridge", os.MFD_CLOEXEC), "w+b")
    return io.BytesIO()


def mappable(file: BinaryIO) -> BinaryIO:
    """Return a file that can be mapped: the content of a sealed one is opened once, into memory, and read often."""
    try:
        file.fileno()
    except OSError:
        content = in_memory()
        try:
            shutil.copyfileobj(file, content, 1 << 20)
            content.seek(0)
        except BaseException:
            content.close()
            raise
        return content
    return file
