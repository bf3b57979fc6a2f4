"""Looks at retained originals: asked for, worked on, and read again with all that was asked for at once."""

from collections.abc import Sequence

from sqlalchemy import exists, select

from cases.errands import Errand, ErrandKind, ErrandState, NewErrand
from cases.errors import CaseNotFoundError, OriginalsGoneError
from cases.impacts import ImpactCounts
from cases.intake import ReceivedInstance
from cases.looks import Asked, Looked, PreviewedInstance, RevisionImpact, StudyPreview, looked_at, looked_values, spread
from cases.profiles import ProfileRevision
from cases.receipts import read_code
from cases.store.arrivals import instance_value
from cases.store.errands import Errands
from cases.store.originals import Originals
from cases.store.profiles import Profiles
from cases.store.rows import ReceivedInstanceRow, ReceivedStudyRow, new_id

MOST_ATTRIBUTES = 1000
"""Attributes of one study that are counted by name."""


class Looks(Originals):
    """Previews of studies, and impacts over several."""

    # -- asking -------------------------------------------------------------------------------------------------------

    def request_preview(
        self, study: str, profile: ProfileRevision, *, most: int, has_pixels: bool, actor: str
    ) -> Errand:
        """Ask for a preview of the originals of a study.

        Parameters
        ----------
        study
            Key of the study in the spool, or the code of its receipt.
        profile
            The revision that they are looked at under.
        most
            How many instances at most, spread over the study.
        has_pixels
            Whether the pixels are read too.
        actor
            Who asks.

        Raises
        ------
        CaseNotFoundError
            When there never was such a study.
        OriginalsGoneError
            When no original of it is there any more.
        """
        originals = self.of_study(self._key(study))
        new = NewErrand(
            kind=ErrandKind.PREVIEW, profile=profile.name, revision=profile.revision, requested_by=actor,
            asked=Asked(arrivals=_arrivals(originals, most), has_pixels=has_pixels).values(),
        )  # fmt: skip
        return Errands(self._session).open(_study_of(originals), new)

    def request_impact(
        self, first: ProfileRevision, second: ProfileRevision, studies: Sequence[str], *, most: int, actor: str
    ) -> tuple[Errand, ...]:
        """Ask what the second revision would change over studies; return an errand for each that has originals.

        Raises
        ------
        OriginalsGoneError
            When no original of any of them is there.
        """
        found = [originals for key in dict.fromkeys(studies) if (originals := self.of_study(key))]
        if not found:
            raise OriginalsGoneError("no original of any study is there: there is nothing to compare")
        group = new_id()
        errands = Errands(self._session)
        # In one order whoever asks, so that two who lock several studies do not wait for each other.
        return tuple(
            errands.open(
                _study_of(originals),
                NewErrand(
                    kind=ErrandKind.IMPACT, profile=second.name, revision=second.revision,
                    base_revision=first.revision, requested_by=actor, group_id=group,
                    asked=Asked(arrivals=_arrivals(originals, most)).values(),
                ),
            )
            for originals in sorted(found, key=_study_of)
        )  # fmt: skip

    # -- working ------------------------------------------------------------------------------------------------------

    def begin(self, errand: Errand) -> dict[int, ReceivedInstance] | None:
        """Return the instances of an errand by their numbers, as work begins; None where nobody wants it any more."""
        arrivals = Asked.of(errand).arrivals
        if not Errands(self._session).begin(errand.id, len(arrivals)):
            return None
        rows = self._session.scalars(select(ReceivedInstanceRow).where(ReceivedInstanceRow.arrival_id.in_(arrivals)))
        by_arrival = {row.arrival_id: instance_value(row) for row in rows}
        return {number: by_arrival[key] for number, key in enumerate(arrivals, 1) if key in by_arrival}

    def looked(self, errand_id: str) -> dict[int, Looked]:
        """Return what was looked at already."""
        return looked_at(Errands(self._session).get(errand_id))

    def note_preview(self, errand_id: str, number: int, one: Looked) -> bool:
        """Keep what the preview of one instance came to; return False where nobody wants it any more."""
        errands = Errands(self._session)
        errands.locked(errand_id)
        found = self.looked(errand_id) | {number: one}
        return errands.note(errand_id, len(found), looked_values(found))

    def note_impact(self, errand_id: str, counts: ImpactCounts, gone: int) -> bool:
        """Keep what was compared of a study so far; return False where nobody wants it any more."""
        kept = ImpactCounts.of(counts.values())
        kept.keep_most(MOST_ATTRIBUTES)
        result = {"counts": kept.values(), "gone": gone}
        return Errands(self._session).note(errand_id, counts.instances + gone, result)

    def conclude(self, errand_id: str) -> None:
        """Say that an errand is done; nothing where it was over already."""
        errands = Errands(self._session)
        row = errands.locked(errand_id)
        if row.state is ErrandState.RUNNING:
            errands.end(errand_id, ErrandState.DONE, row.result)

    # -- reading ------------------------------------------------------------------------------------------------------

    def preview(self, errand_id: str) -> StudyPreview:
        """Return a preview.

        Raises
        ------
        CaseNotFoundError
            When there is none.
        """
        errand = Errands(self._session).get(errand_id)
        if errand.kind is not ErrandKind.PREVIEW:
            raise CaseNotFoundError("there is no such preview")
        return StudyPreview.of(errand)

    def original_of(self, one: PreviewedInstance) -> ReceivedInstance:
        """Return the arrival of a previewed instance.

        Raises
        ------
        CaseNotFoundError
            When the database does not know it any more.
        """
        row = self._session.get(ReceivedInstanceRow, one.arrival_id)
        if row is None:
            raise CaseNotFoundError("there is no such received instance")
        return instance_value(row)

    def impact(self, group_id: str) -> RevisionImpact:
        """Return what was asked for at once about two revisions.

        Raises
        ------
        CaseNotFoundError
            When there is no such impact.
        """
        errands = Errands(self._session).of_group(group_id)
        if not errands or errands[0].kind is not ErrandKind.IMPACT:
            raise CaseNotFoundError("there is no such impact")
        one = errands[0]
        first = Profiles(self._session).revision(one.base_revision)
        return RevisionImpact(
            id=group_id,
            first=f"{first.name}@{first.revision}",
            second=f"{one.profile}@{one.revision}",
            requested_by=one.requested_by,
            requested_at=one.requested_at,
            errands=tuple(errands),
        )

    def _key(self, study: str) -> str:
        """Return the key of a study that has originals, by that key or by the code of a receipt."""
        row = ReceivedStudyRow
        code = read_code(study)
        if code:
            study = self._session.scalar(select(row.key).where(row.receipt_code == code)) or study
        if self.of_study(study):
            return study
        if self._session.scalar(select(exists().where((row.study_key == study) | (row.key == study)))):
            raise OriginalsGoneError("no original of the study is there any more: there is nothing to look at")
        raise CaseNotFoundError("there is no such study")


def _arrivals(originals: Sequence[ReceivedInstance], most: int) -> tuple[str, ...]:
    return tuple(one.arrival_id for one in spread(originals, most))


def _study_of(originals: Sequence[ReceivedInstance]) -> str:
    """Return the row key of the study that an errand on these originals belongs to: that of the latest."""
    return originals[-1].received_study
