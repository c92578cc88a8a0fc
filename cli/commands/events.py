"""``fleetmedic events``: what went wrong, and with --follow what goes wrong now."""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from cli.api_client import ApiClient, ApiUnreachable
from cli.arguments import add_data_dir, whole_number
from cli.server_file import find_server
from cli.tables import local_time, table
from wire.text import visible

_HEADER = ("ID", "OPENED", "STATE", "SEVERITY", "HOST", "TYPE", "SUBJECT", "VALUE", "LIMIT", "LIFE")
_NUMBERS = frozenset((0, 7, 8))
_POLL_SECONDS = 1.0
_MOST_AT_A_TIME = 1000
_LONGEST_EXPLANATION = 4000


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--follow", action="store_true", help="go on and print each event as it opens, changes or resolves"
    )
    parser.add_argument("--type", metavar="T", help="only this type, such as cpu_high or disk_full")
    parser.add_argument("--host", metavar="H", help="only this host (name or id)")
    parser.add_argument("--state", choices=["open", "resolved"], help="only events in this state")
    parser.add_argument(
        "--limit",
        type=whole_number(1, _MOST_AT_A_TIME),
        default=50,
        metavar="N",
        help="the latest N (default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print {items: [event, ...]}; with --follow one event a line"
    )
    add_data_dir(parser)


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Print the latest events, the oldest of them first."""
    api = ApiClient.from_environment(find_server(environment, arguments.data_dir))
    wanted = {"type": arguments.type, "host": arguments.host, "state": arguments.state}
    if arguments.follow:
        _follow(api, wanted, arguments.limit, as_json=arguments.json)
    events = _latest(api, wanted, arguments.limit)
    if arguments.json:
        print(json.dumps({"items": events}, indent=2))
    elif events:
        print("\n".join(_with_explanations(events)))
    else:
        print("no events")
    return 0


def _latest(api: ApiClient, wanted: Mapping[str, str | None], limit: int) -> list[dict[str, Any]]:
    newest_first: list[dict[str, Any]] = api.get("/api/v1/events", **wanted, limit=str(limit))["items"]
    return newest_first[::-1]


def _follow(api: ApiClient, wanted: Mapping[str, str | None], shown_at_first: int, *, as_json: bool) -> NoReturn:
    events = _latest(api, wanted, _MOST_AT_A_TIME)
    news = events[-shown_at_first:]
    shown: dict[int, dict[str, Any]] = {}
    reachable = True
    while True:
        for event in news:
            print(json.dumps(event) if as_json else line(event, shown.get(event["id"])), flush=True)
            shown[event["id"]] = event
        time.sleep(_POLL_SECONDS)
        before = events
        try:
            events = _latest(api, wanted, _MOST_AT_A_TIME)
        except ApiUnreachable as error:
            # A server that restarts is no reason to give up.
            if reachable:
                print(f"fleetmedic: {error}; trying on", file=sys.stderr)
            reachable = False
        else:
            reachable = True
        news = changed(before, events)


def _with_explanations(events: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table, each event's explanation below its row."""
    header, *rows = table(_HEADER, [_row(event) for event in events], _NUMBERS).split("\n")
    yield header
    for event, row in zip(events, rows, strict=True):
        yield row
        if event["explanation"]:
            yield f"    {visible(event['explanation'], _LONGEST_EXPLANATION)}"


def changed(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events of ``after`` that are new, or stand otherwise than in ``before``."""
    seen = {event["id"]: _standing(event) for event in before}
    return [event for event in after if seen.get(event["id"]) != _standing(event)]


def _standing(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["state"], event["severity"], event["openings"], event["acknowledged_at"], event["explanation"]


def life(event: dict[str, Any]) -> str:
    """Return in words what became of an event besides its opening and resolving; empty for nothing."""
    words = [
        f"opened {event['openings']} times" if event["openings"] > 1 else "",
        "flapping" if event["flapping"] else "",
        f"acknowledged by {visible(event['acknowledged_by'] or '?')}" if event["acknowledged_at"] else "",
        f"resolved by {visible(event['resolved_by'])}" if event["resolved_by"] else "",
        f"notes: {event['notes']}" if event["notes"] else "",
    ]
    return ", ".join(word for word in words if word)


def _row(event: dict[str, Any]) -> list[str]:
    return [
        str(event["id"]),
        local_time(event["opened_at"]),
        event["state"],
        event["severity"],
        event["host"],
        event["type"],
        event["subject"],
        _number(event["value"]),
        _number(event["limit"]),
        life(event),
    ]


def line(event: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Return one event as --follow prints it: what became of it last, and when; then its explanation, once.

    ``before`` is the event as it was printed last, None where it was not.
    """
    is_news = before is None or _standing(before)[:-1] != _standing(event)[:-1]
    is_explained = event["explanation"] and (before is None or before["explanation"] != event["explanation"])
    when = local_time(event["resolved_at"] or event["reopened_at"] or event["opened_at"])
    about = "" if event["subject"] == event["host"] else f" {visible(event['subject'])}"
    what = f"{visible(event['host'])}  {event['type']}{about}"
    if is_news:
        value = "" if event["value"] is None else f" at {_number(event['value'])}"
        what += value + ("" if event["limit"] is None else f" (limit {_number(event['limit'])})")
        what += f"  {life(event)}" if life(event) else ""
    if is_explained:
        what += f"\n    {visible(event['explanation'], _LONGEST_EXPLANATION)}"
    return f"{when}  {event['state']:8}  {event['severity']:8}  {what}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
