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
    with noting(engine) as connection:
        fresh, tried = script_jobs.begin(connection, script_ids, others)
    became: dict[int, State] = {}
    if fresh:
        begun(fresh)
    if len(fresh) == 1:
        became = _attempt_alone(engine, templates, fresh[0], 1, now)
    elif fresh:
        became = _attempt_together(engine, templates, fresh, now)
    broken_off = [script_id for script_id, state in became.items() if state == "running"]
    for script_id in broken_off + tried:
        became |= _attempt_again(engine, templates, script_id, now, begun)
    return became


def _attempt_together(engine: Engine, templates: Templates, script_ids: Sequence[int], now: float) -> dict[int, State]:
    """Render jobs that were not tried before; they are still running where one provoked another end.

    What one of many provokes is not known to be of that one.
    """
    try:
        with writing(engine) as connection:
            return _render_together(connection, templates, script_ids, now)
    except OUTAGES:
        raise
    except Exception:  # noqa: BLE001 - logged where it is tried alone
        return dict.fromkeys(script_ids, "running")


def _attempt_again(engine: Engine, templates: Templates, script_id: int, now: float, begun: Begun) -> dict[int, State]:
    """Render a job that was tried before, unless it was so too often."""
    with noting(engine) as connection:
        attempts = script_jobs.begin_again(connection, script_id)
        if attempts > _MOST_ATTEMPTS:
            script_jobs.fail(
                connection, script_id, f"{_MOST_ATTEMPTS} attempts came to no end: the workers' logs tell why"
            )
            return {script_id: "failed"}
    if not attempts:
        return {}
    begun([script_id])
    return _attempt_alone(engine, templates, script_id, attempts, now)


def _attempt_alone(engine: Engine, templates: Templates, script_id: int, attempts: int, now: float) -> dict[int, State]:
    """Render a job that was begun so often; where it provokes another end it is queued again, or failed at last."""
    try:
        with writing(engine) as connection:
            return _render_together(connection, templates, [script_id], now)
    except OUTAGES:
        raise
    except Exception as error:
        log.exception("script %d cannot be rendered", script_id)
        took_too_long = isinstance(error, SoftTimeLimitExceeded)
    with writing(engine) as connection:
        # Nothing became of it where somebody cancelled it meanwhile.
        if attempts < _MOST_ATTEMPTS:
            return {script_id: "queued"} if script_jobs.put_back(connection, script_id) else {}
        why = "it takes longer than a script may" if took_too_long else "the worker cannot render it: its log tells why"
        return {script_id: "failed"} if script_jobs.fail(connection, script_id, why) else {}


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
