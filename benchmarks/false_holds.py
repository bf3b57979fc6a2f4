"""How often the last search holds an instance in which nothing identifying stayed, by patients with common names.

``.venv/bin/python -m benchmarks.false_holds [CORPUS]`` gives each name to each file in turn, de-identifies it, and
counts what is held. Names that stand in a file's own text by chance ("Head", "Long", "Siemens") are the point: the
header says it of the scan or the scanner, not of the patient. CORPUS is a folder of DICOM files; of it one for each
modality and maker is taken, beside what is generated here.
"""

import io
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.headers import enhanced_series, report_series
from benchmarks.inputs import ct_slice
from deidentify.deidentifier import Deidentifier
from deidentify.errors import DeidentificationError
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import PixelVerdict, ScreenReport

__all__ = ["NAMES", "Count", "count_holds", "generated"]

LARGEST = 600_000
"""Bytes of a file worth taking: what is searched are headers."""

_NAMES = (
    "Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Thompson Evans Walker White Roberts "
    "Green Hall Wood Jackson Clarke Lee Miller Davis Garcia Rodriguez Martinez Hernandez Lopez Gonzalez Anderson "
    "Thomas Moore Martin Perez Harris Clark Lewis Young Allen King Scott Torres Nguyen Hill Flores Adams Nelson "
    "Baker Rivera Campbell Mitchell Carter Phillips Stone May Long Short Head Hand Foot Bone Field Case Block "
    "Power Ray Silver Sharp Winter Summer Weeks Day Early Light Main Black Gray Grey Bush Rose Cross Ball Bell "
    "Cook Cooper Fisher Hunter Page Price Rice Snow Berg Frank Ernst Lang Klein Gross Mueller Schmidt Schneider "
    "Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Wolf Neumann Schwarz Braun Zimmermann "
    "Krueger Hartmann Lange Krause Lehmann Werner Kopf Hals Arm Bein Herz Kaiser Siemens Philips Zeiss Vogel "
    "Sommer Dubois Moreau Laurent Simon Michel Lefebvre Leroy Roux Petit Durand Bernard Robert Richard Blanc Noir "
    "Fontaine Lambert Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti "
    "Mancini Costa Fontana Testa Mano Jansen Bakker Visser Smit Meijer Boer Mulder Bos Vos Peters Hendriks Dekker "
    "Dijkstra Kok Post Nowak Kowalski Wojcik Kaminski Yilmaz Kaya Demir Celik Sahin Ozturk Arslan Dogan Kilic "
    "Aydin Tran Le Pham Hoang Phan Vu Dang Bui Do Ho Ngo Duong Ly Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou "
    "Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Kim Park Choi Jung Kang Cho Yoon Im Oh "
)
_GIVEN = (
    "Mary",
    "John",
    "Anna",
    "Max",
    "Mark",
    "Will",
    "Grace",
    "Hope",
    "Ray",
    "Rose",
    "June",
    "April",
    "August",
    "Ali",
    "Bo",
)
NAMES = tuple("".join(_NAMES).split())
"""Common family names of twelve countries, those that are words of radiology or of devices among them."""
NUMBERS = (
    "1",
    "42",
    "512",
    "2024",
    "12345",
    "0012345",
    "19700101",
    "20240229",
    "A1",
    "CT1",
    "MR2024",
    "100000",
    "000001",
    "1000000",
    "250000000",
)
"""Patient IDs as small sites and test systems give them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many instances went through, and why the others did not; the reasons name places, no values."""

    instances: int
    held: Counter[str]


def generated(folder: Path) -> list[Dataset]:
    """Return a CT slice, an enhanced MR object and a structured report."""
    paths = [enhanced_series(folder / "enhanced", 1)[0], report_series(folder / "report", 1)[0]]
    return [ct_slice(1, size=16), *map(dcmread, paths)]


def _of_corpus(corpus: Path, engine: Deidentifier) -> list[Dataset]:
    """Return one file for each modality and maker that is delivered as it is."""
    seen: set[tuple[str, str]] = set()
    found: list[Dataset] = []
    for path in sorted(corpus.rglob("*")):
        if not path.is_file() or path.stat().st_size > LARGEST:
            continue
        try:
            data = dcmread(path)
            kind = str(data.get("Modality")), str(data.get("Manufacturer"))[:10]
            if kind not in seen and _reason(engine, path.read_bytes(), 0) is None:
                data.save_as(io.BytesIO())
                seen.add(kind)
                found.append(data)
        except Exception:  # noqa: BLE001 - no DICOM, or nothing that pydicom can write again
            continue
    return found


def _reason(engine: Deidentifier, part10: bytes, case: int) -> str | None:
    source, target = io.BytesIO(part10), io.BytesIO()
    scope = PseudonymScope(key=bytes(range(32)), case_key=f"{case:032x}")
    try:
        received = engine.read(source)
        dropped = engine.disposition(received)
        if dropped is not None:
            return f"{dropped.reason}: {dropped.detail}"
        plan = engine.plan(received, scope)
        frames = plan.description.frames
        verdict = PixelVerdict.CLEAR if frames else PixelVerdict.NO_PIXELS
        engine.write(plan, ScreenReport(verdict=verdict, frames=frames, frames_read=frames), source, target)
        engine.verify(plan, target)
    except DeidentificationError as error:
        return f"{error.reason}: {error}"
    return None


def count_holds(engine: Deidentifier, originals: Sequence[Dataset], names: Sequence[str]) -> Count:
    """Give every name to every original, another name to its physician, and count what is not delivered."""
    held: Counter[str] = Counter()
    cases = [(data, number) for data in originals for number in range(len(names))]
    for case, (data, number) in enumerate(track(cases, "giving names", console=Console(stderr=True), transient=True)):
        data.PatientName = f"{names[number]}^{_GIVEN[number % len(_GIVEN)]}"
        data.ReferringPhysicianName = names[-number - 1]
        data.PatientID = NUMBERS[number % len(NUMBERS)]
        part10 = io.BytesIO()
        data.save_as(part10)
        reason = _reason(engine, part10.getvalue(), case)
        if reason is not None:
            held[reason] += 1
    return Count(instances=len(cases), held=held)


def main() -> None:
    """Count and show."""
    warnings.simplefilter("ignore")
    profile = Path(__file__).parents[1] / "config" / "profiles" / "teaching.yaml"
    engine = Deidentifier(Profile.from_yaml(profile.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        originals = generated(Path(folder))
    for corpus in sys.argv[1:]:
        originals += _of_corpus(Path(corpus), engine)
    count = count_holds(engine, originals, NAMES)
    total = count.held.total()
    title = (
        f"{total} of {count.instances} held ({total / count.instances:.2%}): {len(originals)} files, {len(NAMES)} names"
    )
    table = Table("held", "reason", title=title)
    for reason, number in count.held.most_common():
        table.add_row(str(number), reason)
    Console().print(table if total else title)


if __name__ == "__main__":
    main()
