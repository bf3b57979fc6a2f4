"""What a line may say instead of what it was read as: all texts that the recogniser left possible, with their shares.

A reading takes the likeliest letter at each place. Where letters run together or are faint the text that was meant is
often the second or third, while nothing harmless is among all that a name may say.
"""

from collections.abc import Mapping

Evidence = tuple[tuple[tuple[str, float], ...], ...]
"""For each step along a line the characters that may stand there, with their probability; "" is none."""

_MOST = 24
_BLANK = ""


def alternatives(evidence: Evidence) -> Mapping[str, float]:
    """Return the likeliest texts of a line with their shares, which are 1 together.

    The prefix search of connectionist temporal classification: what a text can be spelled like in different ways adds
    up.
    """
    # For each text the probability that it ended with nothing, and with its last letter: repeats are one letter.
    likeliest: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    for step in evidence:
        found: dict[str, tuple[float, float]] = {}
        for text, (ended, open_) in likeliest.items():
            for character, share in step:
                if character == _BLANK:
                    _add(found, text, (ended + open_) * share, 0.0)
                elif text.endswith(character):
                    _add(found, text, 0.0, open_ * share)
                    _add(found, text + character, 0.0, ended * share)
                else:
                    _add(found, text + character, 0.0, (ended + open_) * share)
        likeliest = dict(sorted(found.items(), key=lambda one: -sum(one[1]))[:_MOST])
    total = sum(map(sum, likeliest.values()))
    return {text: sum(shares) / total for text, shares in likeliest.items()} if total else {}


def _add(found: dict[str, tuple[float, float]], text: str, ended: float, open_: float) -> None:
    if not ended + open_:
        return
    before = found.get(text, (0.0, 0.0))
    found[text] = (before[0] + ended, before[1] + open_)
