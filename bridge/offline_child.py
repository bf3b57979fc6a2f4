"""What ``casebridge deidentify`` does with one file; runs in a child process.

read → disposition → plan → screen → write → verify → give the file its name
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from bridge.instance_holds import hold_by_screen, hold_without_path
from bridge.logs import configure_logging
from deidentify.compare import fingerprint
from deidentify.deidentifier import Deidentifier
from deidentify.errors import NotDicomError
from deidentify.identity import identified_tokens
from deidentify.pixels.digest import decoded_digest
from deidentify.pixels.screen import PixelScreener
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope, names_patient, patient_key
from deidentify.release import released
from deidentify.results import DeidentifiedInstance, Dropped, Hold

__all__ = [
    "FileTask",
    "NotDicom",
    "OfflineTools",
    "OutputError",
    "Seen",
    "Written",
    "decoded_pixels",
    "inspect",
    "nameless",
    "process",
    "start_child",
    "stored_pixels",
    "unfinished",
]

_NO_SUCH_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
"""What file systems and kernels without nameless files say."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})


class OutputError(Exception):
    """Nothing more can be written; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineTools:
    """What a child process needs, given once when it starts."""

    pseudonym_key: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)
    patient_key: bytes = field(repr=False)
    profile: str = field(repr=False)
    """Text of the profile."""
    has_screen: bool
    """Whether the pixels are screened."""
    log_level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What has to be known of an instance before the first one is written. It stays in this program."""

    identified_study_uid: str = field(repr=False)
    identified_sop_uid: str = field(repr=False)
    patient_key: str = field(repr=False)
    """Keyed; empty where the data set names no patient."""
    identified_words: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDicom:
    """A file of another kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTask:
    """One file on its way."""

    identified_source: str = field(repr=False)
    target: str
    case_key: str
    with_uids: bool = False
    """Whether the result tells which UID stands for which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that was written and verified."""

    instance: DeidentifiedInstance
    identified_uids: tuple[tuple[str, str], ...] = field(repr=False, default=())
    """(original, replacement), where asked for."""


_tools: OfflineTools | None = None


def start_child(tools: OfflineTools) -> None:
    """Keep the tools of this child process, and load the detector where pixels are screened."""
    global _tools  # noqa: PLW0603 - a child process has one set of tools for its whole life
    _tools = tools
    configure_logging(tools.log_level, process="pool")
    _deidentifier()
    if tools.has_screen:
        _screener()


def _have() -> OfflineTools:
    if _tools is None:
        raise RuntimeError("the child process was not given its tools")
    return _tools


@cache
def _profile() -> Profile:
    return Profile.from_yaml(_have().profile)


@cache
def _deidentifier() -> Deidentifier:
    return Deidentifier(_profile())


@cache
def _screener() -> PixelScreener:
    return PixelScreener()


def inspect(identified_path: str) -> Seen | NotDicom | Hold:
    """Find out whose instance a file is and which words would identify somebody; pixels are not read."""
    try:
        with Path(identified_path).open("rb") as identified_file:
            header = _deidentifier().read(identified_file)
        tokens = identified_tokens(header, _profile().keeps)
        # In a file's name a number of two digits can be the patient's, which in a text would be nobody's.
        numbers = {token for token in tokens.tokens if token.isdigit() and len(token) > 1}
        return Seen(
            identified_study_uid=header.text(0x0020000D),
            identified_sop_uid=header.text(0x00080018),
            patient_key=patient_key(header, _have().patient_key, "") if names_patient(header) else "",
            identified_words=tokens.own_words | numbers,
        )
    except NotDicomError:
        return NotDicom()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong: nothing doubtful passes
        return hold_without_path(error)


def stored_pixels(identified_path: str) -> str:
    """Return a keyed digest of the pixels as they are stored; empty where they cannot be read."""
    return _digest(identified_path, lambda file, key: fingerprint(file, key).pixels)


def decoded_pixels(identified_path: str) -> str:
    """Return a keyed digest of the decoded pixels; empty where they cannot be decoded."""
    return _digest(identified_path, decoded_digest)


def _digest(identified_path: str, digest_of: Callable[[BinaryIO, bytes], str]) -> str:
    try:
        with Path(identified_path).open("rb") as identified_file:
            return digest_of(identified_file, _have().digest_key)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the same fault is met and told when the file is processed
        return ""


def process(task: FileTask) -> Written | Hold | Dropped:
    """Take one file through every step; a failure of a step is a hold with its reason.

    Raises
    ------
    OutputError
        When there is no room, or the folder cannot be written to.
    """
    try:
        with Path(task.identified_source).open("rb") as identified_file:
            return _steps(task, identified_file)
    except (MemoryError, OutputError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong: nothing doubtful passes
        return hold_without_path(error)


def _steps(task: FileTask, identified_file: BinaryIO) -> Written | Hold | Dropped:
    deidentifier = _deidentifier()
    header = deidentifier.read(identified_file)
    disposition = deidentifier.disposition(header)
    if disposition is not None:
        return disposition
    face = deidentifier.hold_for_face(header)
    if face is not None:
        return face
    scope = PseudonymScope(key=_have().pseudonym_key, case_key=task.case_key)
    plan = deidentifier.plan(header, scope)
    screen = None
    if _have().has_screen:
        identified_file.seek(0)
        screen = _screener().screen(identified_file, plan.identified_tokens, policy=deidentifier.pixel_policy)
        hold = hold_by_screen(screen)
        if hold is not None:
            return hold
    with unfinished(Path(task.target)) as (target, finish):
        if screen is None:
            instance = deidentifier.write(plan, None, identified_file, target)
            target.seek(0)
            deidentifier.verify(plan, target)
        else:
            instance = released(
                deidentifier,
                _screener(),
                plan,
                screen,
                identified_file=identified_file,
                target=target,
                scratch=lambda: nameless(Path(task.target).parent),
            )
        finish()
    uids = plan.identified_tokens.uids if task.with_uids else ()
    original_uid = header.text(0x00080018)
    is_replaced = (instance.uid_of_original or instance.description.sop_instance_uid) != original_uid
    made = {uid: scope.uid(uid) if is_replaced else uid for uid in sorted(uids)}
    if original_uid in made:
        made[original_uid] = instance.description.sop_instance_uid
    return Written(instance=instance, identified_uids=tuple(made.items()))


@contextmanager
def unfinished(target: Path) -> Iterator[tuple[BinaryIO, "_Finish"]]:
    """Give a file without a name: what is not verified yet may identify somebody, and a kill must leave nothing."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with nameless(target.parent) as file:
            yield file, _Finish(file, target)
    except OSError as error:
        if error.errno in _NO_ROOM or isinstance(error, PermissionError):
            raise OutputError(f"the output folder cannot be written to ({os.strerror(error.errno or 0)})") from None
        raise


def nameless(folder: Path) -> BinaryIO:
    """Open a file that has no name, one that can be given one later where the file system has such files."""
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.fdopen(os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666), "w+b")
        except OSError as error:
            if error.errno not in _NO_SUCH_FILES:
                raise
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder))


class _Finish:
    """Gives verified content its name, all of it at once."""

    def __init__(self, file: BinaryIO, target: Path) -> None:
        self._file, self._target = file, target

    def __call__(self) -> None:
        self._file.flush()
        with suppress(OSError):
            # Given a descriptor, the call follows the link that /proc has there; the target must not be there yet.
            descriptor = self._file.fileno()
            os.link(f"/proc/self/fd/{descriptor}", self._target, src_dir_fd=descriptor, follow_symlinks=True)
            return
        self._file.seek(0)
        part = self._target.with_name(f".{self._target.name}.part")
        try:
            with part.open("xb") as copy:
                shutil.copyfileobj(self._file, copy, 1 << 20)
            part.rename(self._target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
