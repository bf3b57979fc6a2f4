"""What a re-run made of one original, as a row: the result types of ``deidentify`` to JSON and back."""

from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import Any

from cases.intake import InstanceOutcome
from cases.reruns import GONE, StagedInstance
from cases.store.errand_rows import StagedInstanceRow
from cases.store.holds import findings_of
from deidentify.results import (
    AgeBand,
    DeidentifiedInstance,
    Description,
    Dropped,
    DropReason,
    ElementChange,
    ElementFate,
    Hold,
    HoldReason,
    IdentifierHashes,
    PixelVerdict,
    RemovedText,
    Report,
    ScreenReport,
)
from deidentify.review import MarkedBox


def staged_values(errand_id: str, one: StagedInstance) -> dict[str, Any]:
    """Return the columns of what was made."""
    values: dict[str, Any] = {
        "errand_id": errand_id,
        "arrival_id": one.arrival_id,
        "was": one.was.value,
        "becomes": one.becomes,
        "reason": "",
        "detail": "",
        "blob_key": one.blob_key,
        "review": one.review,
        "written": {},
        "known": _known(one),
        "findings": [],
        "changes": [[change.place, change.name, change.change.value] for change in one.changes],
    }
    match one.outcome:
        case DeidentifiedInstance():
            values["written"] = _written(one.outcome)
        case Hold():
            values |= {"reason": one.outcome.reason.value, "detail": one.outcome.detail}
            values["findings"] = [asdict(finding) for finding in one.outcome.findings]
        case Dropped():
            values |= {"reason": one.outcome.reason.value, "detail": one.outcome.detail}
    return values


def staged_of(row: StagedInstanceRow) -> StagedInstance:
    """Return what was made."""
    identifiers, crosswalk = row.known.get("identifiers"), row.known.get("crosswalk")
    return StagedInstance(
        arrival_id=row.arrival_id,
        was=InstanceOutcome(row.was),
        outcome=_outcome(row),
        blob_key=row.blob_key,
        identifiers=IdentifierHashes(
            hashes=frozenset(bytes.fromhex(one) for one in identifiers["hashes"]), is_whole=identifiers["is_whole"]
        )
        if identifiers
        else None,
        crosswalk=(crosswalk[0], b64decode(crosswalk[1])) if crosswalk else None,
        changes=tuple(
            ElementChange(place=place, name=name, change=ElementFate(change)) for place, name, change in row.changes
        ),
        review=row.review,
    )


def _outcome(row: StagedInstanceRow) -> DeidentifiedInstance | Hold | Dropped | None:
    if row.becomes == InstanceOutcome.FILED:
        return _instance(row.written)
    if row.becomes == InstanceOutcome.HELD:
        return Hold(reason=HoldReason(row.reason), detail=row.detail, findings=findings_of(row.findings))
    if row.becomes == InstanceOutcome.DROPPED:
        return Dropped(reason=DropReason(row.reason), detail=row.detail)
    assert row.becomes == GONE
    return None


def _known(one: StagedInstance) -> dict[str, Any]:
    known: dict[str, Any] = {}
    if one.identifiers is not None:
        hashes = sorted(digest.hex() for digest in one.identifiers.hashes)
        known["identifiers"] = {"hashes": hashes, "is_whole": one.identifiers.is_whole}
    if one.crosswalk is not None:
        known["crosswalk"] = [one.crosswalk[0], b64encode(one.crosswalk[1]).decode("ascii")]
    return known


def _written(instance: DeidentifiedInstance) -> dict[str, Any]:
    screen = asdict(instance.screen)
    # What the recogniser read stays beside the original.
    del screen["identified_texts"]
    return {
        "description": asdict(instance.description),
        "report": asdict(instance.report),
        "screen": screen,
        "sha256": instance.sha256,
        "size_bytes": instance.size_bytes,
        "uid_of_original": instance.uid_of_original,
        "face": instance.face,
        "references": list(instance.references),
    }


def _instance(written: dict[str, Any]) -> DeidentifiedInstance:
    described, report, screen = (dict(written[part]) for part in ("description", "report", "screen"))
    for name in ("position", "orientation"):
        described[name] = tuple(described[name]) if described[name] else None
    described["age_band"] = AgeBand(described["age_band"])
    report["actions"] = tuple((action, count) for action, count in report["actions"])
    report["options"], report["notes"] = tuple(report["options"]), tuple(report["notes"])
    report["removed_text"] = tuple(RemovedText(**one) for one in report["removed_text"])
    screen["verdict"] = PixelVerdict(screen["verdict"])
    screen["hold"] = HoldReason(screen["hold"]) if screen["hold"] else None
    screen["findings"] = findings_of(screen["findings"])
    screen["boxes"] = tuple(MarkedBox(**one) for one in screen.get("boxes", ()))
    return DeidentifiedInstance(
        description=Description(**described),
        report=Report(**report),
        screen=ScreenReport(**screen),
        sha256=written["sha256"],
        size_bytes=written["size_bytes"],
        uid_of_original=written.get("uid_of_original", ""),
        face=written.get("face", ""),
        references=tuple(written.get("references", ())),
    )
