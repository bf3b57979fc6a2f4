"""``python -m benchmarks.text_libraries``: our way with free text beside libraries, by what goes and what stays."""

import io
import json
import random
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from rich.console import Console
from rich.table import Table

from benchmarks.midib.checks import words_in
from benchmarks.midib.people import CULTURES, Kind, Person, Secret, made_up_person
from benchmarks.midib.phrases import Told, history, told
from benchmarks.receivers import CHECKOUT
from benchmarks.text_cleaners import CLEANERS, LICENCES
from deidentify.deidentifier import Deidentifier
from deidentify.identity import identified_tokens
from deidentify.profile import Profile

_TEXTS_OF_ONE = 5
"""Texts of each person."""
_LONGEST = 64
"""Characters of a description (VR LO)."""
_TELLING = 3
"""Characters of a word of a secret that tells by itself."""

FRESH = """
Sacroiliac joints oblique coronal STIR
CT guided biopsy of a retroperitoneal mass
MR elastography of the liver
Lymphoscintigraphy sentinel node
Bowel obstruction with transition point in the ileum
Ruptured ovarian cyst with hemoperitoneum
Perched facet at C5/C6
Tarsal coalition, pes planus
Emphysematous cholecystitis in a diabetic
Slipped capital femoral epiphysis
Wegener granulomatosis with cavitating nodules
Hirschsprung disease, contrast enema
Swimmer view lateral
Grashey and Y view of the shoulder
Dynamic susceptibility contrast perfusion
Unsteady gait and urinary incontinence, normal pressure hydrocephalus?
Dog bite to the forearm, foreign body?
Kicked by a horse
Persistently elevated calcitonin after thyroidectomy
Vestibular schwannoma, intracanalicular
Lisfranc injury, weight bearing views
Mirizzi syndrome
Tethered cord with a fatty filum
Chondroblastoma of the proximal humerus
Abdominal wall endometriosis in the scar
Sialolith in the submandibular duct
Verdacht auf Lungenembolie
Sprunggelenk nach Distorsion
Douleur de la hanche droite
Dolor abdominal y fiebre
"""
"""Phrases written for this comparison, without a look at the vocabulary; nobody adds words to it because of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A text, and the words of its patient's identifiers as the engine gathers them from the header."""

    told: Told
    own: frozenset[str]
    fresh: str

    @property
    def text(self) -> str:
        return f"{self.told.text}\r\n{self.fresh}" if self.fresh else self.told.text


@dataclass(slots=True)
class Count:
    """What one contestant did."""

    version: str
    ms: float
    gone: Counter[Kind] = field(default_factory=Counter)
    wholly_gone: Counter[Kind] = field(default_factory=Counter)
    secrets: Counter[Kind] = field(default_factory=Counter)
    kept: int = 0
    useful: int = 0
    fresh_kept: int = 0
    fresh: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


def _header_of(person: Person) -> Dataset:
    """Return what a header says of a person: staff but one and relatives stand in no attribute."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = "1.2.3.1", "1.2.3.2", "CT"
    data.PatientName, data.PatientID, data.AccessionNumber = person.dicom_name, person.record, person.accession
    data.PatientBirthDate = person.birth.strftime("%Y%m%d")
    data.PatientAddress = f"{person.street}, {person.town}"
    data.PatientTelephoneNumbers, data.StudyID, data.InstitutionName = person.phone, person.study_id, person.hospital
    data.ReferringPhysicianName = "^".join(person.doctors[0])
    return data


def _own_words(engine: Deidentifier, person: Person) -> frozenset[str]:
    data, file = _header_of(person), io.BytesIO()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(file, enforce_file_format=True)
    file.seek(0)
    return identified_tokens(engine.read(file)).own_words


def _asked(texts: int, seed: int, culture: str) -> list[Asked]:
    """Return texts with identifiers, some of them descriptions, the others comments that end with a fresh phrase."""
    profile = CHECKOUT / "config" / "profiles" / "teaching.yaml"
    engine, rng = Deidentifier(Profile.from_yaml(profile.read_text())), random.Random(seed)
    made: list[Asked] = []
    while len(made) < texts:
        person = made_up_person(rng, culture=culture)
        own = _own_words(engine, person)
        for at in range(min(_TEXTS_OF_ONE, texts - len(made))):
            when = f"{rng.randrange(1, 13):02}/{rng.randrange(1, 29):02}/{rng.randrange(2010, 2026)}"
            uid = f"1.2.826.0.1.3680043.{rng.randrange(10**6)}.{rng.randrange(10**9)}"
            if at % 2:
                made.append(Asked(told(rng, person, when, uid, _LONGEST), own, ""))
            else:
                made.append(Asked(history(rng, person, when, uid), own, rng.choice(FRESH.strip().splitlines())))
    return made


def _answers(name: str, asked: list[Asked], python: str) -> list[dict[str, str]] | None:
    """Let a contestant clean all texts; return the lines of its answer, None where it does not run."""
    lines = "".join(json.dumps({"text": one.text, "own": sorted(one.own)}) + "\n" for one in asked)
    command = [python, "-m", "benchmarks.text_cleaners", name]
    done = subprocess.run(command, cwd=CHECKOUT, input=lines, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        Console(stderr=True).print(f"{name} does not run: {done.stderr[-200:].strip()}", style="dim", markup=False)
        return None
    return [json.loads(line) for line in done.stdout.splitlines()]


def _is_left(secret: Secret, text: str) -> bool:
    return any(form.casefold() in text for form in (secret.text, secret.text.upper()))


def _is_word_left(secret: Secret, words: set[str], useful: set[str]) -> bool:
    """Tell whether any telling word of a secret is left; such as were useful as well tell nothing."""
    telling = {word for word in words_in(secret.text) + words_in(secret.text.upper()) if len(word) >= _TELLING}
    return not words.isdisjoint(telling - useful)


def count(asked: list[Asked], answers: list[dict[str, str]]) -> Count:
    """Judge what a contestant left of the texts."""
    first, *cleaned, last = answers
    found = Count(version=first["version"], ms=float(last["cpu_s"]) * 1000 / len(asked))
    for one, answer in zip(asked, cleaned, strict=True):
        text, useful = answer["text"].casefold(), Counter(words_in(one.told.useful))
        words = Counter(words_in(text))
        for secret in one.told.secrets:
            is_left = _is_left(secret, text)
            is_word_left = is_left or _is_word_left(secret, set(words), {*useful, *words_in(one.fresh)})
            found.secrets[secret.kind] += 1
            found.gone[secret.kind] += not is_left
            found.wholly_gone[secret.kind] += not is_word_left
            found.missed[f"{secret.kind}: {secret.text}"] += is_word_left
        stayed = useful & words
        found.kept += stayed.total()
        found.useful += useful.total()
        fresh = Counter(words_in(one.fresh))
        found.fresh_kept += (fresh & (words - stayed)).total()
        found.fresh += fresh.total()
        found.lost.update((useful + fresh) - words)
    return found


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _tables(counts: dict[str, Count], title: str) -> tuple[Table, Table]:
    """Return both sides for each contestant, and secrets by what they are."""
    both = Table(title=title)
    for head in ("contestant", "version", "licence"):
        both.add_column(head)
    heads = ("secrets removed %", "no word of them left %", "useful words kept %", "of fresh phrases %", "ms per text")
    for head in heads:
        both.add_column(head, justify="right")
    kinds = Table("contestant", *(str(kind) for kind in Kind if any(one.secrets[kind] for one in counts.values())))
    kinds.title = "no word of the secret left, %, by kind"
    for name, one in counts.items():
        secrets = one.secrets.total()
        both.add_row(
            name,
            one.version,
            LICENCES[name.partition(",")[0]],
            _percent(one.gone.total(), secrets),
            _percent(one.wholly_gone.total(), secrets),
            _percent(one.kept, one.useful),
            _percent(one.fresh_kept, one.fresh),
            f"{one.ms:.2f}",
        )
        kinds.add_row(name, *(_percent(one.wholly_gone[kind], one.secrets[kind]) for kind in Kind if one.secrets[kind]))
    return both, kinds


def _interpreters(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, separator, path = pair.partition("=")
        if name not in LICENCES or not separator or not Path(path).exists():
            raise click.BadParameter(f"{pair} is not NAME=PATH with one of: {', '.join(LICENCES)}")
        found[name] = str(Path(path).absolute())
    return found


@click.command()
@click.option("--texts", default=1000, show_default=True, help="Texts to generate for each seed.")
@click.option("--seed", "seeds", default=(1, 2), multiple=True, show_default=True, help="Seeds of people and texts.")
@click.option("--culture", type=click.Choice(list(CULTURES)), default=None, help="People of this culture only.")
@click.option("--python", "pythons", multiple=True, metavar="NAME=PATH", help="Interpreter that has a library.")
@click.option("--misses", default=0, show_default=True, help="How many misses of each contestant to list, both sides.")
def main(texts: int, seeds: tuple[int, ...], culture: str | None, pythons: tuple[str, ...], misses: int) -> None:
    """Clean generated texts with our vocabulary and with libraries; show what went and what stayed."""
    warnings.simplefilter("ignore")  # telephone numbers are longer than their VR allows
    console, interpreters = Console(), _interpreters(pythons)
    asked = [one for seed in seeds for one in _asked(texts, seed, culture or "")]
    counts: dict[str, Count] = {}
    for name in CLEANERS:
        answers = _answers(name, asked, interpreters.get(name.partition(",")[0], sys.executable))
        if answers is not None:
            counts[name] = count(asked, answers)
    people = f"people of {culture} culture" if culture else f"people of {len(CULTURES)} cultures"
    for table in _tables(counts, f"{len(asked)} texts, seeds {', '.join(map(str, seeds))}, {people}"):
        console.print(table)
    for name, one in counts.items() if misses else ():
        console.print(f"\n{name}", style="bold")
        console.print("left:", (+one.missed).most_common(misses), highlight=False, markup=False)
        console.print("lost:", one.lost.most_common(misses), highlight=False, markup=False)


if __name__ == "__main__":
    main()
