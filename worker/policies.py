"""Policies as limits: which of them a host is under, and which of these wins. Pure, but for ``limits_of``.

The nearest wins: a host's over those of its tags, these over the fleet's. Within one of these, the one for the subject
in full wins over a pattern, a longer pattern over a shorter one, and that over the one for every subject; then the
tag that comes first in the alphabet. Each setting goes its own way: what a policy leaves open is that of the next.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Connection

from store import policies
from store.policies import Governing
from store.policy_types import Settings
from worker.detection.host_limits import NO_POLICIES, BatchLimits, HostLimits, Override, is_glob
from worker.detection.limits import HOST_DOWN, Limit

_NEAREST = {"fleet": 0, "tag": 1, "host": 2}
_FIELDS = {
    "limit": "value",
    "opens_after_seconds": "opens_after_seconds",
    "clear_margin": "clear_margin",
    "rise": "rise",
    "hold_seconds": "hold_seconds",
    "enabled": "enabled",
    "severity": "severity",
}
"""Of ``Limit``, by the setting of a policy."""


def limits_of(connection: Connection, host_ids: Sequence[int]) -> BatchLimits:
    """Return the limits of these hosts, in their order, by the policies as they are now."""
    governing = policies.in_force(connection)
    return resolved(connection, governing, host_ids) if governing else NO_POLICIES


def resolved(connection: Connection, governing: Sequence[Governing], host_ids: Sequence[int]) -> BatchLimits:
    """Return the limits of these hosts, in their order, by these policies and by the hosts' tags."""
    wanted = {policy.target.tag for policy in governing if policy.target.scope == "tag"}
    return batch_limits(governing, host_ids, policies.tags_of(connection, host_ids, wanted) if wanted else ())


def strictest_silence(connection: Connection) -> Limit:
    """Return a limit of host_down that no host's is below: what a sweep looks for first."""
    set_of_any = [policy.settings for policy in policies.in_force(connection) if policy.target.type == "host_down"]
    return replace(
        HOST_DOWN,
        value=min([HOST_DOWN.value] + [one.limit for one in set_of_any if one.limit is not None]),
        opens_after_seconds=min(
            [HOST_DOWN.opens_after_seconds]
            + [one.opens_after_seconds for one in set_of_any if one.opens_after_seconds is not None]
        ),
    )


def batch_limits(
    governing: Sequence[Governing], host_ids: Sequence[int], tags: Iterable[tuple[int, str]]
) -> BatchLimits:
    """Return the limits of these hosts, in their order; ``tags`` are theirs, as pairs of host id and tag."""
    ordered = sorted(governing, key=_tag_and_name, reverse=True)
    ordered.sort(key=_precedence)
    place_of = {host_id: place for place, host_id in enumerate(host_ids)}
    own: dict[int, list[int]] = defaultdict(list)
    """Places in ``ordered`` of what holds for a host but not for all, by the host's place."""
    of_tag = defaultdict(list)
    for rank, policy in enumerate(ordered):
        if policy.target.scope == "tag":
            of_tag[policy.target.tag].append(rank)
        elif policy.target.host_id in place_of:
            own[place_of[policy.target.host_id]].append(rank)
    for host_id, tag in tags:
        own[place_of[host_id]] += of_tag.get(tag, ())
    shared = [rank for rank, policy in enumerate(ordered) if policy.target.scope == "fleet"]
    kinds = [_host_limits(ordered, shared)]
    kind_of: dict[tuple[int, ...], int] = {}
    kind = np.zeros(len(host_ids), np.int64)
    for place, ranks in own.items():
        key = tuple(sorted(ranks))
        if key not in kind_of:
            kind_of[key] = len(kinds)
            kinds.append(_host_limits(ordered, sorted((*shared, *key))))
        kind[place] = kind_of[key]
    return BatchLimits(kinds, kind if own else None)


def _precedence(policy: Governing) -> tuple[int, int, int]:
    """Return what sorts the policies of a type from the weakest to the one that wins."""
    subject = policy.target.subject
    named = 2 if subject and not is_glob(subject) else 1 if subject else 0
    return _NEAREST[policy.target.scope], named, sum(letter not in "*?" for letter in subject)


def _tag_and_name(policy: Governing) -> tuple[str, str]:
    return policy.target.tag, policy.target.subject


def _host_limits(ordered: Sequence[Governing], ranks: Iterable[int]) -> HostLimits:
    overrides: dict[str, list[Override]] = defaultdict(list)
    for rank in ranks:
        target, settings = ordered[rank].target, ordered[rank].settings
        overrides[target.type].append(Override(target.subject, fields(settings)))
    return HostLimits(overrides)


def fields(settings: Settings) -> dict[str, Any]:
    """Return the fields of a ``Limit`` that settings set."""
    given = {name: value for name in _FIELDS if (value := getattr(settings, name)) is not None}
    changed = {_FIELDS[name]: value for name, value in given.items()}
    if "opens_after_seconds" in given:
        # One reading is no duration.
        changed["minimum_snapshots"] = 2 if given["opens_after_seconds"] > 0 else 1
    return changed
