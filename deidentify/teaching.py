"""The privacy gate of what came with a teaching file: from identified text to known words, or to nothing.

The text was written by a person about a person, so it gets less benefit of the doubt than a description: numbers that
could be an identifier, spelled dates and ages beyond 89 go too, and what is left is searched as written files are.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from deidentify.charsets import Charset
from deidentify.dataset import Element
from deidentify.errors import ResidualIdentifierError
from deidentify.identity import IdentifiedTokens
from deidentify.manifest import Manifest, TeachingInformation, Topic
from deidentify.results import TeachingText
from deidentify.text import clean_text
from deidentify.verify import Search
from deidentify.vocabulary import folded, words_of

TITLE_LONGEST = 120
PRESENTATION_LONGEST = 2000
TEXT_LONGEST = 50_000
TAG_LONGEST = 64
MOST_TAGS = 30

_SHORTEST_NAME = 3
_UTF8 = Charset(encodings=("utf-8",))
_MONTHS = (
    "january february march april may june july august september october november december",
    "januar jänner februar märz mai juni juli oktober dezember janvier février mars avril juin juillet août",
    "septembre octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre",
    "octubre noviembre diciembre gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre",
    "jan feb mar apr jun jul aug sep sept oct okt nov dec dez",
)
_MONTH = rf"(?:{'|'.join(' '.join(_MONTHS).split())})(?!\w)\.?"
_OLD = r"(?:9\d|1[0-2]\d)"
_NUMBERS = re.compile(r"(?<![^\W_])\d+(?:(?:[^\w\xd7%]|_)+\d+)*(?![^\W_])")
_MEASURED = (
    r"mm|cm|m?l|m?sec|ms|[kmg]?hz|kvp?|m[av]s?|kev|m?gy|[mg]bq|hu|µ?g|[mk]g|mmhg|bpm|beats|deg|degrees?|percent"
    r"|[%°x\xd7]"
)
_HARD = (
    re.compile(rf"(?<!\w)\d{{1,4}}(?:st|nd|rd|th)?\.?\s*(?:of\s+)?{_MONTH}(?:\s*,?\s*\d{{2,4}})?", re.IGNORECASE),
    re.compile(rf"(?<!\w){_MONTH}\s*\d{{1,4}}(?:st|nd|rd|th)?(?!\w)(?:\s*,?\s*\d{{2,4}})?", re.IGNORECASE),
    re.compile(rf"\b{_OLD}(?=\s*-?\s*(?:years?|yrs?|y\.?\s?o|y/o|ans|jahre|jähr|anni|años)\b)", re.IGNORECASE),
    re.compile(r"(?<![\d.])(?:0?[1-9]|[12]\d|3[01])\.\s?(?:0?[1-9]|1[0-2])\.(?!\d)"),
    # One letter and a mark before a word is an initial.
    re.compile(r"(?<![\w.])[^\W\d_]\.(?=\s*[^\W\d_])"),
)
"""Days and months, ages beyond 89, initials."""
_OLD_AGE = re.compile(
    rf"(?<![\w.,]){_OLD}(?:y|yo|yr|yrs|[mfwda])?(?![^\W_])(?![.,]\d)(?!\s*-?\s*(?:{_MEASURED})(?![^\W\d_]))",
    re.IGNORECASE,
)
"""A number beyond 89 that nothing says is a measure: an age, whatever stands behind it."""
_SURNAMES = (
    "baker black brown crane dixon gray grey green herz iron kopf may orange philips pink power ray sharp silver",
    "spring stone summer waters weeks white willis winter",
)
_SOMETIMES = (
    "block case chamber child couch day early fall field finger frame free fu hand hard head heart hu key li light",
    "long low ma main max mean min nail neck night plate ring short shoulder small true will",
)
_OF_HEADERS = frozenset(("carl", "heidelberg", "monaco", "siemens", "vida", "zeiss"))
"""Words that are devices and their makers in a header; in running text they are places and persons."""
_ALWAYS = "|".join(f"{one.title()}|{one.upper()}" for one in " ".join(_SURNAMES).split())
_INSIDE = "|".join(one.title() for one in " ".join((*_SURNAMES, *_SOMETIMES)).split())
_TITLES = "dr|drs|dres|mr|mrs|ms|prof"
_AS_NAMES = (
    # "circle of Willis" and a Baker cyst name nobody any more.
    re.compile(rf"(?<!circle of )(?<![^\W_])(?:{_ALWAYS})(?![^\W_])(?!(?:'s)?\s+(?:cyst|view|projection)\b)"),
    re.compile(
        rf"(?<=[^\W\d_][\s,])(?<![.!?:]\s)(?<!circle of )(?:{_INSIDE})s?(?![^\W_])"
        r"(?!(?:'s)?\s+(?:cyst|view|projection)\b)"
    ),
    # In capitals they stand in headings too, but not behind "by", nor behind a title with its dot or its degrees.
    re.compile(rf"\b[Bb][Yy]\s+(?:(?:{_TITLES})\b\.?\s*)?(?:{_INSIDE.upper()})S?(?![^\W_])"),
    re.compile(
        rf"\b(?:(?:{_TITLES})\.\s*(?:(?:med|dent|vet|phil|rer|nat|habil|univ|h\.?\s?c)\b\.?\s*)*)+[^\W\d_][\w'-]*",
        re.IGNORECASE,
    ),
)
"""Known words that are family names where they begin with a capital: some always, some inside a sentence."""
_MOST_DIGITS = 3
"""Digits of a measure; more of them, also in groups, may be a record, a year or a telephone number."""
_SEPARATOR = re.compile(r"[,;\r\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What came with one teaching file. Everything in here is identified."""

    manifests: tuple[Manifest, ...] = field(repr=False)
    information: tuple[TeachingInformation, ...] = field(repr=False)

    def identified_texts(self, topic: Topic) -> list[str]:
        """Return what was said of a topic, each once, in order."""
        found = [text for one in self.information for about, text in one.identified_texts if about is topic]
        return list(dict.fromkeys(found))


def clean_teaching_file(
    sources: Sources, identified: IdentifiedTokens, *, keeps_text: bool, accounts: Collection[str] = ()
) -> TeachingText:
    """Return what may be shown of a teaching file's text.

    Parameters
    ----------
    sources
        The selections and the information.
    identified
        The identifiers of every instance of the study.
    keeps_text
        Whether any text may pass; otherwise all of it is counted and goes.
    accounts
        Names of the accounts that the sender may name.
    """
    gate = _Gate(identified, _named_persons(sources), keeps_text=keeps_text)
    texts = sources.identified_texts
    titles = [manifest.identified_title for manifest in sources.manifests if manifest.identified_title]
    titles = list(dict.fromkeys([*titles, *texts(Topic.TITLE)]))
    diagnoses = texts(Topic.DIAGNOSIS)
    title = gate.line(titles[0] if titles else diagnoses[0] if diagnoses else "")
    remarks = [manifest.identified_text for manifest in sources.manifests if manifest.identified_text]
    # What became the title word by word is not said twice, nor counted twice.
    discussion = [
        gate.text(texts(Topic.ABSTRACT)),
        gate.text(texts(Topic.DISCUSSION)),
        gate.labelled("Differential diagnosis", texts(Topic.DIFFERENTIAL)),
        gate.labelled("Diagnosis", diagnoses if titles else diagnoses[1:]),
        gate.text(list(dict.fromkeys(remarks))),
    ]
    presentation, findings = gate.text(texts(Topic.HISTORY)), gate.text(texts(Topic.FINDINGS))
    tags = gate.tags(
        text
        for topic in (Topic.KEYWORDS, Topic.ANATOMY, Topic.PATHOLOGY, Topic.ORGAN_SYSTEM)
        for value in texts(topic)
        for text in _SEPARATOR.split(value)
    )
    return TeachingText(
        title=title[:TITLE_LONGEST].rstrip(),
        presentation=presentation[:PRESENTATION_LONGEST].rstrip(),
        findings=findings[:TEXT_LONGEST].rstrip(),
        discussion="\n\n".join(part for part in discussion if part)[:TEXT_LONGEST].rstrip(),
        tags=tags,
        categories=tuple(dict.fromkeys(value for one in sources.information for value in one.categories)),
        level=next((one.level for one in sources.information if one.level), ""),
        delay=next((manifest.delay for manifest in sources.manifests if manifest.delay), None),
        withheld=gate.withheld,
        account=_account(sources, accounts),
    )


def _named_persons(sources: Sources) -> list[str]:
    """Return who is named beside the patient: authors, owners, observers. Their names go wherever they stand."""
    named = [person for manifest in sources.manifests for person in manifest.identified_observers]
    named += [manifest.identified_owner for manifest in sources.manifests]
    for topic in (Topic.AUTHOR, Topic.CONTACT):
        named += sources.identified_texts(topic)
    return named


def _account(sources: Sources, accounts: Collection[str]) -> str:
    """Return the one account whose name was given as owner, author or contact, letter by letter but for case."""
    wanted = [manifest.identified_owner for manifest in sources.manifests]
    wanted += [*sources.identified_texts(Topic.AUTHOR), *sources.identified_texts(Topic.CONTACT)]
    names = {folded(name): name for name in accounts}
    found = {names[folded(text.strip())] for text in wanted if folded(text.strip()) in names}
    return found.pop() if len(found) == 1 else ""


class _Gate:
    """Lets known words through and counts the others."""

    def __init__(self, identified: IdentifiedTokens, persons: Iterable[str], *, keeps_text: bool) -> None:
        named = {word for person in persons for word in words_of(person) if len(word) >= _SHORTEST_NAME}
        self._own = identified.own_words | named | _OF_HEADERS
        self._search = Search(identified, frozenset())
        self._keeps_text = keeps_text
        self.withheld = 0

    def line(self, text: str) -> str:
        """Return a text as one line."""
        return " ".join(self.text([text]).split())

    def labelled(self, label: str, texts: Sequence[str]) -> str:
        """Return texts in one paragraph under a label; nothing when nothing is left of them."""
        left = [piece for text in texts if (piece := self.line(text))]
        return f"{label}: {'; '.join(left)}" if left else ""

    def text(self, texts: Sequence[str]) -> str:
        """Return what is left of texts, a paragraph each."""
        left = (self._cleaned(text) for text in texts)
        return "\n\n".join(text for text in left if text)

    def tags(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return the texts that are clean as they stand: half a keyword would be another one."""
        found: dict[str, str] = {}
        for text in texts:
            whole = " ".join(text.split())
            if not whole:
                continue
            before = self.withheld
            cleaned = self._cleaned(whole)
            if self.withheld > before:
                self.withheld = before + _count(whole)
            elif cleaned and len(cleaned) <= TAG_LONGEST:
                found.setdefault(folded(cleaned), cleaned)
        return tuple(found.values())[:MOST_TAGS]

    def _cleaned(self, text: str) -> str:
        words = _count(text)
        if not words:
            return ""
        if not self._keeps_text:
            self.withheld += words
            return ""
        masked = _written(text)
        for pattern in (*_HARD, *_AS_NAMES):
            masked = pattern.sub(" ", masked)
        masked = _NUMBERS.sub(lambda match: match.group() if _is_measure(match.group()) else " ", masked)
        masked = _OLD_AGE.sub(" ", masked)
        cleaned, _ = clean_text(masked, self._own)
        cleaned = cleaned.replace("\r\n", "\n").strip()
        left = _count(cleaned)
        # Bare numbers and a few words of many say nothing, and what the last search finds is not argued about.
        if 2 * left < words or not any(map(str.isalpha, words_of(cleaned))) or self._is_found(cleaned):
            self.withheld += words
            return ""
        self.withheld += max(0, words - left)
        return cleaned

    def _is_found(self, text: str) -> bool:
        element = Element(0x0040A160, "UT", text.encode())
        try:
            self._search.element(element, _UTF8)
        except ResidualIdentifierError:
            return True
        return False


def _written(text: str) -> str:
    """Return a text as it is read: entities of markup resolved, digits plain, without characters that nobody sees."""
    for _ in range(3):
        text = html.unescape(text)
    plain = (str(unicodedata.digit(one, one)) if one.isdigit() and not one.isdecimal() else one for one in text)
    return "".join(one for one in plain if unicodedata.category(one) != "Cf")


def _count(text: str) -> int:
    return len(words_of(text))


def _is_measure(text: str) -> bool:
    """Tell whether numbers beside each other are few enough to be a measure, and no day of a month."""
    return "/" not in text and sum(map(str.isdigit, text)) <= _MOST_DIGITS
