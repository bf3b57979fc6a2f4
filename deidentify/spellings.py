"""How a name or a number may be spelled: what two people write differently becomes the same forms."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

_SAME = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŋ": "ng", "ŧ": "t"}  # noqa: RUF001
)
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
"""As these letters are written where a keyboard lacks them."""


def _scheme(base: Mapping[str, str], pairs: str) -> dict[str, str]:
    """Return a transliteration: that of another scheme, changed by pairs such as "б=b"."""  # noqa: RUF002
    return {**base, **dict(pair.split("=") for pair in pairs.split())}


_PASSPORT = _scheme(
    {},
    "а=a б=b в=v г=g д=d е=e ё=e ж=zh з=z и=i й=i к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f "  # noqa: RUF001
    "х=kh ц=ts ч=ch ш=sh щ=shch "  # noqa: RUF001
    "ъ=ie ы=y ь= э=e ю=iu я=ia і=i ї=i є=ie ґ=g ў=u ј=j љ=lj њ=nj ћ=c ђ=dj џ=dz",  # noqa: RUF001
)
_CYRILLIC = (
    _PASSPORT,
    _scheme(_PASSPORT, "й=y ю=yu я=ya є=ye ї=yi ъ="),
    _scheme(_PASSPORT, "ж=z й=j х=h ц=c ч=c ш=s щ=sc ъ= ю=ju я=ja"),  # noqa: RUF001
    _scheme(_PASSPORT, "г=h и=y щ=shch ъ="),  # noqa: RUF001
)
"""Of passports, of English papers, of scholars (without their marks), of Ukraine."""
_GREEK = _scheme(
    {},
    "α=a β=v γ=g δ=d ε=e ζ=z η=i θ=th ι=i κ=k λ=l μ=m ν=n ξ=x ο=o π=p ρ=r σ=s τ=t υ=y φ=f χ=ch ψ=ps ω=o",  # noqa: RUF001
)
_GREEKS = (_GREEK, _scheme(_GREEK, "β=b η=e φ=ph χ=h υ=u"))  # noqa: RUF001
_IS_CYRILLIC, _IS_GREEK = re.compile("[\u0400-\u04ff]"), re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
IDEOGRAPHS = re.compile(
    "[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)
"""Letters of scripts that put no space between words."""


def spellings(word: str) -> tuple[str, ...]:
    """Return the forms of a word: no case, no marks, Latin letters where its script has a transliteration."""
    if word.isascii():
        return (_letters(word.casefold()),)
    composed = unicodedata.normalize("NFKC", word).casefold().replace("\u03c2", "\u03c3")
    schemes: tuple[Mapping[int, str], ...] = ({}, _WRITTEN_OUT)
    if _IS_CYRILLIC.search(composed):
        schemes = tuple(str.maketrans(scheme) for scheme in _CYRILLIC)
    elif _IS_GREEK.search(composed):
        composed = unicodedata.normalize("NFC", _unmarked(composed)).replace("\u03bf\u03c5", "ou")
        schemes = tuple(str.maketrans(scheme) for scheme in _GREEKS)
    found = (_letters(_unmarked(composed.translate(scheme)).translate(_SAME)) for scheme in schemes)
    return tuple(dict.fromkeys(unicodedata.normalize("NFC", form) for form in found if form))


def _unmarked(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


def _letters(text: str) -> str:
    return text if text.isalnum() else "".join(filter(str.isalnum, text))


def shortened(word: str) -> Iterator[tuple[int, str]]:
    """Yield the word without each of its letters, and which one."""
    for place in range(len(word)):
        yield place, word[:place] + word[place + 1 :]


def number_form(text: str) -> str:
    """Return a number as two systems would agree on it: no case, no separators, no zeros in front."""
    plain = _letters(unicodedata.normalize("NFKC", text).casefold())
    return plain.lstrip("0") if plain.isdigit() else plain


def days(digits: str) -> Iterator[str]:
    """Yield YYYYMMDD of every day that six or eight digits may mean, in the orders that people write."""
    if len(digits) == 8:  # noqa: PLR2004 - a year of four digits
        orders = [digits, digits[4:] + digits[2:4] + digits[:2], digits[4:] + digits[:4]]
    elif len(digits) == 6:  # noqa: PLR2004 - a year of two digits
        orders = [
            century + order
            for century in ("19", "20")
            for order in (digits, digits[4:] + digits[2:4] + digits[:2], digits[4:] + digits[:4])
        ]
    else:
        return
    yield from (day for day in dict.fromkeys(orders) if is_day(day))


def is_day(text: str) -> bool:
    """Tell whether this is YYYYMMDD of a day on which a patient or a picture may have come into being."""
    return text.isdigit() and "1880" <= text[:4] <= "2099" and "01" <= text[4:6] <= "12" and "01" <= text[6:8] <= "31"
