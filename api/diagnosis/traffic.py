"""What is said of disks at work and of the network."""

from api.diagnosis.finding import compare
from api.diagnosis.measures import Judged
from api.diagnosis.seen import Seen, finite
from api.diagnosis.sentences import Story
from wire.snapshot import Disk, Interface
from wire.words import quoted

NOTABLE_SWAPPING = 2.0**20
"""Bytes per second that make a disk busy."""


def tell_disk_io(seen: Seen, judged: Judged, story: Story) -> None:
    """Say how busy the busiest disk is, and who waits."""
    disk = busiest_disk(seen)
    which = "The busiest disk" if disk is None else f"The busiest disk, {quoted(disk.name)},"
    busy, limit = story.percent("disk busy", seen.last("disk_busy_percent")), story.percent("limit", judged.limit)
    story.say(f"{which} had work for {busy} of the time (limit {limit}, where something waits for it).")
    read = story.pace("read", seen.last("disk_read_bytes_per_second"))
    written = story.pace("written", seen.last("disk_write_bytes_per_second"))
    story.say(f"From all disks {read} are read and {written} written.")
    if seen.has("cpu_iowait_percent"):
        waited = story.percent("CPUs waiting for disks", seen.last("cpu_iowait_percent"))
        pressure = story.percent("tasks waiting for disks", seen.last("pressure_io_percent"))
        story.say(f"CPUs waited for disks for {waited} of the time, some task for {pressure}.")
    compare(seen, story, "disk_busy_percent", "disk busy", story.percent)
    moved = swapping(seen)
    if moved >= NOTABLE_SWAPPING:
        story.say(f"Of that {story.pace('swapping', moved)} are memory that goes to swap and back.")


def tell_network(seen: Seen, judged: Judged, story: Story) -> None:
    """Say what travels, and what of it is lost."""
    received = story.pace("received", seen.last("network_receive_bytes_per_second"))
    sent = story.pace("sent", seen.last("network_transmit_bytes_per_second"))
    story.say(f"{received} come in and {sent} go out.")
    errors = story.number("broken packets", seen.last("network_errors_per_second"), "1/s")
    drops = story.number("dropped packets", seen.last("network_drops_per_second"), "1/s")
    again = story.number("TCP segments sent again", seen.last("tcp_retransmits_per_second"), "1/s")
    limit = story.number("limit", judged.limit, "1/s", digits=0)
    story.say(
        f"In a second {errors} packets are broken and {drops} dropped, and {again} TCP segments are sent again "
        f"(limit {limit} together)."
    )
    compare(
        *(seen, story, "tcp_retransmits_per_second", "TCP segments sent again in a second"),
        lambda what, value: story.number(what, value, "1/s"),
    )
    worst = worst_interface(seen)
    if worst is not None:
        lost = story.number(f"lost on {worst.name}", _lost(worst), "1/s")
        story.say(f"Most of it is lost on {quoted(worst.name)}: {lost} packets a second.")


def busiest_disk(seen: Seen) -> Disk | None:
    """Return the disk that had most to do at the last look, None where none is known."""
    return max(seen.details.disks, key=lambda one: finite(one.busy_percent), default=None)


def worst_interface(seen: Seen) -> Interface | None:
    """Return the interface that lost most packets at the last look, None where none did."""
    worst = max(seen.details.interfaces, key=_lost, default=None)
    return None if worst is None or _lost(worst) <= 0 else worst


def lost_here(seen: Seen) -> float:
    """Return how many packets a second the host's own interfaces break or drop."""
    return seen.get("network_errors_per_second") + seen.get("network_drops_per_second")


def swapping(seen: Seen) -> float:
    """Return how many bytes a second go to swap and back."""
    return seen.get("swap_in_bytes_per_second") + seen.get("swap_out_bytes_per_second")


def _lost(interface: Interface) -> float:
    return finite(interface.errors_per_second) + finite(interface.drops_per_second)
