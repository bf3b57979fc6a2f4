"""Profiles that hypothesis makes: rules of every kind under every policy, those that contradict themselves left out."""

import re
from dataclasses import dataclass

from hypothesis import strategies as st

from deidentify.actions import ALL_CODES
from deidentify.errors import ProfileError
from deidentify.profile import Profile
from deidentify.profile_text import OPTIONS

ATTRIBUTES = (
    "SeriesDescription", "StationName", "DeviceSerialNumber", "InstitutionName", "ProtocolName", "ImageComments",
    "PatientAge", "PatientWeight", "PatientAddress", "PatientComments", "ContentDate", "AcquisitionDate",
    "AcquisitionDateTime", "StudyTime", "FrameOfReferenceUID", "ReferencedSOPInstanceUID", "SliceThickness", "KVP",
    "Modality", "Manufacturer", "OperatorsName", "AccessionNumber", "StudyID", "CodeMeaning", "CodeValue", "TextValue",
    "ReferencedImageSequence", "SourceImageSequence", "RequestAttributesSequence", "ProcedureCodeSequence",
    "AcquisitionContextSequence", "FrameContentSequence", "RetrieveAETitle", "BodyPartExamined", "Rows",
)  # fmt: skip
GROUPS = ("(0008,xxxx)", "(0018,xxxx)", "(0010,1xxx)", "(0040,xxxx)", "(0008,103x)", "(0020,00xx)", "(002x,xxxx)")
VRS = ("LO", "SH", "PN", "DA", "TM", "UI", "SQ", "CS", "DS", "[LO, ST, LT]", "[DA, DT, TM]", "US")
CREATORS = ("Philips Imaging DD 001", "SIEMENS MR HEADER", "TESTPERSON 01")
PRIVATE = ("", ', element: "(2001,xx25)"', ', element: "(2001,xx01)"', ", vr: SH", ', element: "(2001,xx5F)", vr: SQ')
INSIDE = (
    "[]", "[AcquisitionContextSequence]", "[RequestAttributesSequence]", "[ReferencedImageSequence]",
    "[PerFrameFunctionalGroupsSequence, FrameContentSequence]", "[AcquisitionContextSequence, SourceImageSequence]",
)  # fmt: skip
ONLY = ("{modality: CT}", "{modality: [MR, US]}", "{sop_class: CT Image Storage}", "{sop_class: MR Image Storage}")
CONDITIONS = (
    "{keyword: Rows, is: 2}", "{keyword: Rows, is: [16, 512]}", "{keyword: SeriesDescription, contains: t2}",
    "{keyword: SeriesDescription, present: false}", "{keyword: ImageComments, matches: '^[A-Z]+ .* called$'}",
    "{keyword: PatientName, contains: testperson, not: true}", "{keyword: ContentDate, present: true}",
    "{keyword: ReferencedImageSequence, present: true}", "{keyword: KVP, is: '120'}",
    "{keyword: ImageType, is: AXIAL}", "{keyword: PixelData, present: true}",
)  # fmt: skip
TIGHTENING = ("X", "Z", "D", "Z/D", "X/Z", "X/D", "X/Z/D")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A profile that was accepted, and the lines of its text."""

    head: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join((*self.head, *(("rules:",) if self.rules else ()), *(f"  - {{{one}}}" for one in self.rules)))

    @property
    def profile(self) -> Profile:
        return Profile.from_yaml(self.text)


def _limits(draw: st.DrawFn) -> str:
    limits = ""
    # Not 0, which is drawn more often than others.
    if draw(st.integers(0, 5)) == 5:
        limits += f", inside: {draw(st.sampled_from(INSIDE))}"
    if draw(st.integers(0, 7)) == 7:
        limits += f", only: {draw(st.sampled_from(ONLY))}"
    if draw(st.integers(0, 5)) == 5:
        limits += f", when: [{', '.join(draw(st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=2)))}]"
    return limits


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    """Return the inside of a flow mapping: one rule."""
    kind = draw(st.sampled_from(["tag", "tag", "tag", "group", "vr", "private"]))
    codes = TIGHTENING if kind in {"group", "vr"} else sorted(ALL_CODES)
    action = draw(st.sampled_from(["K", "X"] if kind == "private" else codes))
    if kind == "tag":
        where = f"keyword: {draw(st.sampled_from(ATTRIBUTES))}"
    elif kind == "group":
        where = f'tag: "{draw(st.sampled_from(GROUPS))}"'
    elif kind == "vr":
        where = f"vr: {draw(st.sampled_from(VRS))}"
    else:
        where = f'private: {{creator: "{draw(st.sampled_from(CREATORS))}"{draw(st.sampled_from(PRIVATE))}}}'
    return f"{where}, action: {action}, reason: r{_limits(draw)}"


@st.composite
def profiles(draw: st.DrawFn, *, most: int = 20, last: tuple[str, ...] = ()) -> Made:
    """Return an accepted profile; options, policies, up to so many rules, and ``last`` as the last ones."""
    of_keys = ("dates", "descriptors", "safe-private", "pixel-data", "visual-features")
    options = [one for one in OPTIONS if not any(part in one for part in of_keys)]
    chosen = draw(st.lists(st.sampled_from(options), unique=True, max_size=4))
    age = "band" if "retain-patient-characteristics" in chosen and draw(st.booleans()) else "remove"
    head = (
        "name: made",
        "base: basic",
        f"options: [{', '.join(chosen)}]",
        f"dates: {draw(st.sampled_from(['shift', 'keep', 'remove']))}",
        f"text: {draw(st.sampled_from(['vocabulary', 'remove']))}",
        f"private: {draw(st.sampled_from(['safe', 'remove']))}",
        f"age: {age}",
    )
    rules = (*draw(st.lists(rule_texts(), min_size=most // 3, max_size=most)), *last)
    try:
        Profile.from_yaml(Made(head=head, rules=rules).text)
    except ProfileError as error:
        faulty = {int(number) for number in re.findall(r"rule (\d+):", str(error))}
        assert faulty, "only rules can be wrong here"
        rules = tuple(one for number, one in enumerate(rules, 1) if number not in faulty)
    made = Made(head=head, rules=rules)
    assert made.profile.name == "made"
    return made
