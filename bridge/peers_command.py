"""``casebridge peers``: who may send, who was turned away, who did send; to allow a peer and to take that back."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.app import open_database, open_spool
from bridge.keys import SecretError
from bridge.peers import ORIGIN_ALLOWED, BridgePeers, warnings_of
from cases.errors import CaseError
from cases.peers import NewPeerRule, PeerOverview, PeerSuccess, ShownPeerRule, ShownRejection
from config.settings import Settings

ACTOR = "command-line"
EXIT_OK = 0
EXIT_FAULT = 1
ID_SHOWN = 8
LEAST_ID = 4


def show_peers(settings: Settings, *, as_json: bool) -> int:
    """Print who may send, who was turned away and who did send; return the exit status."""
    with _peers(settings) as peers:
        overview = peers.overview()
        if as_json:
            print(json.dumps(as_values(overview), indent=2))  # noqa: T201 - a program reads this
        else:
            show(overview, warnings_of(peers), Console())
    return EXIT_OK


def allow(settings: Settings, *, as_json: bool, **terms: Any) -> int:
    """Let a peer in and print its rule; return the exit status."""
    with _peers(settings) as peers:
        rule = peers.allow(ACTOR, NewPeerRule(**terms))
    if as_json:
        print(json.dumps(asdict(rule), indent=2, default=_plain))  # noqa: T201 - a program reads this
    else:
        click.echo(f"{rule.calling_ae} may send from {_from(rule)}, from its next association on.")
        click.echo(f"To take it back: casebridge peers remove {_short(rule)}")
    return EXIT_OK


def remove(settings: Settings, rule_id: str) -> int:
    """Take back a rule that was allowed, by its id or how it begins; return the exit status."""
    with _peers(settings) as peers:
        known = [rule for rule in peers.overview().rules if rule.origin == ORIGIN_ALLOWED]
        found = [rule for rule in known if len(rule_id) >= LEAST_ID and str(rule.id).startswith(rule_id.lower())]
        if len(found) != 1:
            why = "several rules begin so: give more of the id" if found else "no allowed rule has this id"
            raise click.ClickException(f"{why}; see casebridge peers")
        peers.remove(ACTOR, str(found[0].id))
    click.echo(f"{found[0].calling_ae} from {_from(found[0])} is no longer allowed by this rule.")
    return EXIT_OK


@contextmanager
def _peers(settings: Settings) -> Iterator[BridgePeers]:
    """Open what is needed; what goes wrong becomes one line and exit status 1."""
    try:
        with open_database(settings) as database:
            yield BridgePeers(database=database, spool=open_spool(settings), own_ae=settings.ae_title)
    except (CaseError, SecretError, OSError) as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_FAULT)


def as_values(overview: PeerOverview) -> dict[str, Any]:
    """Turn the overview into what JSON can hold, its fields named as the API names them."""
    values = asdict(overview)
    values["rejected"] = [
        {**row.pop("peer"), **row, "state": "allowed" if row.pop("is_allowed") else "rejected"}
        for row in values["rejected"]
    ]
    return json.loads(json.dumps(values, default=_plain))  # type: ignore[no-any-return]


def _plain(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


# -- tables of 80 columns --------------------------------------------------------------------------------------------


def show(overview: PeerOverview, warnings: Iterable[str], console: Console) -> None:
    """Print the tables."""
    for warning in warnings:
        console.print(f"Warning: {warning}.", style="yellow", markup=False, highlight=False)
    console.print(_rules(overview.rules))
    console.print("Programs on this machine may send without a rule.", markup=False)
    if overview.rejected:
        console.print(_rejected(overview.rejected), markup=False, highlight=False)
        _say_what_to_do(overview, console)
    if overview.senders:
        console.print(_senders(overview))


def _rules(rules: Iterable[ShownPeerRule]) -> Table:
    table = _table("Who may send", "id", "AE title", "from", "by")
    for rule in rules:
        who = "settings" if rule.created_by is None else f"{rule.created_by}\n{_day(rule.created_at)}"
        limits = [f"certificate {_shortened(entry)}" for entry in rule.certificates]
        limits += [f"at most {rule.max_associations} association(s)"] if rule.max_associations else []
        limits += ["storage commitment"] if rule.commits else []
        limits += [rule.note] if rule.note else []
        _add(table, _short(rule), rule.calling_ae, "\n".join([*(rule.addresses or ("any address",)), *limits]), who)
    return table


def _rejected(rejected: Iterable[ShownRejection]) -> str:
    """Return two lines or more for each: an AE title and an IPv6 address have to be read in full."""
    lines = ["", "Turned away", f" times  {'sender':<16}  {'from':<39}  last"]
    for row in rejected:
        peer = row.peer
        told = [f"{peer.rule}{', allowed now' if row.is_allowed else ''}"]
        told += [f"called {peer.called_ae}"] if peer.rule == "unknown-called-ae" else []
        told += [f"showed {_shortened(peer.certificate)}"] if peer.certificate else []
        told += _told("this address", "as", row.success_of_address, "calling_ae")
        told += _told("this AE title", "from", row.success_of_title, "peer_address")
        lines.append(f"{peer.count:>6}  {peer.calling_ae or '-':<16}  {peer.peer_address:<39}  {_time(peer.last_at)}")
        lines += [f"        {line}" for line in told]
    return "\n".join(lines)


def _told(what: str, joint: str, success: PeerSuccess | None, other: str) -> list[str]:
    if success is None:
        return []
    return [f"{what}: {_day(success.last_at)} {joint} {getattr(success, other)}, {success.stored} stored"]


def _say_what_to_do(overview: PeerOverview, console: Console) -> None:
    if overview.rejected_left_out:
        console.print(f"and {overview.rejected_left_out} older kind(s) of rejection", markup=False)
    told = {row.peer.rule: row.explanation for row in overview.rejected if not row.is_allowed}
    for rule, explanation in told.items():
        console.print(f"\n{rule}: {explanation}", markup=False, highlight=False)
    first = next((row.peer for row in overview.rejected if row.can_be_allowed), None)
    if first is not None:
        is_tied = first.rule == "certificate-not-of-peer"
        tied = f" --certificate {first.certificate.partition(' ')[0]}" if is_tied else ""
        console.print(
            f"For example: casebridge peers allow {shlex.quote(first.calling_ae)} --from {first.peer_address}{tied}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _senders(overview: PeerOverview) -> Table:
    table = _table("\nSenders", "sender", "from", "times", "stored", "last", "TLS")
    for sender in overview.senders:
        secured = "\n".join(filter(None, (sender.tls, _shortened(sender.certificate)))) or "-"
        count, stored = str(sender.associations), str(sender.stored)
        _add(table, sender.calling_ae, sender.peer_address, count, stored, _time(sender.last_at), secured)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        # Folded, never cut off: an AE title has to be read in full.
        is_short = column in {"id", "AE title", "sender", "times", "stored", "last"}
        table.add_column(column, overflow="fold", no_wrap=is_short)
    return table


def _add(table: Table, *cells: str) -> None:
    # As plain text: whoever reaches the port chooses the AE title, and brackets would be taken for colours.
    table.add_row(*map(Text, cells))


def _from(rule: ShownPeerRule) -> str:
    return ", ".join(rule.addresses) or "any address"


def _short(rule: ShownPeerRule) -> str:
    return rule.id[:ID_SHOWN] if rule.id else "-"


def _shortened(certificate: str) -> str:
    """Return the name in a certificate where there is one, else the beginning of its fingerprint."""
    fingerprint, _, name = certificate.partition(" ")
    return name or fingerprint[: len("sha256:") + ID_SHOWN]


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%m-%d %H:%M")


def _day(moment: datetime | None) -> str:
    return moment.astimezone().date().isoformat() if moment else ""
