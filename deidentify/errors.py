"""Errors of the room.

DeidentificationError            → the instance is held, with the reason in ``reason``
├─ UnreadableInstanceError
│  └─ NotDicomError               → a file of another kind
├─ UnsupportedSOPClassError
├─ UnsupportedTransferSyntaxError
├─ InvalidResultError
├─ ResidualIdentifierError
├─ RekeyingError                 → an instance stays in the case that it is in
├─ ProfileError                  → a profile text that cannot be used
└─ PixelScreenError
   ├─ PixelsMissingError
   ├─ PixelDecodeError
   ├─ RedactionError              → boxes that cannot be blanked
   └─ DetectorUnavailableError
"""

from deidentify.results import HoldReason, PixelFinding


class DeidentificationError(Exception):
    """An instance cannot be passed on. The text never holds a value of the data set."""

    reason = HoldReason.INTERNAL_ERROR


class UnreadableInstanceError(DeidentificationError):
    """The data set cannot be parsed to its end."""

    reason = HoldReason.UNREADABLE


class NotDicomError(UnreadableInstanceError):
    """The file does not even begin like DICOM."""


class UnsupportedSOPClassError(DeidentificationError):
    """The SOP Class is not one whose attributes are known."""

    reason = HoldReason.UNSUPPORTED_SOP_CLASS


class UnsupportedTransferSyntaxError(DeidentificationError):
    """The transfer syntax is unknown, so the data set cannot be rewritten."""

    reason = HoldReason.TRANSFER_SYNTAX


class InvalidResultError(DeidentificationError):
    """Our own change would make the instance invalid."""

    reason = HoldReason.INVALID_AFTER_CHANGE


class ResidualIdentifierError(DeidentificationError):
    """An identifier of the original was found in the written bytes."""

    reason = HoldReason.RESIDUAL_IDENTIFIER


class RekeyingError(DeidentificationError):
    """What was filed in one case cannot become an instance of another; the message says what to do."""

    reason = HoldReason.INVALID_AFTER_CHANGE


class ProfileError(DeidentificationError):
    """A profile text cannot be used; the message names line, rule and mend."""

    reason = HoldReason.PROFILE


class PixelScreenError(DeidentificationError):
    """The pixel screen could not finish."""

    reason = HoldReason.SCREEN_UNAVAILABLE


class PixelsMissingError(PixelScreenError):
    """An image by its class or attributes, but without pixel data."""

    reason = HoldReason.PIXELS_MISSING


class PixelDecodeError(PixelScreenError):
    """A frame cannot be decoded."""

    reason = HoldReason.PIXELS_UNDECODABLE


class RedactionError(PixelScreenError):
    """Boxes in the pixels cannot be made black, so that what they show is still there."""

    reason = HoldReason.BURNED_IN_TEXT


class TextRemainsError(PixelScreenError):
    """Text can still be read where boxes were made black; ``findings`` tell where."""

    reason = HoldReason.BURNED_IN_TEXT

    def __init__(self, findings: tuple[PixelFinding, ...]) -> None:
        super().__init__(f"{len(findings)} region(s) of text can be read after boxes were made black")
        self.findings = findings


class DetectorUnavailableError(PixelScreenError):
    """The models of the detector cannot be loaded."""

    reason = HoldReason.SCREEN_UNAVAILABLE
