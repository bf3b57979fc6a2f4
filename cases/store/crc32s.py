"""The CRC-32 of filed images, kept once it was computed, so that no file is read twice to say how an archive looks."""

from collections.abc import Iterable

from sqlalchemy import update
from sqlalchemy.orm import Session

from cases.model import CaseImage
from cases.store.rows import CaseImageRow


class Crc32s:
    """What is known of the files of images beside their digests."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, computed: Iterable[tuple[CaseImage, int]]) -> None:
        """Keep what was computed of the files of images, but of none that has another file by now."""
        for image, crc32 in computed:
            self._session.execute(
                update(CaseImageRow)
                .where(CaseImageRow.id == image.id, CaseImageRow.sha256 == image.sha256)
                .values(crc32=crc32)
            )
