"""One instance from identified to de-identified: read, decide, plan, write once; then verify what was written."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from typing import BinaryIO

from deidentify.dataset import (
    PIXEL_TAGS,
    Element,
    Encoding,
    ReceivedInstance,
    Source,
    find,
)
from deidentify.decisions import Decisions
from deidentify.description import describe
from deidentify.disposition import disposition_of
from deidentify.errors import PixelScreenError, PixelsMissingError, UnreadableInstanceError
from deidentify.identity import IdentifiedTokens, identified_tokens
from deidentify.markers import CLEAN_VISUAL_FEATURES, PrivateBlock, executed_options, markers
from deidentify.memory import CaseMemory
from deidentify.parser import read_instance
from deidentify.pixel_policy import Faces, PixelPolicy
from deidentify.pixels.faces import FaceRisk, shows_face
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope
from deidentify.redaction import RedactedInstance, redacted, with_redaction, write_around
from deidentify.references import referenced_instances, with_uids
from deidentify.results import (
    DeidentifiedInstance,
    Description,
    Dropped,
    Hold,
    HoldReason,
    PixelVerdict,
    RemovedText,
    Report,
    ScreenReport,
)
from deidentify.tables import iod_types, method_codes
from deidentify.verify import verify_written
from deidentify.walk import CONTENT_SEQUENCE, Walk
from deidentify.writing import Writer, file_meta

_BY_REFERENCE = 0x0040DB73
_GRAPHIC_ANNOTATIONS = 0x00700001
_FACES = {
    FaceRisk.PHOTOGRAPH: "a photograph in which a face may be seen",
    FaceRisk.VOLUME: "slices of a head from which a face could be rendered",
    FaceRisk.RENDERING: "a rendered picture in which a face may be seen",
}
_MOST_KINDS = 500
"""Kinds of instances, by SOP Class and the rules that are about them, whose decisions are remembered."""
_NEVER_NEEDS_PIXELS = frozenset(("1.2.840.10008.5.1.4.1.1.481.2",))
"""RT Dose may hold a histogram alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderPlan:
    """What will be written, decided to the last byte but for what the pixel screen adds. It stays in one process."""

    identified_tokens: IdentifiedTokens = field(repr=False)
    elements: list[Element] = field(repr=False)
    encoding: Encoding
    transfer_syntax_uid: str
    description: Description
    actions: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    removed_text: tuple[RemovedText, ...]
    written_dates: frozenset[str] = field(repr=False)
    has_pixels: bool
    needs_pixels: bool
    option_matter: tuple[tuple[str, bool], ...]
    """Option → whether it had something to do, for those that have it in some instances only."""
    private_blocks: tuple[PrivateBlock, ...]
    stated_burned_in: bytes
    """What the original says of burned-in annotation: YES, NO or nothing."""
    deflated_at: int | None
    face: str
    """How a face could be seen; empty where none could."""
    masked_uid: Callable[[str], str] = field(repr=False)
    """Gives the SOP Instance UID under a change of the pixels, by the name of the change."""


class Deidentifier:
    """The engine under one profile revision; it opens nothing.

    Between instances it keeps its decisions on attributes, and of the last case what would be found out anew.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._decisions: dict[tuple[str, tuple[bool, ...]], Decisions] = {}
        self._memory: CaseMemory | None = None

    @property
    def pixel_policy(self) -> PixelPolicy:
        """How the profile wants pixels to be treated."""
        return self._profile.pixel_policy

    def _memory_of(self, scope: PseudonymScope) -> CaseMemory:
        if self._memory is None or self._memory.scope != scope:
            self._memory = CaseMemory(scope)
        return self._memory

    def decisions_for(self, received: ReceivedInstance) -> Decisions:
        """Return the decisions on the attributes of an instance, by its SOP Class and the rules that are about it."""
        sop_class = received.text(0x00080016)
        types = iod_types(sop_class)
        # Classes that PS3.3 does not know share their decisions: what a file calls itself must not fill the memory.
        key = (sop_class if types is not None else "", self._profile.fitting(received))
        if key not in self._decisions:
            if len(self._decisions) >= _MOST_KINDS:
                self._decisions.clear()
            self._decisions[key] = Decisions(self._profile, types, self._profile.rules_of(key[1]))
        return self._decisions[key]

    def read(self, identified_file: BinaryIO) -> ReceivedInstance:
        """Parse a file to its end; pixel data is not read.

        Raises
        ------
        UnreadableInstanceError
            If it cannot be parsed.
        UnsupportedTransferSyntaxError
            If the transfer syntax is unknown.
        """
        return read_instance(identified_file)

    def disposition(self, received: ReceivedInstance) -> Dropped | Hold | None:
        """Return why the profile leaves the instance out or why it waits; None when it goes on."""
        return disposition_of(received, self._profile)

    def hold_for_face(self, received: ReceivedInstance, *, is_accepted: bool = False) -> Hold | None:
        """Return why an instance waits since a face could be seen in it; None where the profile lets it go on."""
        risk = shows_face(received)
        if risk is None or is_accepted or self._profile.pixel_policy.faces is not Faces.HOLD:
            return None
        return Hold(reason=HoldReason.RECOGNIZABLE_FACE, detail=_FACES[risk])

    def plan(self, received: ReceivedInstance, scope: PseudonymScope) -> HeaderPlan:
        """Decide every element; nothing is written.

        Raises
        ------
        InvalidResultError
            If the change would empty a required attribute.
        """
        memory = self._memory_of(scope)
        sop_class = received.text(0x00080016)
        decisions = self.decisions_for(received)
        identified = identified_tokens(received, decisions.keeps, memory)
        types = decisions.types
        walk = Walk(decisions, memory, identified)
        walk.encoding = received.encoding
        walk.identified_patient_id = received.text(0x00100020) or received.text(0x0020000D)
        walk.identified_ages = (received.text(0x00101010), received.text(0x00100030), received.text(0x00080020))
        content = find(received.identified_elements, CONTENT_SEQUENCE)
        walk.has_by_reference = content is not None and _has_by_reference([content])
        elements = sorted(walk.elements(received.identified_elements), key=lambda element: element.tag)
        tags = [element.tag for element in elements]
        if len(set(tags)) != len(tags):
            raise UnreadableInstanceError("an attribute stands twice in the data set")
        if len(PIXEL_TAGS.intersection(tags)) > 1:
            # The pixel screen reads one of them only.
            raise UnreadableInstanceError("there is more than one pixel data element")
        has_pixels = any(element.tag in PIXEL_TAGS and not _is_absent(element) for element in elements)
        return HeaderPlan(
            identified_tokens=identified,
            elements=elements,
            encoding=received.encoding,
            transfer_syntax_uid=received.transfer_syntax_uid,
            description=describe(elements, received, has_pixels=has_pixels),
            actions=tuple(sorted(walk.counts.items())),
            notes=(*received.notes, *(f"{note} ({count})" for note, count in sorted(walk.notes.items()))),
            removed_text=tuple(walk.removed_text),
            written_dates=frozenset(walk.written_dates),
            has_pixels=has_pixels,
            needs_pixels=types is not None
            and types.type_of((), 0x7FE00010) is not None
            and types.type_of((), 0x00280010) == "1"
            and sop_class not in _NEVER_NEEDS_PIXELS,
            option_matter=(
                ("clean_structured_content", find(elements, CONTENT_SEQUENCE) is not None),
                ("clean_graphics", find(elements, _GRAPHIC_ANNOTATIONS) is not None),
                ("retain_safe_private", bool(walk.private_blocks)),
            ),
            private_blocks=tuple(sorted(walk.private_blocks)),
            stated_burned_in=_stated_burned_in(received),
            deflated_at=received.deflated_at,
            face=shows_face(received) or "",
            masked_uid=partial(scope.uid, received.text(0x00080018)),
        )

    def write(
        self,
        plan: HeaderPlan,
        screen: ScreenReport | None,
        identified_file: BinaryIO,
        target: BinaryIO,
        *,
        scratch: Callable[[], BinaryIO] = BytesIO,
    ) -> DeidentifiedInstance:
        """Write the instance; pixel bytes are copied from the original but for the boxes that have to become black.

        Without a ``screen`` nobody looked at the pixels. The header is clean all the same, but the instance says that
        the identity was not removed where it has pixels: Patient Identity Removed (0012,0062) speaks of both. What is
        written with boxes made black has to be read again before it counts: ``PixelScreener.still_there``.

        Parameters
        ----------
        scratch
            Gives a file for pixel data that are made anew, which is closed here. In memory by default.

        Raises
        ------
        PixelScreenError
            Unless the screen read every frame and said what becomes of what it found, or there are no pixels by the
            instance's definition.
        PixelDecodeError, RedactionError
            Boxes cannot be made black.
        """
        if screen is None:
            screen = _not_screened(plan)
        else:
            _check_screen(plan, screen, self._profile)
        options = executed_options(self._profile, screen, dict(plan.option_matter))
        done = markers(self._profile, screen, options, plan.private_blocks, plan.encoding)
        if screen.verdict is PixelVerdict.NOT_EVALUATED and plan.stated_burned_in:
            # Some IODs require an answer; this one is the device's, not ours.
            done.append(Element(0x00280301, "CS", plan.stated_burned_in))
        # Where the IOD asks for an answer about faces, the walk has written YES.
        tags = {element.tag for element in done}
        elements = [element for element in plan.elements if element.tag not in tags]
        elements = sorted([*elements, *done], key=lambda element: element.tag)
        writer = Writer(target, plan.encoding)
        description, unchanged_uid = plan.description, ""
        source = Source(identified_file, deflated_at=plan.deflated_at)
        try:
            if screen.verdict is PixelVerdict.REDACT:
                unchanged_uid = description.sop_instance_uid
                with scratch() as pixels:
                    made = redacted(identified_file, screen.boxes, pixels)
                    description = _described_anew(plan, made)
                    uids = {unchanged_uid.encode(): description.sop_instance_uid.encode()}
                    elements = with_uids(with_redaction(elements, made, plan.encoding), uids)
                    writer.raw(
                        file_meta(
                            description.sop_class_uid, description.sop_instance_uid, description.transfer_syntax_uid
                        )
                    )
                    write_around(writer, elements, source, made, pixels)
                screen = replace(screen, boxes=made.boxes)
            else:
                writer.raw(_meta_of(description))
                writer.elements(elements, source)
        finally:
            source.close()
        digest, size = writer.finish()
        report = Report(
            profile=self._profile.name,
            profile_revision=self._profile.revision,
            actions=plan.actions,
            options=tuple(method_codes()[option][0] for option in options),
            notes=plan.notes,
            removed_text=plan.removed_text,
        )
        return DeidentifiedInstance(
            description=description,
            report=report,
            screen=screen,
            sha256=digest,
            size_bytes=size,
            uid_of_original=unchanged_uid,
            face=plan.face,
            references=referenced_instances(elements),
        )

    def verify(self, plan: HeaderPlan, target: BinaryIO) -> None:
        """Parse the written bytes again and search them for every identifier of the original.

        Raises
        ------
        ResidualIdentifierError
            If one is found; the text says where, never what.
        InvalidResultError
            If the bytes cannot be parsed.
        """
        target.flush()
        verify_written(target, plan.identified_tokens, plan.written_dates, self._memory)


def _has_by_reference(elements: list[Element]) -> bool:
    """Tell whether a content item is referred to by its place (PS3.3 C.17.3.2.5), so that none may go."""
    return any(
        element.tag == _BY_REFERENCE
        or (element.items is not None and any(_has_by_reference(item) for item in element.items))
        for element in elements
    )


def _is_absent(element: Element) -> bool:
    return element.span is None and not element.value


def _check_screen(plan: HeaderPlan, screen: ScreenReport, profile: Profile) -> None:
    if plan.has_pixels:
        if screen.verdict not in {PixelVerdict.CLEAR, PixelVerdict.REDACT}:
            raise PixelScreenError("the pixel screen did not clear this instance")
        if screen.frames < 1 or screen.frames_read != screen.frames:
            raise PixelScreenError("the pixel screen did not read every frame")
        if (screen.verdict is PixelVerdict.REDACT) != bool(screen.boxes):
            raise PixelScreenError("the pixel screen does not say where the pixels have to become black")
        if CLEAN_VISUAL_FEATURES in profile.options and not screen.visual_features_cleaned:
            raise PixelScreenError("the profile asks that faces be made unrecognizable, and the screen did not do that")
    elif screen.verdict is not PixelVerdict.NO_PIXELS:
        raise PixelScreenError("the instance has no pixel data, but the pixel screen does not say so")
    elif plan.needs_pixels:
        raise PixelsMissingError("the pixel data is missing")


def _not_screened(plan: HeaderPlan) -> ScreenReport:
    if plan.has_pixels:
        return ScreenReport(verdict=PixelVerdict.NOT_EVALUATED, frames=plan.description.frames, frames_read=0)
    return ScreenReport(verdict=PixelVerdict.NO_PIXELS, frames=0, frames_read=0)


def _stated_burned_in(received: ReceivedInstance) -> bytes:
    stated = received.text(0x00280301)
    return stated.encode() if stated in {"YES", "NO"} else b""


def _meta_of(description: Description) -> bytes:
    return file_meta(description.sop_class_uid, description.sop_instance_uid, description.transfer_syntax_uid)


def _described_anew(plan: HeaderPlan, made: RedactedInstance) -> Description:
    syntax = made.pixels.transfer_syntax or plan.transfer_syntax_uid
    return replace(plan.description, sop_instance_uid=plan.masked_uid(made.mask), transfer_syntax_uid=str(syntax))
