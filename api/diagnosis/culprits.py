"""A runaway process, and a leak: what uses more and more, or all of a CPU, though nothing may wait for it yet."""

from typing import NamedTuple

from api.diagnosis.finding import named
from api.diagnosis.measures import LEAST_SCORE, Judged, severity_of
from api.diagnosis.seen import Seen, finite
from api.diagnosis.sentences import Story
from api.diagnosis.trend import NOTHING, Climb, climb, is_new
from wire.snapshot import Process

# Of one CPU, at two looks some ten minutes apart.
_RUNAWAY_PERCENT = 80.0
# What the busiest process of a host usually takes may vary so much.
_USUAL_TIMES = 1.5
_SCORE_OF_RUNAWAY = 65.0
# Where it is not known what is usual, a busy process may be what the host is for.
_SCORE_OF_UNKNOWN = 50.0

# By which score, at the least, a leak that ends within so many hours is told.
_SCORES_OF_LEAK = ((1.0, 85.0), (6.0, 75.0), (24.0, LEAST_SCORE + 5))
_SCORE_OF_LATER = 50.0
_LEAST_CLIMB_PERCENT = 5.0
_LEAST_RISE = {"open_files": 2000.0, "threads": 500.0}
_WORDS = {
    "memory_percent": "Memory in use",
    "open_files": "The number of open files",
    "threads": "The number of threads",
}
# Of what a leak takes in a time, at least what a process must have grown by in it to be behind it.
_SHARE_OF_LEAK = 0.2


class Runaway(NamedTuple):
    """A process that keeps a CPU busy, now and at the look before."""

    process: Process
    before: Process


class Leak(NamedTuple):
    """What climbs steadily to where it never was, and who is behind it where that is known."""

    metric: str
    climb: Climb
    process: Process | None
    grown_bytes: float
    """By how much that process grew between the two looks."""

    @property
    def full_in_hours(self) -> float | None:
        """When memory will be all, None for what has no end that is known."""
        if self.metric != "memory_percent":
            return None
        return max(0.0, 100.0 - self.climb.last) / self.climb.per_hour


def runaway(seen: Seen) -> Runaway | None:
    """Return the process that runs away, None where none does or where the host's are usually that busy."""
    for process in seen.by_cpu():
        before = seen.before(process)
        if before is not None and min(finite(process.cpu_percent), finite(before.cpu_percent)) >= _RUNAWAY_PERCENT:
            usual = seen.usual("process_cpu_max_percent")
            is_usual = usual is not None and seen.last("process_cpu_max_percent") <= _USUAL_TIMES * usual.most
            return None if is_usual else Runaway(process, before)
    return None


def judge_runaway(seen: Seen, found: Runaway) -> Judged:
    """Judge a runaway process: where all CPUs are busy they are what holds back, and this is why."""
    score = _SCORE_OF_UNKNOWN if seen.usual("process_cpu_max_percent") is None else _SCORE_OF_RUNAWAY
    value = finite(found.process.cpu_percent)
    return Judged("process", value, "percent of one CPU", _RUNAWAY_PERCENT, score, severity_of(score))


def tell_runaway(seen: Seen, found: Runaway, story: Story) -> None:
    """Say which process keeps a CPU busy, for how long, and what the busiest process usually takes."""
    now, before = (
        story.percent(f"CPU of pid {found.process.pid}, {when}", one.cpu_percent)
        for one, when in ((found.process, "now"), (found.before, "before"))
    )
    back = story.duration("between two looks", seen.seconds_between_views)
    story.say(f"{named(found.process)} uses {now} of one CPU, and used {before} {back} before.")
    usual = seen.usual("process_cpu_max_percent")
    if usual is not None:
        most = story.percent("busiest process, most usual", usual.most)
        share = story.percent("busiest process", seen.last("process_cpu_max_percent"))
        story.say(f"That is {share} of all CPUs; {usual.when} no process took more than {most}.")


def leak(seen: Seen) -> Leak | None:
    """Return what leaks, memory before all else; None where nothing does."""
    for metric in _WORDS:
        fives, hours = seen.fives.get(metric, NOTHING), seen.hours.get(metric, NOTHING)
        found = climb(fives, seen.now, _least_climb(seen, metric))
        if found is not None and is_new(found, hours, seen.now):
            process, grown = _behind(seen, found) if metric == "memory_percent" else (None, 0.0)
            return Leak(metric, found, process, grown)
    return None


def judge_leak(found: Leak) -> Judged:
    """Judge a leak by how soon it has taken all."""
    ends_in = found.full_in_hours
    score = LEAST_SCORE + 1 if ends_in is None else _SCORE_OF_LATER
    for hours, of_that in _SCORES_OF_LEAK:
        if ends_in is not None and ends_in <= hours:
            score = of_that
            break
    unit = "1/h" if ends_in is None else "percent/h"
    return Judged("leak", found.climb.per_hour, unit, 0.0, score, severity_of(score))


def tell_leak(seen: Seen, found: Leak, story: Story) -> None:
    """Say what climbs, how fast, since when, when it is all, and who is behind it."""
    climbed, is_memory = found.climb, found.metric == "memory_percent"

    def shown(what: str, value: float) -> str:
        return story.percent(what, value) if is_memory else story.number(what, value, digits=0)

    span = story.duration("the climb", climbed.seconds)
    first, last = shown("at its start", climbed.first), shown("at its end", climbed.last)
    hourly = story.number("growth in an hour", climbed.per_hour, "points" if is_memory else "1", 2 if is_memory else 0)
    unit = " %" if is_memory else ""
    story.say(f"{_WORDS[found.metric]} climbs steadily: from {first} to {last} in {span}, {hourly}{unit} an hour.")
    if found.full_in_hours is not None:
        ends_in = story.duration("all memory in use in", 3600 * found.full_in_hours)
        story.say(f"At this pace all of it is in use in {ends_in}.")
    if found.process is not None:
        grown = story.size(f"growth of pid {found.process.pid}", found.grown_bytes)
        within = story.duration("between two looks", seen.seconds_between_views)
        holds = story.size(f"memory of pid {found.process.pid}", finite(found.process.memory_bytes))
        story.say(f"{named(found.process)} grew by {grown} within {within} and holds {holds}.")
    elif is_memory:
        story.say("None of the largest processes grew as fast: it may be many small ones, or files in memory.")


def _least_climb(seen: Seen, metric: str) -> float:
    # Twice what there was, where no limit is known.
    return _LEAST_CLIMB_PERCENT if metric == "memory_percent" else max(_LEAST_RISE[metric], seen.last(metric) / 2)


def _behind(seen: Seen, found: Climb) -> tuple[Process | None, float]:
    """Return the process that grew most between the two looks, and by how much; None where that explains too little."""
    hours = seen.seconds_between_views / 3600
    least = _SHARE_OF_LEAK * found.per_hour / 100 * seen.last("memory_total_bytes") * hours
    grown = {}
    for process in seen.details.processes_by_memory:
        before = seen.before(process)
        # One that holds less than nothing is made up.
        if before is not None and finite(process.memory_percent) > 0:
            grown[process] = finite(process.memory_bytes) - finite(before.memory_bytes)
    fastest = max(grown, key=lambda process: grown[process], default=None)
    return (fastest, grown[fastest]) if fastest is not None and grown[fastest] > max(0.0, least) else (None, 0.0)
