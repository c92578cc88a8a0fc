"""What is said of CPU, memory, swap and pressure."""

from api.diagnosis.finding import compare, listed, named
from api.diagnosis.measures import Judged
from api.diagnosis.seen import Seen, finite
from api.diagnosis.sentences import Story

NOTABLE_STEAL_PERCENT = 10.0
# Less of one CPU, and of memory, is no reason for anything.
_NOTABLE_CPU_PERCENT = 1.0
_NOTABLE_MEMORY_PERCENT = 1.0
_NOTABLE_GROWTH = 0.1
_LATELY_SECONDS = 3600.0


def tell_cpu(seen: Seen, judged: Judged, story: Story) -> None:
    """Say how busy the CPUs are, and with what."""
    recent = story.duration("the last of the range", seen.recent_seconds)
    last = story.percent("CPU, last", seen.last("cpu_percent"))
    before = ""
    if seen.whole_seconds > 2 * seen.recent_seconds:
        whole = story.percent("CPU, whole range", seen.whole("cpu_percent"))
        before = f", at {whole} in the last {story.duration('the whole range', seen.whole_seconds)}"
    limit = story.percent("limit", judged.limit)
    story.say(f"CPU was busy at {last} in the last {recent}{before} (limit {limit}).")
    cpus = seen.details.cpu_count
    if cpus:
        shown = story.number("CPUs", cpus, digits=0)
        load = story.number("load", seen.last("load_1"))
        story.say(f"It has {shown} CPU{'s' if cpus > 1 else ''} and a load of {load}.")
    compare(seen, story, "cpu_percent", "CPU", story.percent)
    busiest = [
        f"{named(one)} {story.percent(f'CPU of pid {one.pid}, of one CPU', one.cpu_percent)}"
        for one in seen.by_cpu()
        if finite(one.cpu_percent) >= _NOTABLE_CPU_PERCENT
    ]
    if busiest:
        story.say(f"The busiest, in percent of one CPU: {listed(busiest)}.")
    _tell_since(seen, story)
    steal = seen.last("cpu_steal_percent")
    if steal >= NOTABLE_STEAL_PERCENT:
        story.say(f"The hypervisor gave {story.percent('steal', steal)} to others.")


def _tell_since(seen: Seen, story: Story) -> None:
    """Say for how long the busiest process has been so, as far as that is known."""
    for one in seen.by_cpu()[:1]:
        before = seen.before(one)
        age = finite(seen.now - one.start_time)
        if before is not None and finite(before.cpu_percent) >= _NOTABLE_CPU_PERCENT:
            used = story.percent(f"CPU of pid {one.pid}, before", before.cpu_percent)
            back = story.duration("between two looks", seen.seconds_between_views)
            story.say(f"{named(one)} used {used} of one CPU {back} before.")
        elif 0 < age < _LATELY_SECONDS:
            story.say(f"{named(one)} was started {story.duration(f'age of pid {one.pid}', age)} before.")


def tell_memory(seen: Seen, judged: Judged, story: Story) -> None:
    """Say how much memory is left, and who holds it."""
    last, limit = story.percent("memory, last", seen.last("memory_percent")), story.percent("limit", judged.limit)
    left = ""
    if seen.has("memory_available_bytes") and seen.has("memory_total_bytes"):
        available = story.size("memory available", seen.last("memory_available_bytes"))
        total = story.size("memory, total", seen.last("memory_total_bytes"))
        left = f": {available} of {total} are available"
    story.say(f"Memory is used at {last} (limit {limit}){left}.")
    compare(seen, story, "memory_percent", "memory", story.percent)
    largest = [one for one in seen.by_memory() if finite(one.memory_percent) >= _NOTABLE_MEMORY_PERCENT]
    if largest:
        held = [
            f"{named(one)} {story.percent(f'memory of pid {one.pid}', one.memory_percent)}"
            f" ({story.size(f'memory of pid {one.pid}', finite(one.memory_bytes))})"
            for one in largest
        ]
        story.say(f"The largest: {listed(held)}.")
    for one in largest:
        before = seen.before(one)
        grown = 0.0 if before is None else finite(one.memory_bytes) - finite(before.memory_bytes)
        if before is not None and grown > _NOTABLE_GROWTH * finite(before.memory_bytes):
            by = story.size(f"growth of pid {one.pid}", grown)
            within = story.duration("between two looks", seen.seconds_between_views)
            story.say(f"{named(one)} grew by {by} within {within}.")


def tell_swap(seen: Seen, judged: Judged, story: Story) -> None:
    """Say how much goes to swap and back."""
    used = story.percent("swap in use", seen.last("swap_percent"))
    back = story.pace("read back from swap", seen.get("swap_in_bytes_per_second"))
    out = story.pace("written out to swap", seen.get("swap_out_bytes_per_second"))
    limit = story.number("limit", judged.limit, "MiB/s", digits=0)
    story.say(f"Swap is used at {used}; {back} are read back and {out} written out (limit {limit} MiB/s together).")
    compare(seen, story, "swap_percent", "swap in use", story.percent)


def tell_pressure(seen: Seen, judged: Judged, story: Story) -> None:
    """Say what tasks wait for."""
    waits = {
        what: seen.last(f"pressure_{name}_percent")
        for name, what in (("cpu", "a CPU"), ("memory", "memory"), ("io", "a disk"))
    }
    shown = [f"for {what} {story.percent(f'waiting for {what}', share)}" for what, share in waits.items()]
    story.say(f"Of the time some task waited {listed(shown)}.")
    worst = waiting_for(seen)
    compare(seen, story, f"pressure_{worst}_percent", f"waiting for {worst}", story.percent)


def waiting_for(seen: Seen) -> str:
    """Return what tasks wait for most: ``cpu``, ``memory`` or ``io``."""
    return max(("cpu", "memory", "io"), key=lambda name: seen.get(f"pressure_{name}_percent"))
