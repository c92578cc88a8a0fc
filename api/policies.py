"""Routes of policies: what is set for a type of event, for the fleet, a tag or a host, and every version of it."""

import secrets
from http import HTTPStatus
from typing import Annotated, Any, cast

import msgspec
import redis
from flask import Blueprint, Response
from msgspec import Meta, Struct
from sqlalchemy import Connection

from api.answers import answer, listing, rfc3339
from api.auth import who
from api.context import context
from api.operations import operation
from api.parsing import Cursor, Limit, bad_field, read_cursor, write_cursor
from api.problems import Problem
from api.queue import QueueDown
from api.references import HostId, HostReference, RowId, host_in_field, id_in_path
from store import policies, policy_types
from store.engine import reading, writing
from store.policies import Governing, Outdated, Policy, Scope, Target
from store.policy_types import BadSetting, Settings
from wire import keys
from wire.preview import Preview, decode_preview

blueprint = Blueprint("policies", __name__, url_prefix="/api/v1/policies")

EventType = Annotated[str, Meta(pattern="^[a-z_]{1,64}$")]
Tag = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
Subject = Annotated[str, Meta(max_length=1024, pattern=r"^[^\x00]*$")]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]

_WAIT_SECONDS = 10


class SettingsBody(Settings, frozen=True, forbid_unknown_fields=True):
    """What a policy sets. What is left out, or null, is set by a policy further away, or is the default."""

    def settings(self) -> Settings:
        """Return it as the store has it."""
        return Settings(*(getattr(self, name) for name in Settings.__struct_fields__))


class ChangeBody(SettingsBody, frozen=True, forbid_unknown_fields=True):
    """The settings that a policy is to have, all of them, and the ``version`` that this is a change of."""

    version: Version | None = None


class PolicyBody(SettingsBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy: what it is of, and what it sets.

    ``tag`` or ``host`` (id or name) goes with the scope. ``subject`` is a mount, a service or the name of a process, or
    a pattern of it with ``*`` and ``?``; without one the policy is for every subject.
    """

    scope: Scope
    type: EventType
    tag: Tag | None = None
    host: HostId | HostReference | None = None
    subject: Subject = ""


class PreviewBody(PolicyBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy as it would be, and how many ``hours`` back to look; one that sets nothing stands for its removal."""

    hours: Annotated[int, Meta(ge=1, le=720)] = 168


class PoliciesQuery(Struct, forbid_unknown_fields=True):
    """Which policies to list."""

    scope: Scope | None = None
    type: EventType | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


class VersionsQuery(Struct, forbid_unknown_fields=True):
    """Which page of a policy's versions to list."""

    limit: Limit = 100
    cursor: Cursor | None = None


@blueprint.get("")
@operation(query=PoliciesQuery)
def list_policies(asked: PoliciesQuery) -> Response:
    """List the policies that are in force, the oldest first."""
    with reading(context().engine) as connection:
        found = policies.page(
            connection,
            limit=asked.limit + 1,
            after_id=0 if asked.cursor is None else read_cursor(asked.cursor, RowId),
            scope=asked.scope,
            type=asked.type,
        )
    shown = found[: asked.limit]
    return listing([_document(one) for one in shown], write_cursor(shown[-1].id) if found != shown else None)


@blueprint.get("/types")
@operation()
def list_types() -> Response:
    """List the types of event that policies can be for, what can be set of each, its bounds and its default."""
    return listing(
        [
            {"type": name, "subject": one.subject, "numbers": dict(one.numbers)}
            for name, one in policy_types.TYPES.items()
        ],
        None,
    )


@blueprint.post("")
@operation(body=PolicyBody, statuses=(HTTPStatus.CREATED,))
def create_policy(asked: PolicyBody) -> Response:
    """Make a policy; it holds from the next drain on."""
    settings = checked(asked.type, asked.subject, asked)
    with writing(context().engine) as connection:
        target = target_of(connection, asked)
        try:
            made = policies.save(connection, target, settings, expected=0, now=context().now(), by=who())
        except Outdated as error:
            raise Problem(
                HTTPStatus.CONFLICT,
                f"policy {error.policy.id} is of the same scope, type and subject already: change that one",
                members={"id": error.policy.id},
            ) from None
    response = answer(_document(made))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = f"{blueprint.url_prefix}/{made.id}"
    return response


@blueprint.post("/preview")
@operation(body=PreviewBody)
def preview_policy(asked: PreviewBody) -> Response:
    """Replay the stored history as if a policy were saved, beside what holds now; nothing is saved.

    ``proposed`` and ``present`` are null where the history that is stored cannot tell: ``notes`` say why.
    """
    settings = fitting(asked.type, asked.subject, asked)
    with reading(context().engine) as connection:
        target = target_of(connection, asked)
    token = secrets.token_hex(16)
    proposed = msgspec.to_builtins(Governing(0, target, settings))
    try:
        context().queue.send(keys.QUEUE_SCRIPTS, keys.TASK_PREVIEW, [token, proposed, asked.hours * 3600.0])
        done = _waited_for(token)
    except (QueueDown, redis.RedisError):
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Redis does not answer: there is no preview now") from None
    if done is None:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"no worker made the preview within {_WAIT_SECONDS} seconds: try again, or fewer hours",
        )
    return answer(_preview_document(decode_preview(done)))


@blueprint.get("/<int:policy_id>")
@operation()
def show_policy(policy_id: int) -> Response:
    """Show one policy as it is."""
    with reading(context().engine) as connection:
        return answer(_document(_in_force(connection, policy_id)))


@blueprint.put("/<int:policy_id>")
@operation(body=ChangeBody)
def change_policy(asked: ChangeBody, policy_id: int) -> Response:
    """Replace what a policy sets; it holds from the next drain on."""
    with writing(context().engine) as connection:
        before = _in_force(connection, policy_id)
        settings = checked(before.target.type, before.target.subject, asked)
        return answer(_document(_saved(connection, before, settings, asked.version)))


@blueprint.delete("/<int:policy_id>")
@operation()
def remove_policy(policy_id: int) -> Response:
    """Remove a policy; its versions stay."""
    with writing(context().engine) as connection:
        return answer(_document(_saved(connection, _in_force(connection, policy_id), None, None)))


@blueprint.get("/<int:policy_id>/versions")
@operation(query=VersionsQuery)
def list_versions(asked: VersionsQuery, policy_id: int) -> Response:
    """List a policy's versions, also a removed one's, the newest first: what each set, when, and by whom."""
    before = None if asked.cursor is None else read_cursor(asked.cursor, Version)
    with reading(context().engine) as connection:
        known = _known(connection, policy_id)
        found = policies.versions(connection, known.id, limit=asked.limit + 1, before=before)
    shown = found[: asked.limit]
    return listing([_document(one) for one in shown], write_cursor(shown[-1].version) if found != shown else None)


@blueprint.get("/<int:policy_id>/versions/<version>")
@operation()
def show_version(policy_id: int, version: str) -> Response:
    """Show a policy as it was at one of its versions."""
    number = id_in_path(version)
    with reading(context().engine) as connection:
        known = _known(connection, policy_id)
        found = policies.versions(connection, known.id, limit=1, before=min(number or 0, known.version) + 1)
    if not found or found[0].version != number:
        raise Problem(HTTPStatus.NOT_FOUND, f"policy {known.id} has no version {version!r}")
    return answer(_document(found[0]))


def fitting(event_type: str, subject: str, asked: SettingsBody) -> Settings:
    """Return what is to be set, if anything. Raises Problem (400) for what cannot be."""
    settings = asked.settings()
    try:
        policy_types.check(event_type, subject, settings)
    except BadSetting as fault:
        raise bad_field(fault.name, fault.fault) from None
    return settings


def checked(event_type: str, subject: str, asked: SettingsBody) -> Settings:
    """Return what is to be set. Raises Problem (400) for what cannot be, or where nothing is."""
    settings = fitting(event_type, subject, asked)
    if settings == Settings():
        raise bad_field("enabled", "or another setting is needed: this policy sets nothing")
    return settings


def target_of(connection: Connection, asked: PolicyBody) -> Target:
    """Return what a policy is of. Raises Problem (400) for a scope without what goes with it."""
    for field, value in (("tag", asked.tag), ("host", asked.host)):
        if field == asked.scope and value is None:
            raise bad_field(field, f"is needed with the scope {asked.scope}")
        if field != asked.scope and value is not None:
            raise bad_field(field, f"does not go with the scope {asked.scope}")
    host_id = None if asked.host is None else host_in_field(connection, asked.host).id
    return Target(asked.scope, asked.tag or "", host_id, asked.type, asked.subject)


def _waited_for(token: str) -> bytes | None:
    """Return what a worker hands over, None when that takes too long. Raises Problem where too many wait already."""
    waiting = context().waiting
    if not waiting.acquire(blocking=False):
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many wait for scripts and previews: try again")
    try:
        for _ in range(_WAIT_SECONDS):
            # A longer wait than the client's time-out would be taken for an outage.
            if handed := context().redis.blpop([keys.preview_done(token)], timeout=1):
                return cast(bytes, handed[1])
    finally:
        waiting.release()
    return None


def _preview_document(preview: Preview) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(preview)
    return {"from": rfc3339(document.pop("start")), "to": rfc3339(document.pop("end")), **document}


def _saved(connection: Connection, before: Policy, settings: Settings | None, version: int | None) -> Policy:
    expected = before.version if version is None else version
    try:
        return policies.save(connection, before.target, settings, expected=expected, now=context().now(), by=who())
    except Outdated as error:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"version is not the present one, which is {error.policy.version}: somebody changed the policy meanwhile",
            field="version",
            members={"version": error.policy.version},
        ) from None


def _in_force(connection: Connection, policy_id: int) -> Policy:
    policy = _known(connection, policy_id)
    if policy.settings is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"policy {policy.id} was removed: its versions are still there")
    return policy


def _known(connection: Connection, policy_id: int) -> Policy:
    wanted = id_in_path(str(policy_id))
    policy = None if wanted is None else policies.find(connection, wanted)
    if policy is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no policy has the id {policy_id!r}")
    return policy


def _document(policy: Policy) -> dict[str, Any]:
    nothing = dict.fromkeys(Settings.__struct_fields__)
    return {
        "id": policy.id,
        "scope": policy.target.scope,
        "tag": policy.target.tag or None,
        "host": policy.host,
        "host_id": policy.target.host_id,
        "type": policy.target.type,
        "subject": policy.target.subject,
        **nothing,
        **({} if policy.settings is None else msgspec.to_builtins(policy.settings)),
        "removed": policy.settings is None,
        "version": policy.version,
        "changed_at": rfc3339(policy.changed_at),
        "changed_by": policy.changed_by,
    }
