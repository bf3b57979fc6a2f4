"""Documents of IHE Teaching File and Clinical Trial Export, as a PACS makes them."""

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

from tests.builders import code, sr_instance, uid

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
TEACHING_FILE = code("TCE001", "IHERADTF", "For Teaching File Export")
FOR_TEACHING = code("113004", "DCM", "For Teaching")
OF_INTEREST = code("113000", "DCM", "Of Interest")


def selection(
    listed: Sequence[Dataset],
    keys: Sequence[Dataset | tuple[Dataset, Sequence[int]]] = (),
    *,
    title: dict[str, Any] | None = None,
    text: str = "",
    delay: str = "",
    observer: str = "",
    identical: Sequence[tuple[str, str]] = (),
    study: int = 1,
    number: int = 1,
    content: Sequence[dict[str, Any]] = (),
    **attributes: Any,
) -> Dataset:
    """Return a key object selection that lists instances, and shows some of them in this order.

    ``identical`` are (Study Instance UID, SOP Instance UID) of the same document in other studies.
    """
    items: list[dict[str, Any]] = list(content)
    if delay:
        items.append(
            {
                "RelationshipType": "HAS CONCEPT MOD",
                "ValueType": "CODE",
                "ConceptNameCodeSequence": [code("113011", "DCM", "Document Title Modifier")],
                "ConceptCodeSequence": [code(delay, "IHERADTF", "Delay")],
            }
        )
    if observer:
        items.append(
            {
                "RelationshipType": "HAS OBS CONTEXT",
                "ValueType": "PNAME",
                "ConceptNameCodeSequence": [code("121008", "DCM", "Person Observer Name")],
                "PersonName": observer,
            }
        )
    if text:
        items.append(_text("113012", "DCM", "Key Object Description", text))
    for key in keys:
        image, frames = key if isinstance(key, tuple) else (key, ())
        items.append(
            {"RelationshipType": "CONTAINS", "ValueType": "IMAGE", "ReferencedSOPSequence": [_reference(image, frames)]}
        )
    return sr_instance(
        **{
            "study": study,
            "series": 90,
            "number": number,
            "SOPClassUID": KEY_OBJECT_SELECTION,
            "Modality": "KO",
            "CompletionFlag": None,
            "VerificationFlag": None,
            "ConceptNameCodeSequence": [title or TEACHING_FILE],
            "CurrentRequestedProcedureEvidenceSequence": _evidence(listed),
            "IdenticalDocumentsSequence": [
                {
                    "StudyInstanceUID": study_uid,
                    "ReferencedSeriesSequence": [
                        {
                            "SeriesInstanceUID": uid(9, 9),
                            "ReferencedSOPSequence": [
                                {
                                    "ReferencedSOPClassUID": KEY_OBJECT_SELECTION,
                                    "ReferencedSOPInstanceUID": sop_uid,
                                }
                            ],
                        }
                    ],
                }
                for study_uid, sop_uid in identical
            ]
            or None,
            "ContentSequence": items or None,
            **attributes,
        }
    )


def information(*content: dict[str, Any], study: int = 1, number: int = 1, **attributes: Any) -> Dataset:
    """Return Additional Teaching File Information with these items; `said` and `coded` make them."""
    return sr_instance(
        **{
            "study": study,
            "series": 91,
            "number": number,
            "ConceptNameCodeSequence": [code("TCE006", "IHERADTF", "Additional Teaching File Information")],
            "ContentSequence": list(content),
            **attributes,
        }
    )


def said(value: str, text: str) -> dict[str, Any]:
    """Return a text item of a concept, for example "TCE104" or "121060"."""
    scheme = "IHERADTF" if value.startswith("TCE") else "AGFAIMPAXEE" if value.startswith("TF") else "DCM"
    return _text(value, scheme, "Concept", text)


def coded(value: str, chosen: str, meaning: str = "Meaning", scheme: str = "IHERADTF") -> dict[str, Any]:
    """Return a code item of a concept."""
    return {
        "RelationshipType": "CONTAINS",
        "ValueType": "CODE",
        "ConceptNameCodeSequence": [code(value, "IHERADTF" if value.startswith("TCE") else "DCM", "Concept")],
        "ConceptCodeSequence": [code(chosen, scheme, meaning)],
    }


def _text(value: str, scheme: str, meaning: str, text: str) -> dict[str, Any]:
    return {
        "RelationshipType": "CONTAINS",
        "ValueType": "TEXT",
        "ConceptNameCodeSequence": [code(value, scheme, meaning)],
        "TextValue": text,
    }


def _reference(image: Dataset, frames: Sequence[int] = ()) -> dict[str, Any]:
    return {
        "ReferencedSOPClassUID": image.SOPClassUID,
        "ReferencedSOPInstanceUID": image.SOPInstanceUID,
        **({"ReferencedFrameNumber": list(frames)} if frames else {}),
    }


def _evidence(listed: Sequence[Dataset]) -> list[dict[str, Any]]:
    studies: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for one in listed:
        studies.setdefault(one.StudyInstanceUID, {}).setdefault(one.SeriesInstanceUID, []).append(_reference(one))
    return [
        {
            "StudyInstanceUID": study_uid,
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": series_uid, "ReferencedSOPSequence": instances}
                for series_uid, instances in series.items()
            ],
        }
        for study_uid, series in studies.items()
    ]
