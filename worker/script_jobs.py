"""Script jobs: rendered in one transaction, whatever becomes of each."""

import logging
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, Engine

from store import remedies, script_jobs
from store.engine import OUTAGES, reading, writing
from store.remedies import BadParameter, Remedy
from store.script_jobs import Job
from worker.remedies.evidence import parameters_for
from worker.remedies.render import Provenance, Rendered, render
from worker.remedies.templates import Template

log = logging.getLogger(__name__)

MOST_AT_ONCE = 64
OVERDUE_SECONDS = 10.0
_MOST_ATTEMPTS = 3

Templates = Mapping[str, Template]


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


def render_jobs(engine: Engine, templates: Templates, script_ids: Sequence[int], now: float) -> list[int]:
    """Render these jobs and return the ids of those that are done, ready or failed.

    A job that another worker has in hand, or that is done, is passed over. What one of them provokes does not keep
    the others: it stays queued, until it was tried often enough.
    """
    try:
        with writing(engine) as connection:
            return _render_together(connection, templates, script_ids, now)
    except OUTAGES:
        raise
    except Exception:
        if len(script_ids) > 1:
            return [done for one in script_ids for done in render_jobs(engine, templates, [one], now)]
        log.exception("script %d cannot be rendered", script_ids[0])
    with writing(engine) as connection:
        if script_jobs.count_attempt(connection, script_ids[0]) < _MOST_ATTEMPTS:
            return []
        script_jobs.fail(connection, script_ids[0], "the worker cannot render it: its log tells why")
        return list(script_ids)


def _render_together(connection: Connection, templates: Templates, script_ids: Sequence[int], now: float) -> list[int]:
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
    return [*ready, *failed]


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
