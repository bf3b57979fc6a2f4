"""Sending files to a DICOM destination, for trying without a PACS: `casebridge send` and `casebridge demo`."""

import socket
import ssl
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import build_context

from scp.contexts import VERIFICATION, is_storage, is_uid
from scp.errors import CannotUnderstandError, ScpError
from scp.identity import HEAD_LIMITS, HeadTooShortError, read_identity
from scp.requestor import HANDLERS, exchange, is_listening, keep_socket, new_entity
from scp.server import silence_libraries
from scp.tls_client import ClientTls, client_context, client_fault

__all__ = ["FileResult", "SendSummary", "Sent", "echo", "send"]

_MAX_CONTEXTS = 128
_MAX_LOST = 3
_RESPONSE_TIMEOUT_S = 300.0
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_PREAMBLE_BYTES = 128
_WARNINGS = range(0xB000, 0xC000)


class Sent(StrEnum):
    """What became of a file."""

    STORED = "stored"
    REFUSED = "refused"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """One file and what became of it.

    `status` is the peer's answer, None where nothing was sent; `reason` says why a file was not stored.
    """

    identified_path: Path = field(repr=False)
    outcome: Sent
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSummary:
    """What became of every file found."""

    files: tuple[FileResult, ...]
    associations: int
    rejection: str = ""
    """Why the peer took no association; empty where it did."""

    def count(self, outcome: Sent) -> int:
        """Return how many files have an outcome."""
        return sum(1 for file in self.files if file.outcome == outcome)

    @property
    def reasons(self) -> dict[str, int]:
        """Number of files not stored, by outcome and reason."""
        return dict(Counter(f"{file.outcome}: {file.reason}" for file in self.files if file.reason))

    @property
    def is_complete(self) -> bool:
        """Whether every file that holds an object was stored."""
        return not self.rejection and all(file.outcome in {Sent.STORED, Sent.SKIPPED} for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Object:
    identified_path: Path = field(repr=False)
    offset: int
    sop_class_uid: str
    identified_sop_instance_uid: str = field(repr=False)
    transfer_syntax_uid: str

    @property
    def needs(self) -> tuple[str, str]:
        return self.sop_class_uid, self.transfer_syntax_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class _Destination:
    host: str
    port: int
    called_ae: str
    tls_args: tuple[ssl.SSLContext, str] | None


class _AssociationRejectedError(ScpError):
    """The peer takes no association."""


def echo(host: str, port: int, called_ae: str, calling_ae: str = "CASEBRIDGE") -> bool:
    """Verify that a destination answers (C-ECHO).

    Parameters
    ----------
    host, port
        Where it listens.
    called_ae, calling_ae
        The AE titles.

    Returns
    -------
    bool
        Whether it answered Success.
    """
    silence_libraries()
    if not is_listening(host, port):
        return False
    association = new_entity(calling_ae, timeout_s=_RESPONSE_TIMEOUT_S).associate(
        host, port, contexts=[build_context(VERIFICATION)], ae_title=called_ae, evt_handlers=HANDLERS
    )
    if not association.is_established:
        return False
    try:
        return bool(association.send_c_echo().get("Status") == 0)
    finally:
        association.release()


def send(
    paths: Iterable[Path],
    *,
    host: str,
    port: int,
    called_ae: str,
    calling_ae: str = "CASEBRIDGE",
    tls: ClientTls | None = None,
    on_progress: Callable[[int, int, FileResult], None] | None = None,
) -> SendSummary:
    """Send files, and all files in folders, to a destination.

    Parameters
    ----------
    paths
        Files and folders; folders are walked recursively.
    host, port
        Where the destination listens.
    called_ae, calling_ae
        The AE titles.
    tls
        How it is spoken to over TLS, None for a plain connection.
    on_progress
        Called with the number of files done, the number of all files, and the result of the last.

    Returns
    -------
    SendSummary
        What became of every file; a file that cannot be sent is counted, never raised.

    Raises
    ------
    TlsFilesError
        If a file of TLS cannot be used.
    """
    destination = _Destination(
        host=host,
        port=port,
        called_ae=called_ae,
        tls_args=(client_context(tls), tls.server_name or host) if tls else None,
    )
    silence_libraries()
    files = list(_walk(paths))
    sender = _Sender(total=len(files), on_progress=on_progress)
    with warnings.catch_warnings():
        # pydicom's warnings quote values.
        warnings.simplefilter("ignore")
        objects = []
        for file in files:
            found = _inspect(file)
            if isinstance(found, FileResult):
                sender.add(found)
            else:
                objects.append(found)
        entity = new_entity(calling_ae, timeout_s=_RESPONSE_TIMEOUT_S)
        for batch in _batches(objects):
            sender.send_batch(entity, batch, destination)
    return sender.summary()


class _Sender:
    """Sends batch after batch and keeps the results."""

    def __init__(self, *, total: int, on_progress: Callable[[int, int, FileResult], None] | None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._results: list[FileResult] = []
        self._associations = 0
        self._rejection = ""

    def add(self, result: FileResult) -> None:
        self._results.append(result)
        if self._on_progress is not None:
            self._on_progress(len(self._results), self._total, result)

    def summary(self) -> SendSummary:
        return SendSummary(files=tuple(self._results), associations=self._associations, rejection=self._rejection)

    def send_batch(self, entity: AE, batch: Sequence[_Object], destination: _Destination) -> None:
        waiting, lost = list(batch), 0
        sockets: list[socket.socket] = []
        while waiting and lost < _MAX_LOST and not self._rejection:
            try:
                association = _associate(entity, waiting, destination, sockets=sockets)
            except _AssociationRejectedError as error:
                self._rejection = error.comment
                _close(sockets)
                break
            self._associations += 1
            try:
                while waiting and association.is_established:
                    self.add(_store(association, waiting.pop(0)))
            finally:
                if association.is_established:
                    association.release()
                else:
                    lost += 1
                # pynetdicom leaves a socket open that the peer was the first to close.
                _close(sockets)
        for file in waiting:
            reason = self._rejection or "the association was lost"
            self.add(FileResult(identified_path=file.identified_path, outcome=Sent.FAILED, reason=reason))


def _walk(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        else:
            yield path


def _inspect(path: Path) -> _Object | FileResult:
    """Return what a file holds, or why it is not sent."""
    try:
        with path.open("rb") as file:
            start = file.read(_PREAMBLE_BYTES + 4)
        if start[_PREAMBLE_BYTES:] != b"DICM":
            return _skipped(path, "not a DICOM file (no Part 10 header)")
        meta, offset = split_dataset(path)
    except OSError:
        return FileResult(identified_path=path, outcome=Sent.FAILED, reason="the file cannot be read")
    except Exception:  # noqa: BLE001 - whatever pydicom makes of a damaged header
        return _skipped(path, "the file meta information is damaged")
    sop_class, instance, syntax = (
        str(meta.get(keyword, "")).strip(" \0")
        for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    )
    # The data set is the object; what the file meta says of it is often stale.
    with suppress(OSError, CannotUnderstandError, HeadTooShortError), path.open("rb") as file:
        file.seek(offset)
        head = file.read(HEAD_LIMITS[0])
        identity = read_identity(head, syntax, is_whole=len(head) < HEAD_LIMITS[0])
        sop_class, instance = identity.sop_class_uid, identity.identified_sop_instance_uid
    if reason := _unfit(sop_class, instance, syntax):
        return _skipped(path, reason)
    return _Object(
        identified_path=path,
        offset=offset,
        sop_class_uid=sop_class,
        identified_sop_instance_uid=instance,
        transfer_syntax_uid=syntax,
    )


def _unfit(sop_class: str, instance: str, syntax: str) -> str:
    if sop_class == _MEDIA_DIRECTORY:
        return "a DICOMDIR is no object"
    if not (is_uid(sop_class) and is_uid(syntax) and is_uid(instance)):
        return "the file lacks a valid UID"
    return "" if is_storage(sop_class) else "not a storage SOP class"


def _skipped(path: Path, reason: str) -> FileResult:
    return FileResult(identified_path=path, outcome=Sent.SKIPPED, reason=reason)


def _batches(objects: Sequence[_Object]) -> Iterator[list[_Object]]:
    """Split objects so that one association's contexts suffice for each part."""
    needs = list(dict.fromkeys(one.needs for one in objects))
    for start in range(0, len(needs), _MAX_CONTEXTS):
        part = set(needs[start : start + _MAX_CONTEXTS])
        yield [one for one in objects if one.needs in part]


def _close(sockets: list[socket.socket]) -> None:
    while sockets:
        sockets.pop().close()


def _associate(
    entity: AE, batch: Sequence[_Object], destination: _Destination, *, sockets: list[socket.socket]
) -> Association:
    if not is_listening(destination.host, destination.port):
        raise _AssociationRejectedError("nothing listens at this address; check host and port")
    # It leaves open, too, what no handshake came about on.
    if destination.tls_args is not None and (
        fault := client_fault(destination.host, destination.port, *destination.tls_args, answer_s=0)
    ):
        raise _AssociationRejectedError(fault)
    contexts = [build_context(*needs) for needs in dict.fromkeys(one.needs for one in batch)]
    handlers = [*HANDLERS, (evt.EVT_CONN_OPEN, keep_socket, [sockets])]
    association = entity.associate(
        destination.host,
        destination.port,
        contexts=contexts,
        ae_title=destination.called_ae,
        evt_handlers=handlers,
        tls_args=destination.tls_args,
    )
    if association.is_established:
        return association
    if association.is_rejected:
        answer = association.acceptor.primitive
        codes = f"{answer.result}/{answer.result_source}/{answer.diagnostic}"
        raise _AssociationRejectedError(f"rejected ({codes}): {answer.reason_str}")
    if destination.tls_args is not None and (
        fault := client_fault(destination.host, destination.port, *destination.tls_args)
    ):
        raise _AssociationRejectedError(fault)
    raise _AssociationRejectedError("what listens there does not answer as a DICOM destination")


def _store(association: Association, file: _Object) -> FileResult:
    path = file.identified_path
    accepted = {
        (str(one.abstract_syntax), str(one.transfer_syntax[0])): one.context_id for one in association.accepted_contexts
    }
    context_id = accepted.get(file.needs)
    if context_id is None:
        name = UID(file.sop_class_uid).name
        return FileResult(identified_path=path, outcome=Sent.REFUSED, reason=f"the peer declined the context ({name})")
    try:
        answer = _request(association, file, context_id)
    except Exception as error:  # noqa: BLE001 - its text can quote the file
        return FileResult(
            identified_path=path, outcome=Sent.FAILED, reason=f"could not be sent ({type(error).__name__})"
        )
    if "Status" not in answer:
        return FileResult(identified_path=path, outcome=Sent.FAILED, reason="no answer")
    status = int(answer.Status)
    if status == 0 or status in _WARNINGS:
        return FileResult(identified_path=path, outcome=Sent.STORED, status=status)
    reason = f"0x{status:04X} {answer.get('ErrorComment', '')}".strip()
    return FileResult(identified_path=path, outcome=Sent.REFUSED, status=status, reason=reason)


def _request(association: Association, file: _Object, context_id: int) -> Any:
    """Send one C-STORE request with the data set as it lies in the file, and return the response.

    `Association.send_c_store` would announce the UIDs of the file meta, and stream from disk only after a switch
    for the whole process.
    """
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request.AffectedSOPClassUID = file.sop_class_uid
    request.AffectedSOPInstanceUID = file.identified_sop_instance_uid
    request._dataset_path = (file.identified_path, file.offset)  # noqa: SLF001
    response = exchange(association, request, context_id, timeout_s=_RESPONSE_TIMEOUT_S)
    if response is None:
        association._handle_no_response()  # noqa: SLF001
        return {}
    return association._check_received_status(response)  # noqa: SLF001
