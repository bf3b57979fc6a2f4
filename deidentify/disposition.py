"""Which instances are left out by the profile, and which cannot be handled at all (DESIGN: the default drops)."""

import re

from deidentify.dataset import ReceivedInstance
from deidentify.dictionary import registered_uids
from deidentify.profile import Profile
from deidentify.results import Dropped, DropReason, Hold, HoldReason
from deidentify.tables import iod_types

_STORAGE = "1.2.840.10008.5.1.4.1.1."
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
    if not sop_class:
        if received.text(0x00041130) or any(element.tag == 0x00041220 for element in received.identified_elements):  # noqa: PLR2004
            return _dropped(DropReason.MEDIA_DIRECTORY, "an index of a medium, not an instance", profile)
        meta_class = [element for element in received.identified_meta if element.tag == 0x00020002]  # noqa: PLR2004
        if meta_class and meta_class[0].value.strip(b" \0").decode("latin-1") == _MEDIA_DIRECTORY:
            return _dropped(DropReason.MEDIA_DIRECTORY, "an index of a medium, not an instance", profile)
        return Hold(reason=HoldReason.UNREADABLE, detail="the instance has no SOP Class UID (0008,0016)")
    if not received.text(0x00080018):
        return Hold(reason=HoldReason.UNREADABLE, detail="the instance has no SOP Instance UID (0008,0018)")
    for reason, detail in _reasons(received, sop_class):
        if reason is DropReason.PROFILE:
            return Dropped(reason=reason, detail=detail)
        return _dropped(reason, detail, profile)
    if iod_types(sop_class) is None and not _is_known_storage(sop_class):
        return Hold(reason=HoldReason.UNSUPPORTED_SOP_CLASS, detail="the attributes of this SOP Class are not known")
    structured = sop_class.startswith(_STRUCTURED) or sop_class in _STRUCTURED_ELSEWHERE
    if structured and "clean_structured_content" not in profile.options:
        return Hold(
            reason=HoldReason.PROFILE, detail="a structured report, and the profile does not clean structured content"
        )
    return None


def _dropped(reason: DropReason, detail: str, profile: Profile) -> Dropped | Hold:
    if reason in profile.drop:
        return Dropped(reason=reason, detail=detail)
    return Hold(reason=HoldReason.PROFILE, detail=f"{detail}; the profile does not drop it, so a person decides")


def _is_known_storage(sop_class: str) -> bool:
    return sop_class.startswith(_STORAGE) and registered_uids().get(sop_class) == "SOP Class"


def _reasons(received: ReceivedInstance, sop_class: str) -> list[tuple[DropReason, str]]:
    """Return what speaks for leaving it out, the most telling first."""
    found = []
    if not sop_class.startswith("1.2.840.10008."):
        found.append((DropReason.PRIVATE_SOP_CLASS, "the SOP Class is private"))
    if sop_class == _MEDIA_DIRECTORY:
        found.append((DropReason.MEDIA_DIRECTORY, "an index of a medium, not an instance"))
    if sop_class == _RAW_DATA:
        found.append((DropReason.RAW_DATA, "raw data of the device"))
    if sop_class in _DOSE_REPORTS:
        found.append((DropReason.DOSE_REPORT, "a radiation dose report"))
    if sop_class.startswith(_PRESENTATION_STATES):
        found.append((DropReason.PRESENTATION_STATE, "a presentation state"))
    if sop_class.startswith(_DOCUMENTS):
        found.append((DropReason.ENCAPSULATED_DOCUMENT, "an encapsulated document"))
    if sop_class in _VIDEO_CLASSES or _VIDEO_SYNTAXES.fullmatch(received.transfer_syntax_uid):
        found.append((DropReason.VIDEO, "a video"))
    if sop_class in _VOICE:
        found.append((DropReason.PROFILE, "a sound recording: a voice identifies"))
    if not received.text(0x0020000D):
        found.append((DropReason.PROFILE, "not part of a study: it has no Study Instance UID (0020,000D)"))
    image_type = [value.strip() for value in received.text(0x00080008).upper().split("\\")]
    if sop_class == _SLIDE and {"LABEL", "OVERVIEW"} & set(image_type):
        found.append((DropReason.SLIDE_LABEL, "the label or overview of a slide"))
    if _is_capture(received, sop_class, image_type):
        found.append((DropReason.SCREEN_CAPTURE, "a captured dose, protocol or screen page"))
    return found


def _is_capture(received: ReceivedInstance, sop_class: str, image_type: list[str]) -> bool:
    if not _CAPTURE_TYPES.isdisjoint(image_type[2:]):
        return True
    descriptions = f"{received.text(0x0008103E)} {received.text(0x00181030)}"
    secondary = sop_class == _SECONDARY_CAPTURE or "SECONDARY" in image_type
    return secondary and _CAPTURE_DESCRIPTION.search(descriptions) is not None
