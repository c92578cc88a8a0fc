"""What changed on the server, as workers announce it (``wire.keys.CHANGES``) and as pages are told. Pure."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

MAX_IDS = 256
"""Above this, a change names nobody: whoever shows anything of its kind asks again."""

Changes = dict[str, set[int] | dict[int, str] | None]
"""By topic: the ids of hosts (``snapshots``, ``events``), states of ``scripts`` by id; None for too many to name."""

_NOUNS = {"snapshots": "hosts", "events": "hosts", "scripts": "scripts"}


class _Announcement(Struct):
    snapshots: list[int] | UnsetType | None = UNSET
    events: list[int] | UnsetType | None = UNSET
    scripts: dict[int, str] | UnsetType | None = UNSET


def read_announcement(message: bytes) -> Changes:
    """Read what a worker announced; nothing where it cannot be read: a page asks again by itself before long."""
    try:
        announced = msgspec.json.decode(message, type=_Announcement)
    except msgspec.DecodeError:
        return {}
    topics = {topic: getattr(announced, topic) for topic in _NOUNS}
    return {topic: set(ids) if isinstance(ids, list) else ids for topic, ids in topics.items() if ids is not UNSET}


def merge(one: Changes, other: Changes) -> Changes:
    """Return both changes as one; of a script the state that it came to last."""
    merged = dict(one)
    for topic, ids in other.items():
        both = _both(merged[topic], ids) if topic in merged else ids
        merged[topic] = None if both is None or len(both) > MAX_IDS else both
    return merged


def _both(
    before: set[int] | dict[int, str] | None, after: set[int] | dict[int, str] | None
) -> set[int] | dict[int, str] | None:
    if isinstance(before, dict) and isinstance(after, dict):
        return before | after
    return None if before is None or after is None else set(before) | set(after)


def of_host(changes: Changes, host_id: int) -> Changes:
    """Return the part of a change that concerns one host; what names nobody may concern it, and so may scripts."""
    return {
        topic: ids if topic == "scripts" or ids is None else {host_id}
        for topic, ids in changes.items()
        if topic == "scripts" or ids is None or host_id in ids
    }


def server_sent_events(changes: Changes) -> bytes:
    """Return a change in the form of server-sent events (HTML standard, 9.2), one a topic."""
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (topic.encode(), msgspec.json.encode(_told(_NOUNS[topic], ids)))
        for topic, ids in changes.items()
    )


def _told(noun: str, ids: set[int] | dict[int, str] | None) -> dict[str, object]:
    told: dict[str, object] = {noun: None if ids is None else sorted(ids)}
    return told | {"states": ids} if isinstance(ids, dict) else told
