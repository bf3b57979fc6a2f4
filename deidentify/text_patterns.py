"""What identifies somebody by its shape alone, in prose that people type: each place with its reason.

Unlike a header's text this is refused, not cleaned, so a pattern has to be sure: levels, doses, sizes, scores, years
alone and citations stay. Every repetition is bounded and ends in a character of its own, so that time grows with the
length of the text.
"""

import re
from collections.abc import Iterable, Iterator

from deidentify.results import TextFinding, TextReason
from deidentify.vocabulary import folded, prose, vocabulary

_EDGE = r"(?<![^\W_])(?<!\d[.,])"
_END = r"(?![^\W_])"
_SPACE = r"[^\S\r\n]"

_MONTHS = (
    "january february april june july august september october november december"
    " jan feb apr jun jul aug sept sep oct nov dec"
    " januar jänner februar märz april mai juni juli august september oktober november dezember okt dez"
    " janvier février mars avril juin juillet août septembre octobre novembre décembre"
    " enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
    " gennaio febbraio aprile maggio giugno luglio settembre ottobre novembre dicembre"
    " janeiro fevereiro março maio junho julho setembro outubro novembro dezembro"
    " januari februari maart mei augustus"
    " stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października"
    " января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
)
_MONTH = "|".join(sorted(set(_MONTHS.split()), key=lambda word: (-len(word), word)))
_DAY, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:18|19|20)\d\d"
_MON = r"(?:0?[1-9]|1[0-2])"
_OF = rf"{_SPACE}{{0,2}}(?:of|de|del|di|do)?{_SPACE}{{0,2}}"
_THEN_YEAR = rf"(?:\.?,?{_OF}{_YEAR}{_END})?"
_DATES = (
    rf"{_EDGE}{_DAY}\s?([./-])\s?{_MON}\s?\1\s?(?:{_YEAR}|\d\d){_END}(?!\.\d)",
    rf"{_EDGE}{_MON}\s?([./-])\s?{_DAY}\s?\1\s?(?:{_YEAR}|\d\d){_END}(?!\.\d)",
    rf"{_EDGE}{_YEAR}\s?([./-])\s?{_MON}\s?\1\s?{_DAY}(?:T[\d:]{{2,8}})?{_END}(?!\.\d)",
    rf"{_EDGE}(?:{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])){_END}",
    rf"{_EDGE}{_DAY}(?:st|nd|rd|th|er|º|ª|\.)?{_OF}(?i:{_MONTH}){_END}{_THEN_YEAR}",
    rf"{_EDGE}(?i:{_MONTH}){_END}\.?{_SPACE}{{0,2}}{_DAY}(?:st|nd|rd|th)?{_END}(?!{_SPACE}?(?:mm|cm|ml|%)){_THEN_YEAR}",
    rf"{_EDGE}(?i:{_MONTH}){_END}\.?,?{_OF}'?{_YEAR}{_END}",
    # "may" and "march" are verbs: with a capital, or beside a year, they are months.
    (
        rf"{_EDGE}(?:{_DAY}(?:st|nd|rd|th)?{_SPACE}{{0,2}}(?:of{_SPACE})?(?:May|March|Mar|MAY|MARCH){_END}{_THEN_YEAR}"
        rf"|(?:May|March|MAY|MARCH){_SPACE}{_DAY}(?:st|nd|rd|th)?{_END}(?!{_SPACE}?(?:mm|cm|ml|%)){_THEN_YEAR}"
        rf"|(?i:may|march|mar){_END}\.?,?{_SPACE}(?:{_YEAR}){_END})"
    ),
    r"\d{2,4}\s?年\s?\d{1,2}\s?月(?:\s?\d{1,2}\s?日)?|\d{4}\s?년\s?\d{1,2}\s?월(?:\s?\d{1,2}\s?일)?",
)

_GAP = r"[^\S\r\n]|[().\-/\u2010-\u2013]"
_PHONES = (
    rf"(?<![\w.])(?:\+|00)[1-9]\d{{0,2}}(?:(?:{_GAP}){{0,3}}\d){{6,13}}(?!\w)",
    r"(?<![\w.])(?:\(\d{3}\) ?|\d{3}[.\- ])\d{3}[.\- ]\d{4}(?!\w)",
    r"(?<![\w.,])\(?0[1-9]\d{0,4}(?: ?[/\-)] ?| )\d(?:[ \-/]?\d){5,10}(?!\w)(?!\.\d)",
    r"(?<![\w.,])0[1-9](?:[ .-]\d\d){4}(?!\w)",
    (
        r"(?<!\w)(?i:tel|telephone|telefone?|tel[eé]fono|t[eé]l|t[eé]l[eé]phone|phone|mobile|mobil|fax|handy|pager"
        r"|bleep)(?!\w)"
        rf"(?:[ .:#]|no|nr){{0,5}}\+?\d(?:(?:{_GAP}){{0,3}}\d){{3,14}}(?!\w)"
    ),
)
_EMAILS = (r"(?<![\w.+-])[\w.+%-]{1,64}@[^\W_](?:[\w-]{0,62})(?:\.[\w-]{1,63}){1,8}",)

_VALUE = r"[A-Za-z]{0,5}[-/]?\d[\w/.-]{3,30}"
_NUMBER_WORD = r"(?:id|no|nr|num|number|nummer|n[uú]mero|num[eé]ro|#|n[°ºo]|№)"
_RECORDS = (
    (
        r"(?<!\w)(?i:mrn|medical record|accession|acc\.?\s?no|nhs|ssn|social security|ahv|nhc|bsn|personnummer"
        r"|versichertennummer|patientennummer|patienten-?id|fallnummer|aktenzeichen|codice fiscale|patient id"
        r"|pat\.?-?id)(?!\w)"
        rf"(?:[ .:#=-]|(?i:{_NUMBER_WORD})(?!\w)){{0,6}}{_VALUE}"
    ),
    (
        r"(?<!\w)(?i:patient|pat|hospital|case|record|chart|file|study|order|visit|encounter|insurance|passport|policy"
        r"|dossier|historia|cartella|fall|akten?|dokument)(?!\w)"
        rf"[ .:-]{{0,2}}(?i:{_NUMBER_WORD})(?!\w)[ .:#=-]{{0,3}}[A-Za-z]{{0,5}}[-/]?\d{{3,20}}(?!\w)"
    ),
    r"(?<!\w)ID[ :#=]{1,3}[A-Za-z]{0,5}-?\d{4,20}(?!\w)",
    r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-])|(?<!\w)756\.\d{4}\.\d{4}\.\d{2}(?!\w)|(?<!\w)\d{6}[-+]\d{4}(?!\w)",
    r"(?<!\w)[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z](?!\w)",
    r"(?<![\w.,])\d{7,40}(?!\w)(?!\.\d)|(?<!\w)[A-Z]{1,4}-?\d{6,20}(?!\w)",
    r"(?<![\w.])[012](?:\.\d{1,40}){5,30}(?!\w)",
)

_AGES = (
    (
        r"(?<![\w.,])(?:9\d|1[01]\d)"
        r"(?=[ -]{0,2}(?i:years?|yrs?|y\.?\s?o|y/o|ans|jahren?|jährig\w{0,3}|anni|años|anos|лет)(?!\w))"
    ),
    r"(?<!\w)(?i:aged?|age of|alter)[ :]{1,3}(?:9\d|1[01]\d)(?![\w%]|[.,]\d)",
)

_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'\u2019.-]{1,30}"
_ADDRESSES = (
    (
        rf"(?<![\w.,])\d{{1,5}}[A-Za-z]?,? (?:{_CAPITAL} ){{1,4}}"
        r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Boulevard|Blvd|Square|Terrace|Crescent|Close|Court"
        r"|Parkway|Highway)(?!\w)"
    ),
    (
        r"(?<!\w)[A-ZÄÖÜ][\w-]{2,40}(?:straße|strasse|str\.|gasse|allee|platz|damm|chaussee|straat|laan"
        r"|plein"
        r"|gracht|gatan|vägen|veien)"
        r" \d{1,4}(?:\s?[a-z])?(?!\w)"
    ),
    r"(?<!\w)(?:Straße|Strasse|Str\.|Am|An der|Auf der|Zum|Zur) [A-ZÄÖÜ][\w-]{2,40} \d{1,4}[a-z]?,? \d{4,5} [A-ZÄÖÜ]",
    (
        r"(?<![\w.,])\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|boulevard|bd|impasse|allée|chemin|quai|place)"
        r" (?:(?:de la|du|des|de|d['\u2019]|de l['\u2019]) ?)?[A-ZÀ-ÖØ-Þ]\w{1,30}"
    ),
    (
        r"(?<!\w)(?:Calle|Avenida|Avda\.?|Paseo|Plaza|Via|Viale|Piazza|Corso|Rua|Travessa) "
        r"(?:(?:de la|della|dei|de|del|di) )?"
        rf"(?:{_CAPITAL},? ){{1,4}}(?:n[º°.] ?)?\d{{1,4}}(?!\w)"
    ),
    r"(?<!\w)(?i:p\.? ?o\.? ?box|postfach|boîte postale|casilla) \d{2,8}(?!\w)",
    r"(?<!\w)(?:[BEGMNW]|[A-KM-Z][A-HK-Y])\d{1,2}[A-Z]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)|(?<!\w)(?:D|CH|NL)-\d{4,5}(?!\w)",
)

_TITLE = (
    r"Dr|Drs|Doctor|Doktor|Prof|Professor|Mr|Mrs|Ms|Mister|Miss|Herrn?|Frau|Hr|Mme|Mlle|Madame|Monsieur|Sra?|Srta"
    r"|Dra|Señora?|Dott|Dottore|Dottoressa|Sig|Signora?|Dhr|Mevr|Mevrouw|Pani?|PROF|MRS|Г-жа|Доктор"
)
_TITLED = re.compile(
    rf"(?<![^\W_])(?:(?:{_TITLE})(?![^\W_])\.?(?:ssa|ra)?[ ^]{{1,2}}"
    r"(?:(?:med|dent|rer|nat|phil|habil|univ|h\.c)\.? ){0,3}){1,3}"
    r"((?:[^\W\d_]\. ?){0,3}[^\W\d_][\w'\u2019-]{0,40})"
)
_CLOSE_TITLE = re.compile(r"(?<![^\W_])(?:Dr|Prof|Hr)\.([^\W\d_][\w'\u2019-]{1,40})")
_NAMED = re.compile(
    r"(?<!\w)(?i:patient(?:['\u2019]s)? name|name of (?:the )?patient|pt\.? name|patient|name|surname|nom"
    r"|pr[eé]nom|nombre|apellidos?|nome|cognome|patientenname|nachname|vorname)"
    r"[ ]?[:=][ ]{0,3}([^\W\d_][\w'\u2019-]{1,40})"
)
_NEEDS_UNKNOWN = frozenset(("miss", "sr", "sra", "pan", "pani", "doctor", "doktor", "hr", "sig"))
"""Titles that are other words as well; they count before a word that is none of prose."""

_CITED = re.compile(
    r"(?i:https?://|www\.)\S{1,2000}|(?<![\w.])(?i:doi:? ?)?10\.\d{4,9}/\S{1,300}"
    r"|(?<!\w)(?i:pmid|pmcid|isbn|issn|arxiv|rid|case id)[ :#-]{0,3}\d[\dXx.-]{2,20}"
    r"|(?<!\w)(?:PMC|NCT|ISRCTN|EudraCT)[ :-]?\d[\d-]{4,16}"
)
"""What is quoted has long numbers that are nobody's."""

_NUMERIC = frozenset((TextReason.PHONE, TextReason.RECORD_NUMBER, TextReason.DATE))


def _compiled(expressions: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, expressions))


_PATTERNS = (
    (TextReason.EMAIL, _compiled(_EMAILS)),
    (TextReason.DATE, _compiled(_DATES)),
    (TextReason.RECORD_NUMBER, _compiled(_RECORDS)),
    (TextReason.PHONE, _compiled(_PHONES)),
    (TextReason.ADDRESS, _compiled(_ADDRESSES)),
    (TextReason.AGE_BEYOND_89, _compiled(_AGES)),
)


def found_by_pattern(text: str) -> Iterator[TextFinding]:
    """Yield every place of a text that looks like an identifier of anybody; places may overlap."""
    cited = [match.span() for match in _CITED.finditer(text)]
    for reason, patterns in _PATTERNS:
        for pattern in patterns:
            for match in pattern.finditer(text):
                start, end = match.span()
                if reason in _NUMERIC and any(first <= start and end <= last for first, last in cited):
                    continue
                yield TextFinding(start=start, end=end, reason=reason)
    yield from _titled(text)


def _titled(text: str) -> Iterator[TextFinding]:
    for match in _TITLED.finditer(text):
        title = folded(text[match.start() : match.start(1)]).split()[-1].rstrip(".")
        if _is_written_as_name(match[1]) and (title not in _NEEDS_UNKNOWN or not is_plain(match[1])):
            yield TextFinding(start=match.start(), end=match.end(), reason=TextReason.TITLED_NAME)
    for match in _CLOSE_TITLE.finditer(text):
        if _is_written_as_name(match[1]):
            yield TextFinding(start=match.start(), end=match.end(), reason=TextReason.TITLED_NAME)
    for match in _NAMED.finditer(text):
        if _is_written_as_name(match[1]) and not is_plain(match[1]):
            yield TextFinding(start=match.start(1), end=match.end(1), reason=TextReason.TITLED_NAME)


def _is_written_as_name(name: str) -> bool:
    # An initial, or a word of a script that has no capitals.
    return any(one.isupper() for one in name) or not name[:1].islower()


def is_plain(word: str) -> bool:
    """Tell whether a word is one of descriptions or of prose."""
    form = folded(word)
    return form in vocabulary() or form in prose()
