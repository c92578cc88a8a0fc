"""The core metrics that deviation looks at: each its own story, none that only grows, none that never moves."""

from wire.metrics import INDEX

METRICS = (
    "cpu_user_percent",
    "cpu_system_percent",
    "cpu_iowait_percent",
    "cpu_steal_percent",
    "cpu_core_max_percent",
    "load_1",
    "memory_percent",
    "swap_percent",
    "swap_in_bytes_per_second",
    "swap_out_bytes_per_second",
    "disk_percent",
    "disk_read_bytes_per_second",
    "disk_write_bytes_per_second",
    "disk_read_operations_per_second",
    "disk_write_operations_per_second",
    "disk_busy_percent",
    "network_receive_bytes_per_second",
    "network_transmit_bytes_per_second",
    "network_errors_per_second",
    "network_drops_per_second",
    "tcp_connections",
    "tcp_retransmits_per_second",
    "processes",
    "threads",
    "open_files",
    "context_switches_per_second",
    "pressure_cpu_percent",
    "pressure_memory_percent",
    "pressure_io_percent",
    "temperature_celsius",
    "process_cpu_max_percent",
    "process_memory_max_percent",
)
"""In the order that memory is stored in: append only, as the catalogue."""

PLACES = [INDEX[name] for name in METRICS]
"""Of each in the catalogue."""
