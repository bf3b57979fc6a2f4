"""What files beside an original are called that hold its previews."""


def preview_suffix(revision: str) -> str:
    """Return the suffix of the file that holds the preview of an original under a revision."""
    return f"preview-{revision}.json"


def picture_suffix(revision: str, number: int) -> str:
    """Return the suffix of one of its pictures, counted from 1."""
    return f"preview-{revision}-{number}.png"
