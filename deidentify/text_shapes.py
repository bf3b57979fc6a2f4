"""What identifies by its form: dates, telephones, addresses, record numbers and great ages, in several languages."""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from deidentify.vocabulary import folded, is_known_word


class Reason(StrEnum):
    """Why a piece of text went."""

    OWN = "own"
    """A word of this patient's, or this study's, identifiers."""
    NAME = "name"
    """Stands where a name stands: behind a title, beside a name or an initial."""
    DATE = "date"
    AGE = "age"
    """Beyond 89 years."""
    CONTACT = "contact"
    """A telephone number, an address in a mail or on the web."""
    ADDRESS = "address"
    NUMBER = "number"
    """A number that could be a record's."""
    UNKNOWN = "unknown"
    """Nobody knows that the word names no person."""
    CHARACTER = "character"
    """Neither a word nor punctuation."""


_MONTHS = (
    "january february march april may june july august september october november december "
    "januar jänner jaenner feber februar märz maerz mai juni juli oktober dezember "
    "janvier février fevrier mars avril juin juillet août aout septembre octobre novembre décembre decembre "
    "enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre "
    "janeiro fevereiro março marco maio junho julho setembro outubro novembro dezembro "
    "januari februari maart mei augustus "
    "jan feb mar apr jun jul aug sep sept oct okt nov dec dez fév fev avr juil déc mrt ene abr dic"
)
_SHORT_MONTHS = "gen mag giu lug ago set ott out mär"
"""Abbreviations that are other words, too: months only where a year follows."""
_MONTH = rf"(?:{'|'.join(_MONTHS.split())})(?![^\W\d_])\.?"
_ANY_MONTH = rf"(?:{'|'.join((*_MONTHS.split(), *_SHORT_MONTHS.split()))})(?![^\W\d_])\.?"
_OF = r"[\s.,/_-]*(?:(?:of|de|del|di|den|d')\s*)?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th|er|º|ª|°|\.)?"
_YEAR = r"(?:1[89]|20|21)\d\d"
_NOT_IN_WORD = r"(?<![^\W_])(?<![.,])"

_THREE = re.compile(
    r"(?<![^\W_])(?<![\d][.,])\d{1,4}(\s?[./\-: ]\s?)\d{1,2}\s?[./\-: ]\s?\d{1,4}(?![^\W_])(?!\.\d)", re.ASCII
)
_DATES = (
    re.compile(r"(?<![^\W_])\d{1,4}_\d{1,2}_\d{1,4}(?![^\W_])", re.ASCII),
    # A month and a year; a day and a month as Germans write them.
    re.compile(rf"(?<![^\W_])(?<!\d[.,])(?:0?[1-9]|1[0-2])\s?[./-]\s?{_YEAR}(?!\d)", re.ASCII),
    re.compile(rf"(?<![^\W_])(?<!\d[.,]){_YEAR}\s?[./-]\s?(?:0?[1-9]|1[0-2])(?!\d)", re.ASCII),
    re.compile(r"(?<![^\W_])(?<!\d[.,])(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.(?!\d)", re.ASCII),
    re.compile(rf"{_NOT_IN_WORD}{_DAY}{_OF}{_MONTH}(?:{_OF}\d{{2,4}}(?!\d))?", re.IGNORECASE),
    re.compile(rf"(?<![^\W\d_]){_MONTH}[\s.,/_-]*(?:\d{{4}}|{_DAY}(?:[\s.,/_-]+\d{{2,4}})?)(?![^\W_])", re.IGNORECASE),
    re.compile(rf"(?<![^\W\d_]){_MONTH}[-/'\u2019]\d\d(?![^\W_])", re.IGNORECASE),
    re.compile(rf"{_NOT_IN_WORD}{_YEAR}[\s.,/_-]*{_ANY_MONTH}(?:[\s.,/_-]*{_DAY})?(?![^\W_])", re.IGNORECASE),
    re.compile(rf"{_NOT_IN_WORD}(?:{_DAY}{_OF})?{_ANY_MONTH}{_OF}{_YEAR}(?!\d)", re.IGNORECASE),
    re.compile(rf"{_NOT_IN_WORD}{_DAY}{_OF}{_ANY_MONTH}{_OF}'?\d\d(?![^\W_])", re.IGNORECASE),
)
_OLD = r"0?(?:9\d|1[0-4]\d)"
_AGES = (
    re.compile(
        rf"(?<![\w.,]){_OLD}\s*-?\s*(?:(?:years?|yrs?|yo|y\.?\s?o\.?|y/o|y|ans|años|anos|anni|jahren?|jaar|jährig\w*|"
        rf"jaehrig\w*|jarige?|j\.|jr\.)(?![^\W_])|[mfw](?![^\W_]))",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![^\W_])(?:aged?|alter|age\s+of|âge|edad|età|eta|idade|leeftijd|âgée?\s+de)[\s:]+{_OLD}(?![^\W_])",
        re.IGNORECASE,
    ),
)
_TELEPHONE = re.compile(r"(?<![\w.,])\+?\(?\d[\d\s()/.-]{5,}\d(?![^\W_])", re.ASCII)
_DECIMALS = re.compile(r"\d+(?:\.\d+)?(?:\s+\d+(?:\.\d+)?)*\.?")
_FEWEST_OF_A_TELEPHONE = 7
_CONTACTS = (
    re.compile(
        # What begins anywhere in a long word would be looked for at each of its letters.
        r"(?<!\S)\S+@\S+|\b(?:https?|ftp|www)\b\S+|(?<!\S)\S+\s?[(\[]\s?(?:at|arroba|chiocciola)\s?[)\]]\s?\S+",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])(?:tel|tél|telefon|telephone|téléphone|teléfono|telefono|telefone|telefoon|phone|fax|mobile|mobil|handy|"
        r"cell|pager|piepser|funk|dect|beeper|bip|busca|sein|ext|durchwahl|dw|poste)\b[.:\s#-]*(?:nr|no|num)?[.:\s#-]*"
        r"\+?[\d(][\d\s()/.-]*",
        re.IGNORECASE,
    ),
)
_DOMAIN = re.compile(
    r"(?<![\w@-])(?<![\w-]\.)((?:[\w-]+\.)+)(?:com|org|net|edu|gov|info|eu|de|at|ch|fr|es|it|pt|br|nl|be|uk)(?:/\S*)?(?![^\W_])",
    re.IGNORECASE,
)
_RECORDS = (
    re.compile(
        r"(?<![^\W_])(?:mrn|medrec|pid|patid|uhid|nhs|ssn|bsn|kvnr|nhc|dni|nie|cpf|rut|ipp|nss|hkid|svnr|ahv|insz|"
        r"acc(?:ession)?\s?(?:no|nr|num(?:ber)?|#)|accession|record|dossier|cartella|prontu[aá]rio|expediente|matricula|"
        r"codice\s+fiscale|(?:pat(?:ient(?:en)?|i[eë]nt)?|fall|aufnahme|auftrags?|untersuchungs|röntgen|pati[eë]nt)[\s.-]*"
        r"(?:id|no|nr|num(?:ber|mer)?|nummer))\b[\s.:#º°/-]*(?:(?:no|nr|num|n)\b[\s.:#º°-]*)?(?=[^\s,;]*\d)[\w/.-]+(?:\s\d+)*",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])(?:case|exam|order|visit|ref|id|nr|no|num|number|nummer|numero|número|numéro|n[º°]|study\s(?:id|no)|acc|"
        r"historia|fall|room|zimmer|chambre|bed|bett)\b[\s.:#º°-]*(?:(?:no|nr)\b[\s.:#-]*)?(?=[^\s,;]*\d[^\s,;]*\d[^\s,;]*\d)"
        r"[\w/-]+",
        re.IGNORECASE,
    ),
    re.compile(r"#\s?\d{3,}[\w-]*"),
    re.compile(r"(?<![^\W_])\d{3}-\d{2,3}-?\d{0,4}(?![^\W_])", re.ASCII),
)
_WORDS = r"(?:[^\W\d_][\w'\u2019.-]*\s+){1,3}"
_ADDRESSES = (
    re.compile(
        rf"(?<![\w.,])\d{{1,5}}[a-z]?,?\s+{_WORDS}(?:street|road|rd|avenue|ave|lane|boulevard|blvd|terrace|crescent|highway|"
        r"parkway|square)\b\.?",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])[^\W\d_]*(?:stra(?:ß|ss)e|str\.|straat|gasse|allee|platz|laan|plein|gracht|kade|dreef)\s*\d{1,4}\s?[a-z]?"
        r"(?![^\W_])",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])(?:p\.?\s?o\.?\s?box|postfach|postbus|apartado|casella\s+postale|caixa\s+postal)\s*\d+",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![^\W_])[1-9]\d{3}\s?[A-Z]{2}(?=[\s,]+[^\W\d_]{3}|$)"),
)
_STREET = (
    r"(?:rue|avenue|av\.?|boulevard|bd\.?|chemin|place|quai|impasse|allée|via|viale|vicolo|piazza|corso|largo|strada|calle|"
    r"c/|avenida|avda\.?|paseo|plaza|camino|carretera|rua|travessa|praça|estrada|alameda)"
)
_NAMED = r"((?:[^\W\d_][\w'\u2019.-]*\s*){1,5}?)"
# These words are other words, too: an address has a name that is none of the vocabulary.
_NAMED_ADDRESSES = (
    re.compile(rf"(?<![^\W_]){_STREET}\s*{_NAMED}[,\s]\s*(?:n[º°r.]*\s*)?\d{{1,5}}\s?[a-z]?(?![^\W_])", re.IGNORECASE),
    re.compile(
        rf"(?<![\w.,])\d{{1,4}}(?:\s?(?:bis|ter))?,?\s+{_STREET}\s+((?:[^\W\d_][\w'\u2019-]*[ ]?){{1,4}})",
        re.IGNORECASE,
    ),
    re.compile(rf"(?<![\w.,])\d{{1,5}}[a-z]?,?\s+({_WORDS})(?:drive|court|place|way|close)\b\.?", re.IGNORECASE),
)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W\d_]+")

# Software versions look like telephone numbers, so technical text is only searched for dates.
_TECHNICAL = re.compile(
    r"\b\d{1,2}[./-]\d{1,2}[./-]\d{4}\b|\b\d{4}-\d{2}-\d{2}\b|(?<!\S)\S+@\S+|\b(?:https?|www)\b\S+", re.ASCII
)


def spans(text: str, *, technical: bool) -> Iterator[tuple[int, int, Reason]]:
    """Yield what identifies by its form, as start, end and reason; pieces may lie in each other.

    ``text`` has plain digits and dashes. Technical text is searched for what no version or model looks like.
    """
    if technical:
        yield from ((*match.span(), Reason.DATE) for match in _TECHNICAL.finditer(text))
        return
    yield from _found(_CONTACTS[:1], text, Reason.CONTACT)
    if "." in text:
        yield from _found((_DOMAIN,), text, Reason.CONTACT, _has_unknown)
    if _DIGIT.search(text) is None:
        return
    yield from _found((_THREE,), text, Reason.DATE, _is_date_or_time)
    yield from _found(_DATES, text, Reason.DATE)
    yield from _found(_AGES, text, Reason.AGE)
    yield from _found((_TELEPHONE,), text, Reason.CONTACT, _is_telephone)
    yield from _found(_CONTACTS[1:], text, Reason.CONTACT)
    yield from _found(_RECORDS, text, Reason.NUMBER)
    yield from _found(_ADDRESSES, text, Reason.ADDRESS)
    yield from _found(_NAMED_ADDRESSES, text, Reason.ADDRESS, _has_unknown)


def _found(
    patterns: tuple[re.Pattern[str], ...],
    text: str,
    reason: Reason,
    is_meant: Callable[[re.Match[str]], bool] = lambda _match: True,
) -> Iterator[tuple[int, int, Reason]]:
    for pattern in patterns:
        yield from ((*match.span(), reason) for match in pattern.finditer(text) if is_meant(match))


def _has_unknown(match: re.Match[str]) -> bool:
    """Tell whether what is named has a word that is none of the vocabulary."""
    words = [folded(word) for word in _WORD.findall(match.group(1))]
    return any(len(word) > 1 and not is_known_word(word, general=False) for word in words)


def _is_telephone(match: re.Match[str]) -> bool:
    """Tell a telephone number from sizes and positions beside each other ("0.7 0.7 5.0")."""
    text = match.group()
    if sum(map(str.isdigit, text)) < _FEWEST_OF_A_TELEPHONE:
        return False
    return _DECIMALS.fullmatch(text) is None or "." not in text or max(map(len, text.split())) > _FEWEST_OF_A_TELEPHONE


_MONTHS_OF_YEAR, _DAYS_OF_MONTH, _DIGITS_OF_YEAR = 12, 31, 4


def _is_date_or_time(match: re.Match[str]) -> bool:
    """Tell a date or a time from three other numbers: a year of four digits, or of two with a day and a month."""
    parts = _DIGIT_RUNS.findall(match.group())
    first, second, third = map(int, parts)
    if ":" in match.group():
        return True
    if match.group(1) == " " and len(parts[0]) != _DIGITS_OF_YEAR != len(parts[2]):
        return False
    if len(parts[0]) == _DIGITS_OF_YEAR or len(parts[2]) == _DIGITS_OF_YEAR:
        return True
    if len(parts[2]) == 1 and len(parts[0]) == 1:
        return False

    def is_day(day: int, month: int) -> bool:
        return 0 < day <= _DAYS_OF_MONTH and 0 < month <= _MONTHS_OF_YEAR

    return is_day(first, second) or is_day(second, first) or is_day(third, second)


_DIGIT_RUNS = re.compile(r"\d+")
