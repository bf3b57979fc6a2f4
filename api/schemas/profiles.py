"""Profiles on the wire: what they say, what their names mean, what becomes of an attribute."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from api.problems import fault_parts
from api.schemas.common import Answer, Body, Line, ProblemPart
from cases.profiles import CountedPublication, Meaning, NamedProfile, Origin, ProfileSource, ShownProfile
from deidentify.profile_facts import ANY_SOP_CLASS, Question
from deidentify.translation import Translation

REVISION_EXAMPLE = "8fe18da09dce0803"
PROFILE_EXAMPLE = """\
name: mr-device
base: teaching
rules:
  - {keyword: StationName, only: {modality: MR}, action: K, reason: Physicists compare scanners.}
"""
SCRIPT_EXAMPLE = '<script>\n  <e en="T" t="00081010" n="StationName">@remove()</e>\n</script>\n'
MOST_TEXT = 1_000_000
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,39}$"

ProfileName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Replaced = Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{16})?$")]
ProfileBody = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TEXT)]
Note = Annotated[Line, StringConstraints(strip_whitespace=True, max_length=200)]
Attribute = Annotated[Line, StringConstraints(min_length=1, max_length=64)]


# -- what is shown ----------------------------------------------------------------------------------------------------


class HoldRuleOut(Answer):
    """Instances that a person looks at before they go on."""

    name: str = Field(examples=["ultrasound of room 3"])
    reason: str = Field(examples=["Its presets write names into a corner."])
    where: str = Field(examples=["line 6"])


class ProfileFactsOut(Answer):
    """What a profile says but for its rules, that of its bases included."""

    name: str = Field(examples=["mr-device"])
    revision: str = Field(examples=[REVISION_EXAMPLE])
    description: str = Field(examples=["As teaching, with the device for MR."])
    base: list[str] = Field(examples=[["teaching"]], description="The farthest first; `basic` alone without one.")
    options: list[str] = Field(examples=[["clean-descriptors", "clean-pixel-data"]])
    dates: str = Field(examples=["shift"])
    text: str = Field(examples=["vocabulary"])
    age: str = Field(examples=["remove"])
    vocabulary: int = Field(examples=[0], description="Words and phrases of the site.")
    pixels: list[str] = Field(examples=[["text: redact", "faces: warn"]], description="Each key with its value.")
    dropped: list[str] = Field(examples=[["video"]], description="Kinds of objects and SOP Classes.")
    held: list[str] = Field(examples=[[]])
    kept: list[str] = Field(examples=[[]])
    hold: list[HoldRuleOut]


class RuleOut(Answer):
    """One rule, in words; of conditions it is not told what they compare with."""

    where: str = Field(examples=["line 4"])
    about: str = Field(examples=["(0008,1010) StationName"])
    action: str = Field(examples=["K"])
    only_for: str = Field(examples=["MR"], description="Empty: for all instances.")
    reason: str = Field(examples=["Physicists compare scanners."])


class LoosenedOut(Answer):
    """What a profile keeps though options and Table E.1-1 would not."""

    place: str = Field(examples=["line 4"])
    subject: str = Field(examples=["(0008,1010) StationName"])
    action: str = Field(examples=["K"])
    instead_of: str = Field(examples=["X/Z/D"])
    reason: str = Field(examples=["Physicists compare scanners."])


class TranslatedLineOut(Answer):
    """One line of the original, and what became of it."""

    number: int = Field(examples=[2])
    source: str = Field(examples=['<e en="T" t="00081010" n="StationName">@remove()</e>'])
    outcome: Literal["rule", "policy", "same", "not-translated", "disabled"] = Field(examples=["same"])
    became: str = Field(examples=["The Basic Profile removes it."])
    is_whole: bool = Field(True, description="False where a rule does a part of what the line asks for.")


class RecipeOut(Answer):
    """A recipe of the deid package beside a profile, and what became of its lines."""

    called: str = Field(examples=["ct-room.recipe"])
    allow_loosening: str = Field(examples=[""], description="Why its lines may keep more; without it none does.")
    lines: list[TranslatedLineOut]
    loosened: list[int] = Field(examples=[[]], description="Lines by which more is kept than without the recipe.")


class CheckedOut(Answer):
    """All that a profile says, and all that it loosens."""

    facts: ProfileFactsOut
    rules: list[RuleOut] = Field(description="From top to bottom, those of the bases first; the last that fits wins.")
    loosened: list[LoosenedOut]
    recipes: list[RecipeOut]


class RevisionOut(Answer):
    """A text with those that it is built on; it never changes."""

    revision: str = Field(examples=[REVISION_EXAMPLE])
    text: str = Field(examples=[PROFILE_EXAMPLE])
    checked: CheckedOut | None = Field(description="Null where this version of the program refuses the text.")
    faults: list[ProblemPart]

    @classmethod
    def of(cls, shown: ShownProfile) -> Self:
        """Describe a text."""
        return cls(
            revision=shown.source.revision,
            text=shown.source.text,
            checked=CheckedOut.model_validate(shown.checked) if shown.checked is not None else None,
            faults=fault_parts(shown.faults),
        )


class PublicationOut(Answer):
    """That a name means a revision, since when and by whose decision."""

    revision: str = Field(examples=[REVISION_EXAMPLE])
    published_at: datetime
    published_by: str = Field(examples=["admin"])
    note: str = Field(examples=["device of MR for the physicists"])
    cases: int = Field(examples=[12], description="Begun under this revision, from whichever publication of it.")

    @classmethod
    def of(cls, counted: CountedPublication) -> Self:
        """Describe a publication."""
        one = counted.publication
        return cls(
            revision=one.revision,
            published_at=one.published_at,
            published_by=one.published_by,
            note=one.note,
            cases=counted.cases,
        )


class ProfileItem(Answer):
    """What a name means."""

    name: str = Field(examples=["mr-device"])
    origin: Origin = Field(examples=[Origin.PUBLISHED], description="`published` goes before `file`.")
    revision: str | None = Field(examples=[REVISION_EXAMPLE], description="Null where the file cannot be read.")
    base: list[str] = Field(examples=[["teaching"]])
    description: str = Field(examples=[""])
    cases: int = Field(examples=[12], description="Begun under this revision.")
    faults: list[ProblemPart] = Field(examples=[[]], description="Why a text is refused; none when it is right.")

    @classmethod
    def of(cls, named: NamedProfile) -> Self:
        """Describe what a name means."""
        shown = named.shown
        facts = shown.checked.facts if shown is not None and shown.checked is not None else None
        faults = shown.faults if shown is not None else ("the file cannot be read; make it a readable UTF-8 text",)
        return cls(
            name=named.name,
            origin=shown.source.origin if shown is not None else Origin.FILE,
            revision=shown.source.revision if shown is not None else None,
            base=list(facts.base) if facts is not None else [],
            description=facts.description if facts is not None else "",
            cases=named.cases,
            faults=fault_parts(faults),
        )


class ProfilesOut(Answer):
    """Every name that means something."""

    items: list[ProfileItem]


class ProfileOut(ProfileItem):
    """What a name means, all that this says, and since when."""

    checked: CheckedOut | None = Field(description="Null where the text is refused.")
    publications: list[PublicationOut] = Field(description="The latest first.")

    @classmethod
    def of(cls, named: NamedProfile) -> Self:
        """Describe what a name means."""
        shown = named.shown
        found = shown.checked if shown is not None else None
        return cls(
            **ProfileItem.of(named).model_dump(),
            checked=CheckedOut.model_validate(found) if found is not None else None,
            publications=[PublicationOut.of(one) for one in named.publications],
        )


class OtherFateOut(RuleOut):
    """What becomes of an attribute in the instances that a rule is about."""

    code: str = Field(examples=["K"])
    becomes: str = Field(examples=["kept"])
    by: str = Field(examples=["rule"])
    source: str = Field(examples=["line 4"])


class AttributeOut(Answer):
    """What becomes of one attribute, and by what."""

    tag: str = Field(examples=["(0008,1010)"])
    inside: list[str] = Field(examples=[[]])
    attribute: str = Field(examples=["StationName"])
    vr: str = Field(examples=["SH"])
    code: str = Field(examples=["X/Z/D"], description="Of rule or table; empty outside both.")
    becomes: str = Field(examples=["removed"])
    by: str = Field(examples=["Basic Profile"])
    source: str = Field(examples=["Table E.1-1"], description="Which line, which option, which kind of value.")
    reason: str = Field(examples=[""])
    in_some_instances: list[OtherFateOut] = Field(description="Rules that are about some instances only.")


class ExplainedOut(Answer):
    """What becomes of the attributes that were asked for."""

    items: list[AttributeOut]


class TranslatedOut(Answer):
    """A profile to be read and edited; nothing is published."""

    text: str = Field(examples=["name: ctp-script\nbase: basic\n"])
    lines: list[TranslatedLineOut]
    not_translated: int = Field(examples=[0], description="So many lines stand in the profile as remarks alone.")

    @classmethod
    def of(cls, found: Translation) -> Self:
        """Describe a translation."""
        lines = [TranslatedLineOut.model_validate(line) for line in found.lines]
        left = sum(line.outcome == "not-translated" for line in lines)
        return cls(text=found.profile_yaml, lines=lines, not_translated=left)


class MeaningOut(Answer):
    """What a name means from the next case on. Cases that are there keep their revision."""

    name: str = Field(examples=["mr-device"])
    revision: str = Field(examples=[REVISION_EXAMPLE])
    before: str = Field(examples=["9222bfe5bf2270d7"], description="What it meant until then; empty: nothing.")
    is_changed: bool = Field(examples=[True], description="False: it meant this already, and nothing was done.")
    loosened: int = Field(examples=[2], description="How much it keeps that options and table would not.")

    @classmethod
    def of(cls, meaning: Meaning) -> Self:
        """Describe a decision."""
        return cls.model_validate(meaning)


# -- what is asked ----------------------------------------------------------------------------------------------------


class ProfileToCheck(Body):
    """A text to look at."""

    text: ProfileBody = Field(
        examples=[PROFILE_EXAMPLE],
        description="YAML; the texts of its bases are looked up, those that were published first.",
    )


class ProfileToExplain(Body):
    """An attribute, and the profile that it is asked about: one of text, name and revision."""

    text: ProfileBody | None = Field(None, examples=[None])
    name: ProfileName | None = Field(None, examples=["teaching"])
    revision: Revision | None = Field(None, examples=[None])
    attribute: Attribute | None = Field(
        None, examples=["StationName"], description="A tag or keyword; null for all that table, options and rules name."
    )
    inside: list[Attribute] = Field(
        default_factory=list, max_length=16, examples=[[]], description="Sequences around it, the outermost first."
    )
    sop_class: Attribute = Field(ANY_SOP_CLASS, description="Whose attribute Types count, by UID or name.")

    @property
    def sources(self) -> int:
        """How many profiles are told."""
        return sum(one is not None for one in (self.text, self.name, self.revision))

    @property
    def source(self) -> ProfileSource:
        """Which profile is meant."""
        return ProfileSource(text=self.text, name=self.name, revision=self.revision)

    @property
    def question(self) -> Question:
        """What is asked."""
        return Question(attribute=self.attribute, inside=tuple(self.inside), sop_class=self.sop_class)


class ProfileToPublish(ProfileToCheck):
    """A text that its name means from the next case on."""

    note: Note = Field("", examples=["device of MR for the physicists"], description="Why, for the history.")
    replaces: Replaced | None = Field(
        None,
        examples=[None],
        description="The revision that the name means until now, empty for none: if another one counts by now, "
        "nothing is changed (412).",
    )


class ProfileRollback(Body):
    """What is taken back."""

    replaces: Revision | None = Field(
        None, examples=[None], description="The revision that the name means until now; another one: 412."
    )


class ProfileToTranslate(Body):
    """An anonymizer script of RSNA CTP, or a recipe of the Python package ``deid``."""

    text: ProfileBody = Field(examples=[SCRIPT_EXAMPLE])
    name: ProfileName | None = Field(None, examples=[None], description="Of the profile, for recipes.")
    allow_loosening: Note = Field(
        "", description="Why a recipe may keep what the Basic Profile would not; without it, it keeps nothing more."
    )
