"""Which instances are left out by the profile, and which cannot be handled at all (DESIGN: the default drops)."""

import re
from collections.abc import Iterator

from deidentify.dataset import ReceivedInstance, text_of
from deidentify.dictionary import registered_uids
from deidentify.manifest import Purpose, ignored_because, is_teaching_information, purpose_of
from deidentify.profile import KEEPABLE, Profile
from deidentify.results import Dropped, DropReason, Hold, HoldReason
from deidentify.tables import iod_types

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_STUDY_INSTANCE_UID = 0x0020000D
_RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_DOSE_REPORTS = frozenset(_STORAGE + tail for tail in ("88.67", "88.68", "88.73", "88.75", "88.76"))
_PRESENTATION_STATES = _STORAGE + "11."
_DOCUMENTS = _STORAGE + "104."
_VIDEO_CLASSES = frozenset(_STORAGE + tail for tail in ("77.1.1.1", "77.1.2.1", "77.1.4.1"))
_VIDEO_SYNTAXES = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?|1\.2\.840\.10008\.1\.2\.7\.\d")
_SLIDE = _STORAGE + "77.1.6"
_VOICE = frozenset(_STORAGE + tail for tail in ("9.4.1", "9.4.2"))
_SECONDARY_CAPTURE = _STORAGE + "7"
_STRUCTURED = _STORAGE + "88."
_STRUCTURED_ELSEWHERE = frozenset((_STORAGE + "79.1", _STORAGE + "78.7", _STORAGE + "78.8"))

# Image Type (0008,0008) and description words that vendors give to captured pages.
_CAPTURE_TYPES = frozenset(
    (
        *("SCREEN SAVE", "SCREENSAVE", "SCREEN_SAVE", "SCREEN CAPTURE", "DOSE_INFO", "DOSE INFO", "DOSE REPORT"),
        *("DOSE_REPORT", "PROTOCOL", "PATIENT PROTOCOL", "EXAM PROTOCOL", "CT_SOM5 PROT", "CT_SOM7 PROT"),
    )
)
_CAPTURE_DESCRIPTION = re.compile(
    r"\b(dose (report|info|record|summary)|patient protocol|exam(ination)? protocol|screen ?(save|shot|capture)s?)\b",
    re.IGNORECASE,
)


def disposition_of(received: ReceivedInstance, profile: Profile) -> Dropped | Hold | None:
    """Return why an instance is left out or waits; None when it goes on."""
    sop_class = received.text(0x00080016)
    if not sop_class and _is_media_directory(received):
        return _dropped(DropReason.MEDIA_DIRECTORY, "an index of a medium, not an instance", profile)
    if not sop_class:
        return Hold(reason=HoldReason.UNREADABLE, detail="the instance has no SOP Class UID (0008,0016)")
    policy = profile.sop_classes
    if sop_class in policy.drop_uids:
        return Dropped(reason=DropReason.PROFILE, detail="the profile leaves this SOP Class out")
    if sop_class in policy.hold_uids:
        # Before its kind is looked at: who names the class means more than who names the kind.
        return Hold(reason=HoldReason.PROFILE, detail="the profile has a person decide on this SOP Class")
    for reason, detail in _reasons(received, sop_class):
        if _may_go_on(reason, sop_class, profile):
            continue
        return _dropped(reason, detail, profile)
    return _hold(received, sop_class, profile)


def _may_go_on(reason: DropReason, sop_class: str, profile: Profile) -> bool:
    """Tell whether an object goes on although it is of a kind that is left out by default."""
    needed = KEEPABLE.get(reason)
    if needed is None or (needed and needed not in profile.options):
        return False
    policy = profile.sop_classes
    if sop_class in policy.keep_uids or reason in policy.keep:
        return True
    return bool(needed) and reason not in policy.drop | policy.hold


def kind_of_class(sop_class: str) -> DropReason | None:
    """Return the kind of objects that a SOP Class is of, whatever is in them; None for one that goes on."""
    kinds = (
        (not sop_class.startswith("1.2.840.10008."), DropReason.PRIVATE_SOP_CLASS),
        (sop_class == _MEDIA_DIRECTORY, DropReason.MEDIA_DIRECTORY),
        (sop_class == _RAW_DATA, DropReason.RAW_DATA),
        (sop_class in _DOSE_REPORTS, DropReason.DOSE_REPORT),
        (sop_class.startswith(_PRESENTATION_STATES), DropReason.PRESENTATION_STATE),
        (sop_class.startswith(_DOCUMENTS), DropReason.ENCAPSULATED_DOCUMENT),
        (sop_class in _VIDEO_CLASSES, DropReason.VIDEO),
        (sop_class in _VOICE, DropReason.PROFILE),
    )
    return next((kind for applies, kind in kinds if applies), None)


def _hold(received: ReceivedInstance, sop_class: str, profile: Profile) -> Hold | None:
    reason, detail = HoldReason.UNREADABLE, ""
    structured = sop_class.startswith(_STRUCTURED) or sop_class in _STRUCTURED_ELSEWHERE
    if not received.text(0x00080018):
        detail = "the instance has no SOP Instance UID (0008,0018)"
    elif not received.text(_STUDY_INSTANCE_UID):
        detail = "the instance has no Study Instance UID (0020,000D)"
    elif iod_types(sop_class) is None and not _is_known_storage(sop_class):
        reason, detail = HoldReason.UNSUPPORTED_SOP_CLASS, "the attributes of this SOP Class are not known"
    elif structured and "clean_structured_content" not in profile.options:
        reason, detail = HoldReason.PROFILE, "a structured report, and the profile does not clean structured content"
    if not detail:
        doubt = next((one for one in profile.doubts if one.fits(received)), None)
        if doubt is not None:
            name = f" ({doubt.name})" if doubt.name else ""
            reason, detail = HoldReason.PROFILE, f"the profile has a person look at such instances{name}"
    return Hold(reason=reason, detail=detail) if detail else None


def _is_media_directory(received: ReceivedInstance) -> bool:
    if any(element.tag >> 16 == 0x0004 for element in received.identified_elements):  # noqa: PLR2004
        return True
    return text_of(received.identified_meta, 0x00020002) == _MEDIA_DIRECTORY


def _dropped(reason: DropReason, detail: str, profile: Profile) -> Dropped | Hold:
    if reason is DropReason.PROFILE or reason in profile.drop:
        return Dropped(reason=reason, detail=detail)
    return Hold(reason=HoldReason.PROFILE, detail=f"{detail}; the profile does not drop it, so a person decides")


def _is_known_storage(sop_class: str) -> bool:
    return sop_class.startswith(_STORAGE) and registered_uids().get(sop_class) == "SOP Class"


def _reasons(received: ReceivedInstance, sop_class: str) -> Iterator[tuple[DropReason, str]]:
    """Yield what speaks for leaving it out, the most telling first."""
    image_type = [value.strip() for value in received.text(0x00080008).upper().split("\\")]
    types = iod_types(sop_class)
    video = sop_class in _VIDEO_CLASSES or _VIDEO_SYNTAXES.fullmatch(received.transfer_syntax_uid)
    slide_label = sop_class == _SLIDE and {"LABEL", "OVERVIEW"} & set(image_type)
    manifest = _manifest(received)
    alone = types is not None and types.type_of((), _STUDY_INSTANCE_UID) is None
    found = (
        (not sop_class.startswith("1.2.840.10008."), DropReason.PRIVATE_SOP_CLASS, "the SOP Class is private"),
        (sop_class == _MEDIA_DIRECTORY, DropReason.MEDIA_DIRECTORY, "an index of a medium, not an instance"),
        (sop_class == _RAW_DATA, DropReason.RAW_DATA, "raw data of the device"),
        (sop_class in _DOSE_REPORTS, DropReason.DOSE_REPORT, "a radiation dose report"),
        (sop_class.startswith(_PRESENTATION_STATES), DropReason.PRESENTATION_STATE, "a presentation state"),
        (sop_class.startswith(_DOCUMENTS), DropReason.ENCAPSULATED_DOCUMENT, "an encapsulated document"),
        (video, DropReason.VIDEO, "a video"),
        (bool(manifest), DropReason.TEACHING_FILE_MANIFEST, manifest),
        (sop_class in _VOICE, DropReason.PROFILE, "a sound recording: a voice identifies"),
        (alone, DropReason.PROFILE, "not part of a study by its definition"),
        (slide_label, DropReason.SLIDE_LABEL, "the label or overview of a slide"),
        (
            _is_capture(received, sop_class, image_type),
            DropReason.SCREEN_CAPTURE,
            "a captured dose, protocol or screen page",
        ),
    )
    return ((reason, detail) for applies, reason, detail in found if applies)


def _manifest(received: ReceivedInstance) -> str:
    """Return how a document takes part in making a teaching file; empty for all others."""
    if is_teaching_information(received):
        return "the text that came with a teaching file"
    purpose = purpose_of(received)
    if purpose is None or purpose is Purpose.OTHER:
        return ""
    return ignored_because(received) or "a selection of images for teaching"


def _is_capture(received: ReceivedInstance, sop_class: str, image_type: list[str]) -> bool:
    if not _CAPTURE_TYPES.isdisjoint(image_type[2:]):
        return True
    descriptions = f"{received.text(0x0008103E)} {received.text(0x00181030)}"
    secondary = sop_class == _SECONDARY_CAPTURE or "SECONDARY" in image_type
    return secondary and _CAPTURE_DESCRIPTION.search(descriptions) is not None
