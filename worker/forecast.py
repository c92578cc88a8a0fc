"""The duty of disk_forecast: the hosts' latest details become history, and events of filesystems that will be full.

Lane by lane, each in one transaction with the lane locked: what was looked at before says nothing new, so a run that
was killed is made up for by the next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from store import filesystems, leases, script_jobs
from store.engine import reading, writing
from wire import keys
from worker.event_rows import write_events
from worker.filling import DISK_FORECAST, POINT_SECONDS, look
from worker.listener import DUTIES
from worker.policies import limits_of

# The child that does it drains nothing meanwhile.
_MOST_SECONDS = 1.0


@dataclass
class Forecasted:
    """What a run did."""

    hosts_with_events: set[int] = field(default_factory=set)
    """Whose events opened, changed or resolved."""
    script_jobs: list[int] = field(default_factory=list)
    """What it queued, to be rung for."""


def forecast(engine: Engine, remedy_of: Mapping[str, str], clock: Callable[[], float]) -> Forecasted:
    """Look through the lanes that are due, for a second at the most.

    An event whose type ``remedy_of`` names a remedy for gets a script job.
    """
    now = clock()
    done = Forecasted()
    with writing(engine) as connection:
        if leases.claim(connection, keys.TASK_FORECAST, now, DUTIES[keys.TASK_FORECAST]) is None:
            return done
        filesystems.add_missing_lanes(connection)
    with reading(engine) as connection:
        # Half a ring early rather than half a ring late.
        lanes = filesystems.due_lanes(connection, now - POINT_SECONDS + DUTIES[keys.TASK_FORECAST] / 2, now)
    for lane in lanes:
        if not 0 <= clock() - now < _MOST_SECONDS:
            break
        with writing(engine) as connection:
            if filesystems.hold_lane(connection, lane, now):
                _look_through(connection, lane, remedy_of, now, done)
    return done


def _look_through(
    connection: Connection, lane: int, remedy_of: Mapping[str, str], now: float, done: Forecasted
) -> None:
    hosts = filesystems.read_lane(connection, lane, now)
    looked = look(hosts, limits_of(connection, [host.host_id for host in hosts]), now)
    filesystems.write(connection, looked.rows)
    write_events(connection, looked.changes)
    in_trouble = {host for host, change in looked.changes if change.is_new or change.reopens}
    if in_trouble and DISK_FORECAST in remedy_of:
        done.script_jobs += script_jobs.request_for_open_events(connection, in_trouble, remedy_of, now)
    done.hosts_with_events |= {host for host, _ in looked.changes}
