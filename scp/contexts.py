"""Which presentation contexts are accepted: verification, and everything that can be stored.

pynetdicom wants a list of supported contexts, which no list can be for private SOP classes, private transfer
syntaxes and storage classes newer than its tables. So the rule is turned round: an abstract syntax is declined when
it is known to be something other than storage.
"""

from dataclasses import dataclass

from pydicom.config import IGNORE
from pydicom.uid import UID

__all__ = [
    "STORAGE_COMMITMENT",
    "VERIFICATION",
    "ContextAnswer",
    "ProposedContext",
    "answer_contexts",
    "declined_because",
    "is_storage",
    "is_uid",
]

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class."""

ACCEPTANCE = 0
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4

_NOT_STORED = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory: a file-set's index, not an object
        STORAGE_COMMITMENT,
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
    }
)
_READABLE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})
"""Transfer syntaxes of commitment requests: implicit and explicit VR little endian. Stored objects may have any."""
_UID_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContext:
    """One presentation context of an A-ASSOCIATE-RQ."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAnswer:
    """The answer to one proposed context; `result` is that of PS3.8 Table 9-18."""

    proposed: ProposedContext
    result: int
    transfer_syntax: str

    @property
    def is_accepted(self) -> bool:
        """Whether objects may come on this context."""
        return self.result == ACCEPTANCE


def is_uid(text: str) -> bool:
    """Tell whether a text can be carried as a UID: 1 to 64 digits and dots.

    Leading zeros in components, which PS3.5 §9.1 forbids and old devices write, are tolerated.
    """
    return 0 < len(text) <= _UID_LENGTH and text.isascii() and text.replace(".", "").isdigit()


def is_storage(abstract_syntax: str) -> bool:
    """Tell whether objects of this class are stored: all but what is known to be something else.

    Parameters
    ----------
    abstract_syntax
        A SOP Class UID; private and unknown ones are storage.
    """
    if not is_uid(abstract_syntax) or abstract_syntax in _NOT_STORED:
        return False
    uid = UID(abstract_syntax, validation_mode=IGNORE)
    if uid.is_private or uid.name == abstract_syntax:
        return True
    # Two retired storage classes have lost their names in the edition that pydicom carries.
    return uid.type == "SOP Class" and ("Storage" in uid.name or not uid.name)


def answer_contexts(
    proposed: tuple[ProposedContext, ...], *, is_commitment_on: bool = False
) -> tuple[ContextAnswer, ...]:
    """Answer each context with the first transfer syntax that we take: any, for objects that are stored.

    Parameters
    ----------
    proposed
        The contexts of the request.
    is_commitment_on
        Whether this peer may ask for storage commitment.
    """
    return tuple(_answer(context, is_commitment_on=is_commitment_on) for context in proposed)


def _answer(context: ProposedContext, *, is_commitment_on: bool) -> ContextAnswer:
    is_commitment = context.abstract_syntax == STORAGE_COMMITMENT
    transfer_syntax = _transfer_syntax(context.abstract_syntax, context.transfer_syntaxes)
    if not (
        (is_commitment and is_commitment_on)
        or context.abstract_syntax == VERIFICATION
        or is_storage(context.abstract_syntax)
    ):
        result = ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif not transfer_syntax:
        result = TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        result = ACCEPTANCE
    return ContextAnswer(proposed=context, result=result, transfer_syntax=transfer_syntax)


def _transfer_syntax(abstract_syntax: str, proposed: tuple[str, ...]) -> str:
    if abstract_syntax == STORAGE_COMMITMENT:
        return next((uid for uid in proposed if uid in _READABLE), "")
    return next((uid for uid in proposed if is_uid(uid)), "")


def declined_because(abstract_syntax: str, transfer_syntaxes: tuple[str, ...]) -> str:
    """Return, for people, why a context that was not accepted was declined.

    Parameters
    ----------
    abstract_syntax, transfer_syntaxes
        What was proposed.
    """
    if abstract_syntax == STORAGE_COMMITMENT:
        if _transfer_syntax(abstract_syntax, transfer_syntaxes):
            return "storage commitment is off for this peer"
        return "no transfer syntax that commitment requests are read in"
    if abstract_syntax == VERIFICATION or is_storage(abstract_syntax):
        return "no transfer syntax that is a UID"
    return "not a storage service"
