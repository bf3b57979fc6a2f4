"""``casebridge send``: files on disk to a receiver, with a progress bar."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from scp.errors import ScpError
from scp.send import FileResult, SendSummary, Sent, send
from scp.tls_client import ClientTls


def client_tls(
    *, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None, server_name: str | None
) -> ClientTls:
    """Return how a receiver is spoken to over TLS, from the options of the command line."""
    return ClientTls(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file, server_name=server_name)


def send_with_progress(
    paths: Sequence[Path],
    host: str,
    port: int,
    *,
    called_ae: str,
    calling_ae: str,
    tls: ClientTls | None = None,
    console: Console | None = None,
) -> bool:
    """Send files and folders, showing the progress; return whether every DICOM file was stored."""
    console = console or Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("Sending", total=None)

        def on_progress(done: int, total: int, _file: FileResult) -> None:
            progress.update(bar, completed=done, total=total)

        try:
            summary = send(
                paths,
                host=host,
                port=port,
                called_ae=called_ae,
                calling_ae=calling_ae,
                tls=tls,
                on_progress=on_progress,
            )
        except ScpError as error:
            progress.stop()
            console.print(f"Nothing more could be sent: {error}", style="red", markup=False)
            return False
    _show(summary, console)
    return summary.is_complete


def _show(summary: SendSummary, console: Console) -> None:
    if summary.rejection:
        console.print(f"The receiver took no association: {summary.rejection}", style="red", markup=False)
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(str(summary.count(Sent.STORED)), "stored")
    for reason, count in sorted(summary.reasons.items()):
        table.add_row(str(count), reason, style="yellow")
    console.print(table)
