"""``casebridge spool rekey``: seal everything in the spool under the first key, with a line in the audit log."""

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bridge.app import open_database, open_spool
from bridge.spool_keys import load_spool_keys
from cases.store import Audit
from config.settings import Settings
from scp.errors import SpoolFullError
from scp.rekeying import Rekeyed, Rekeying

ACTOR = "command-line"
EXIT_CONFIG = 2
EXIT_FAILED = 1


def rekey_with_progress(settings: Settings) -> int:
    """Seal the spool anew and return the exit status: 0 when the other keys are needed no more."""
    keys = load_spool_keys(settings)
    if keys is None:
        click.echo("There is no spool key: set spool_key_file or spool_key_command first.", err=True)
        return EXIT_CONFIG
    spool = open_spool(settings)
    spool.prepare()
    rekeying = Rekeying(spool, keys)
    with open_database(settings) as database:
        done, trouble, needed = Rekeyed(), "interrupted", list[str]()
        try:
            done = _run(rekeying)
            trouble = ""
        except SpoolFullError as error:
            trouble = error.comment
        finally:
            if not trouble:
                needed = sorted(rekeying.needed() - {keys.ids[0]})
            with database.write() as session:
                detail: dict[str, str | int | bool | None] = {
                    "sealed": done.sealed,
                    "was_plain": done.was_plain,
                    "already": done.current,
                    "broken": len(done.broken),
                    "without_key": len(done.keyless),
                    "other_keys_needed": len(needed),
                    "ended": trouble or "complete",
                }
                Audit(session).append(ACTOR, "spool.rekey", keys.ids[0], detail)
    return _report(done, trouble, needed, keys.ids[0])


def _run(rekeying: Rekeying) -> Rekeyed:
    columns = (TextColumn("sealing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(rekeying.files()))
        return rekeying.run(lambda: progress.advance(task))


def _report(done: Rekeyed, trouble: str, needed: list[str], key_id: str) -> int:
    click.echo(
        f"{done.sealed} file(s) sealed under the key {key_id[:8]}, {done.was_plain} of them lay plain before; "
        f"{done.current} were under it already."
    )
    for path in (*done.broken, *done.keyless):
        why = "is damaged" if path in done.broken else "needs a spool key that is not configured"
        click.echo(f"{path.parent.name}/{path.name} {why} and was left as it is.", err=True)
    if trouble:
        click.echo(f"Stopped: {trouble}. What was done stays done; run it again.", err=True)
        return EXIT_FAILED
    if needed:
        click.echo(
            f"Still needed: the key(s) {', '.join(key[:8] for key in needed)}. Restart every receiver and worker that "
            "seals under an older key, then run this again.",
            err=True,
        )
        return EXIT_FAILED
    click.echo("No other key is needed any more: the others can be taken out of the key file.")
    return 0
