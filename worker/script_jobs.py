"""Script jobs: rendered in one transaction, whatever becomes of each."""

import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection, Engine

from store import remedies, script_jobs
from store.engine import OUTAGES, noting, reading, writing
from store.remedies import BadParameter, Remedy
from store.script_jobs import Job
from store.scripts import State
from worker.remedies.evidence import parameters_for
from worker.remedies.render import Provenance, Rendered, render
from worker.remedies.templates import Template

log = logging.getLogger(__name__)

MOST_AT_ONCE = 64
OVERDUE_SECONDS = 10.0
_MOST_ATTEMPTS = 5

Templates = Mapping[str, Template]
Begun = Callable[[Sequence[int]], None]


class CannotRender(ValueError):
    """A job that can become no script; the message says why."""


def remedy_of(templates: Templates) -> dict[str, str]:
    """Return the remedy that answers a type of event, for each type that has one."""
    answering = remedies.by_event(template.remedy for template in templates.values())
    return {event: remedy.issue_type for event, remedy in answering.items()}


def publish_catalogue(engine: Engine, templates: Templates, now: float) -> bool:
    """Publish the built-in remedies for the API, unless they are what is published; say whether they were not."""
    mine = sorted((template.remedy for template in templates.values()), key=lambda remedy: remedy.issue_type)
    if _published(engine) == mine:
        return False
    with writing(engine) as connection:
        remedies.publish(connection, mine, now)
    return True


def _published(engine: Engine) -> list[Remedy] | None:
    with reading(engine) as connection:
        try:
            return sorted(remedies.built_in(connection), key=lambda remedy: remedy.issue_type)
        except msgspec.ValidationError:
            # Of another version of the workers.
            return None


def render_jobs(
    engine: Engine,
    templates: Templates,
    script_ids: Sequence[int],
    now: float,
    begun: Begun = lambda _: None,
    others: int = 0,
) -> dict[int, State]:
    """Render these jobs, and up to so many ``others`` that wait for their first attempt.

    Returned is what became of each that this worker had in hand; ``begun`` is told of them before. Each attempt is
    counted before it begins, so that a job that ends its worker is not tried for ever. Those that were tried before are
    tried one by one, so that such a job does not take others with it.
    """
    with reading(engine) as connection:
        attempts = script_jobs.waiting(connection, script_ids, others)
    fresh = [script_id for script_id, count in attempts.items() if count == 0]
    tried = [script_id for script_id, count in attempts.items() if count > 0]
    became = _attempt(engine, templates, fresh, now, begun, alone=len(fresh) == 1) if fresh else {}
    broken_off = [script_id for script_id, state in became.items() if state == "running"]
    for script_id in broken_off + tried:
        became |= _attempt(engine, templates, [script_id], now, begun, alone=True)
    return became


def _attempt(
    engine: Engine, templates: Templates, script_ids: Sequence[int], now: float, begun: Begun, *, alone: bool
) -> dict[int, State]:
    """Render jobs that were not tried before, or one ``alone``; they are still running where one provoked another end.

    What one of many provokes is not known to be of that one.
    """
    became: dict[int, State] = {}
    with noting(engine) as connection:
        attempts = script_jobs.begin(connection, script_ids, tried_too=alone)
        for script_id, count in attempts.items():
            if count > _MOST_ATTEMPTS:
                script_jobs.fail(
                    connection, script_id, f"{_MOST_ATTEMPTS} attempts came to no end: the workers' logs tell why"
                )
                became[script_id] = "failed"
    in_hand = [script_id for script_id in attempts if script_id not in became]
    if not in_hand:
        return became
    begun(in_hand)
    try:
        with writing(engine) as connection:
            return became | _render_together(connection, templates, in_hand, now)
    except OUTAGES:
        raise
    except Exception as error:
        if not alone:
            return dict.fromkeys(in_hand, "running")
        log.exception("script %d cannot be rendered", in_hand[0])
        took_too_long = isinstance(error, SoftTimeLimitExceeded)
    with writing(engine) as connection:
        if attempts[in_hand[0]] < _MOST_ATTEMPTS:
            script_jobs.put_back(connection, in_hand[0])
            return {in_hand[0]: "queued"}
        why = "it takes longer than a script may" if took_too_long else "the worker cannot render it: its log tells why"
        script_jobs.fail(connection, in_hand[0], why)
        return {in_hand[0]: "failed"}


def _render_together(
    connection: Connection, templates: Templates, script_ids: Sequence[int], now: float
) -> dict[int, State]:
    ready = {}
    failed = {}
    for job in script_jobs.take(connection, script_ids):
        try:
            ready[job.id] = vars(rendered(templates, job))
        except (BadParameter, CannotRender) as error:
            failed[job.id] = str(error)
    script_jobs.finish(connection, ready, now)
    for job_id, fault in failed.items():
        script_jobs.fail(connection, job_id, fault)
    became: dict[int, State] = dict.fromkeys(ready, "ready")
    return became | dict.fromkeys(failed, "failed")


def rendered(templates: Templates, job: Job) -> Rendered:
    """Return the script that a job asks for. Raises CannotRender and store.remedies.BadParameter."""
    template = templates.get(job.issue_type)
    if template is None:
        raise CannotRender(f"this worker has no remedy {job.issue_type}")
    if job.script_type not in template.scripts:
        raise CannotRender(f"{job.issue_type} has no {job.script_type} script")
    given = {name: value for name, value in job.given.items() if value is not None}
    parameters = parameters_for(template.remedy, given, job.event_type, job.subject or "", job.evidence or {})
    return render(template, job.script_type, parameters, Provenance(job.event_id, job.host))
