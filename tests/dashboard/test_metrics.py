"""What the page shows of a host's metrics."""

from playwright.sync_api import Page, expect

from tests.dashboard.conftest import INTERVAL_SECONDS, OpenPage, Served

# Columns of a chart's canvas that have a pixel in the colour of its first line, as a string of 0 and 1.
LINE_COLUMNS = """(plot) => {
    plot.style.color = "var(--series-1)";
    const [r, g, b] = getComputedStyle(plot).color.match(/\\d+/g).map(Number);
    const canvas = plot.querySelector("canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const has = (x, y) => [r, g, b].every((part, i) => Math.abs(data[4 * (y * width + x) + i] - part) < 12)
        && data[4 * (y * width + x) + 3] > 200;
    return Array.from({ length: width }, (_, x) =>
        Array.from({ length: height }, (_, y) => y).some((y) => has(x, y)) ? "1" : "0").join("");
}"""


def line_of(page: Page, title: str) -> str:
    plot = page.locator(".chart", has=page.get_by_role("heading", name=title, exact=True)).locator(".plot")
    plot.locator("canvas").wait_for()
    page.wait_for_function(f"(plot) => ({LINE_COLUMNS})(plot).includes('1')", arg=plot.element_handle())
    return str(plot.evaluate(LINE_COLUMNS))


def test_tiles_show_the_last_snapshot(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host(cpu_percent=34.4, memory_percent=41.0, swap_percent=None))
    tiles = page.get_by_role("region", name="Metrics of the last snapshot")
    expect(tiles).to_contain_text("34.4\u00a0%")
    expect(tiles).to_contain_text("3.3\u00a0GiB of 8.0\u00a0GiB")
    swap = tiles.locator(".tile", has=page.get_by_role("heading", name="Swap"))
    expect(swap).to_contain_text("–")


def test_each_chart_draws_a_line_over_its_hour(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host(hours=1))
    for title in ("CPU", "Memory", "Disk", "Load", "Network", "Disk traffic"):
        line = line_of(page, title)
        assert line.count("1") > len(line) / 2, title


def test_a_gap_in_the_history_is_a_gap_in_the_line(served: Served, open_page: OpenPage) -> None:
    minutes = 60 / INTERVAL_SECONDS

    def with_gap(age: int) -> float | None:
        return None if 20 * minutes < age < 40 * minutes else 50.0

    line = line_of(open_page(served.host(hours=1, cpu_percent=with_gap)), "CPU").strip("0")
    assert len(line) / 4 < line.count("0") < len(line) / 2
    assert "0" not in line.split("0" * 20)[0]


def test_the_cursor_reads_the_value_of_its_time_in_all_charts(served: Served, open_page: OpenPage) -> None:
    page = open_page(
        served.host(hours=1, cpu_percent=lambda age: 20.0 if age else 80.0, load_1=lambda age: 2.0 if age else 8.0)
    )
    cpu = page.locator(".chart", has=page.get_by_role("heading", name="CPU", exact=True))
    load = page.locator(".chart", has=page.get_by_role("heading", name="Load", exact=True))
    expect(cpu).to_contain_text("busy 80.0")
    cpu.locator(".u-over").hover()
    expect(cpu).to_contain_text("busy 20.0")
    expect(load).to_contain_text("1 min 2.00")


def test_charts_follow_the_width_of_the_page(served: Served, new_page: OpenPage) -> None:
    page = new_page(served.host(hours=0.5))
    canvas = page.locator(".plot canvas").first
    canvas.wait_for()
    before = canvas.evaluate("(canvas) => canvas.clientWidth")
    page.set_viewport_size({"width": 600, "height": 900})
    page.wait_for_function("(before) => document.querySelector('.plot canvas').clientWidth !== before", arg=before)
    assert canvas.evaluate("(canvas) => canvas.clientWidth") <= 600


def test_old_figures_are_said_to_be_old(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host(seconds_ago=1000))
    expect(page.get_by_text("The host is silent")).to_contain_text("16\u00a0min ago")


def test_a_host_that_never_spoke_and_one_that_is_stopped_say_so(served: Served, open_page: OpenPage) -> None:
    silent = open_page()
    served.rows.host("never-spoke")
    silent.goto(served.address("never-spoke"))
    expect(silent.get_by_text("No snapshot has come yet")).to_be_visible()
    served.rows.host("stopped-one", paused=True)
    silent.goto(served.address("stopped-one"))
    expect(silent.get_by_text("Monitoring is stopped")).to_be_visible()


def test_processes_are_sorted_by_what_is_asked(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host())
    table = page.get_by_role("region", name="Table of processes")
    expect(table.locator("tbody tr").first).to_contain_text("python3")
    table.get_by_role("button", name="Memory").click()
    expect(table.locator("tbody tr").first).to_contain_text("postgres")


def test_the_picker_shows_another_host_and_the_way_back_leads_back(served: Served, new_page: OpenPage) -> None:
    first, second = served.host(), served.host()
    page = new_page(first)
    page.get_by_label("Host", exact=True).select_option(label=second.name)
    expect(page.get_by_role("heading", name=second.name)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name=first.name)).to_be_visible()
