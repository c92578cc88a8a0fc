"""The tables. Times are Unix seconds in double precision, as the wire has them; sizes are bytes.

One table a noun, Core and not ORM: a drain writes thousands of rows at once, and a read wants columns.
``migrations/`` builds them; a test holds the two together.
"""

from store.schema.columns import metadata
from store.schema.delivery import dead_letters, duties, gaps, shards
from store.schema.events import event_notes, events, incidents, maintenance_windows
from store.schema.foresight import deviation_lanes, deviation_seasons, filesystem_history, filesystem_lanes
from store.schema.history import rollup_backlog, rollup_lanes, rollups_1h, rollups_5m, snapshots
from store.schema.hosts import host_details, host_ledger, host_state, hosts, tags
from store.schema.policies import policies, policy_versions
from store.schema.scripts import own_remedies, remedies, script_templates, scripts
from store.schema.sessions import sessions, sign_in_codes

__all__ = [
    "dead_letters",
    "deviation_lanes",
    "deviation_seasons",
    "duties",
    "event_notes",
    "events",
    "filesystem_history",
    "filesystem_lanes",
    "gaps",
    "host_details",
    "host_ledger",
    "host_state",
    "hosts",
    "incidents",
    "maintenance_windows",
    "metadata",
    "own_remedies",
    "policies",
    "policy_versions",
    "remedies",
    "rollup_backlog",
    "rollup_lanes",
    "rollups_1h",
    "rollups_5m",
    "script_templates",
    "scripts",
    "sessions",
    "shards",
    "sign_in_codes",
    "snapshots",
    "tags",
]
