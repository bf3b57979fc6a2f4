"""Profiles for studies in tests, as a worker has them."""

from pathlib import Path

from bridge.profile_book import ProfileBook, lay_out, revision_of
from cases.profiles import ProfileRevision

SHIPPED = Path(__file__).parents[2] / "config" / "profiles"


def shipped(name: str = "teaching") -> ProfileRevision:
    return revision_of((SHIPPED / f"{name}.yaml").read_text())


def book(*names: str) -> ProfileBook:
    """Return a book in which each name means the shipped default."""
    found = shipped()
    return ProfileBook(
        files={name: ProfileRevision(name=name, revision=found.revision, text=found.text) for name in names}
    )


def laid_out_in(folder: Path, *names: str) -> Path:
    """Lay the texts of shipped profiles out, and return the folder."""
    for name in names:
        lay_out(folder, shipped(name))
    return folder
