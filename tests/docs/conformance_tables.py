"""The tables of docs/conformance.md, made from the code. Written anew by: python -m tests.docs.conformance_tables."""

import ast
from collections.abc import Callable
from pathlib import Path

from pydicom._uid_dict import UID_dictionary

from config import Settings
from scp import errors, status
from scp.commitment_data import FailureReason
from scp.contexts import is_storage
from scp.peers import Refusal
from scp.server import ReceiverSettings
from scp.status import Status, status_of
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs/conformance.md"

STATUS_NAMES = {
    Status.SUCCESS: "Success",
    Status.PROCESSING_FAILURE: "Failure: processing failure",
    Status.NO_SUCH_INSTANCE: "Failure: no such SOP Instance",
    Status.INVALID_ARGUMENT: "Failure: invalid argument value",
    Status.NO_SUCH_CLASS: "Failure: no such SOP Class",
    Status.NO_SUCH_ACTION: "Failure: no such action type",
    Status.RESOURCE_LIMITATION: "Failure: resource limitation",
    Status.SOP_CLASS_NOT_SUPPORTED: "Refused: SOP Class not supported",
    Status.UNRECOGNIZED_OPERATION: "Failure: unrecognized operation",
    Status.OUT_OF_RESOURCES: "Refused: Out of Resources",
    Status.DATA_SET_MISMATCH: "Error: Data Set does not match SOP Class",
    Status.CANNOT_UNDERSTAND: "Error: Cannot understand",
}
REFUSALS = {
    Refusal.UNKNOWN_CALLING_AE: "no peer rule has this calling AE title",
    Refusal.ADDRESS_NOT_ALLOWED: "a rule has the title, none the address",
    Refusal.UNKNOWN_CALLED_AE: "the called AE title is not one of ours",
    Refusal.TOO_MANY_ASSOCIATIONS: "the limit of associations is reached",
    Refusal.TOO_MANY_FROM_ADDRESS: "the limit of associations from this address, or of this peer, is reached",
    Refusal.TOO_MANY_CONNECTIONS: "closed unread: far more connections than associations are open",
    Refusal.DISK_RESERVE: "the spool's disk is at its reserve, or cannot be written",
    Refusal.STOPPING: "the receiver is being stopped",
    Refusal.UNREADABLE_REQUEST: "aborted: what came is no A-ASSOCIATE-RQ",
    Refusal.TLS_REQUIRED: "the AE title is tied to certificates, and the connection is plain",
    Refusal.CERTIFICATE_REQUIRED: "the AE title is tied to certificates, and the connection showed none",
    Refusal.CERTIFICATE_NOT_OF_PEER: "the certificate is good, but not one that the AE title is tied to",
}
NOT_ANSWERS = {"rekeying"}
"""Modules whose errors no peer ever reads."""
UNANSWERED = {Refusal.TOO_MANY_CONNECTIONS, Refusal.UNREADABLE_REQUEST}
"""Ended without an A-ASSOCIATE-RJ."""
FAILURES = {
    FailureReason.PROCESSING_FAILURE: "the instance lies here damaged, or cannot be read",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "it was never received, or its original is deleted",
    FailureReason.CLASS_INSTANCE_CONFLICT: "it was received under another SOP Class",
    FailureReason.DUPLICATE_TRANSACTION_UID: "the Transaction UID was used for another list",
}
LIMITS = (
    "max_associations",
    "max_associations_per_peer",
    "max_object_mb",
    "max_study_mb",
    "disk_reserve_mb",
    "commitment_days",
    "retention_days",
    "hold_retention_days",
)
TIMERS = {
    "artim_timeout_s": "ARTIM: from a connection to its A-ASSOCIATE-RQ, a TLS handshake included; after a rejection",
    "network_timeout_s": "silence of an established association; time that one PDU may take",
}


def sop_classes() -> str:
    rows = ["| SOP Class | UID |", "|---|---|"]
    for uid, (name, kind, _, retired, _) in sorted(UID_dictionary.items(), key=lambda item: _sortable(item[0])):
        if kind == "SOP Class" and is_storage(uid):
            shown = name.removesuffix(" (Retired)") or "(a retired storage class)"
            rows.append(f"| {shown}{', retired' if retired else ''} | {uid} |")
    return "\n".join(rows)


def transfer_syntaxes() -> str:
    rows = ["| Transfer Syntax | UID |", "|---|---|"]
    for uid, (name, kind, _, retired, _) in sorted(UID_dictionary.items(), key=lambda item: _sortable(item[0])):
        if kind == "Transfer Syntax":
            rows.append(f"| {name.removesuffix(' (Retired)')}{', retired' if retired else ''} | {uid} |")
    return "\n".join(rows)


def _sortable(uid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in uid.split("."))


def statuses() -> str:
    rows = ["| Status | Meaning | Error Comment (0000,0902) | Reason in the receipt |", "|---|---|---|---|"]
    comments = comments_by_status()
    for each in Status:
        for comment, reason in comments.get(each, [("", "")]):
            rows.append(f"| `0x{each:04X}` | {STATUS_NAMES[each]} | {comment or '-'} | {reason or '-'} |")
    return "\n".join(rows)


def comments_by_status() -> dict[Status, list[tuple[str, str]]]:
    """Find what the code tells peers: the sentence and the reason of each error that has a status."""
    found: dict[Status, set[tuple[str, str]]] = {}
    for path in sorted((CHECKOUT / "scp").glob("*.py")):
        if path.stem in NOT_ANSWERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                kind = getattr(errors, node.func.id, None)
                if isinstance(kind, type) and kind in status._OF_ERROR:
                    reason = next((_text(word.value) for word in node.keywords if word.arg == "reason"), "")
                    each = status_of(kind(""))
                    found.setdefault(each, set()).add((_text(node.args[0]), reason or kind.default_reason))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Answer":
                values = {word.arg: word.value for word in node.keywords}
                given = values.get("status")
                if "comment" in values and isinstance(given, ast.Attribute) and ast.unparse(given.value) == "Status":
                    found.setdefault(Status[given.attr], set()).add((_text(values["comment"]), ""))
    return {each: sorted(pairs) for each, pairs in found.items()}


def _text(node: ast.expr) -> str:
    """Return a literal text; what is put in at run time stands as an ellipsis."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return "…"


def rejections() -> str:
    rows = ["| Result, source, reason | Rule in the list of the refused | When |", "|---|---|---|"]
    for refusal in Refusal:
        answer = "none" if refusal in UNANSWERED else ", ".join(str(part) for part in refusal.answer)
        rows.append(f"| {answer} | `{refusal.value}` | {REFUSALS[refusal]} |")
    return "\n".join(rows)


def failure_reasons() -> str:
    rows = ["| Failure Reason (0008,1197) | When |", "|---|---|"]
    rows += [f"| `0x{reason:04X}` | {FAILURES[reason]} |" for reason in FailureReason]
    return "\n".join(rows)


def timers() -> str:
    rows = ["| Timer | Seconds | What it ends |", "|---|---|---|"]
    values = ReceiverSettings()
    rows += [f"| `{name}` | {getattr(values, name):g} | {meaning} |" for name, meaning in TIMERS.items()]
    return "\n".join(rows)


def limits() -> str:
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name in LIMITS:
        field = Settings.model_fields[name]
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        rows.append(f"| `{name}` | {extra['shown'] or f'`{field.default}`'} | {field.description} |")
    return "\n".join(rows)


TABLES: dict[str, Callable[[], str]] = {
    "sop-classes": sop_classes,
    "transfer-syntaxes": transfer_syntaxes,
    "statuses": statuses,
    "rejections": rejections,
    "failure-reasons": failure_reasons,
    "timers": timers,
    "limits": limits,
}


def with_tables(text: str) -> str:
    for name, table in TABLES.items():
        begin, end = f"<!-- made from the code: {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        assert found, f"docs/conformance.md has no place for {name}"
        text = f"{before}{begin}\n{table()}\n\n{end}{rest.partition(end)[2]}"
    return text


def write(page: Path = PAGE) -> None:
    page.write_text(with_tables(page.read_text()))


if __name__ == "__main__":
    write()
