"""The dialog of a script: made by a real worker, read, taken away, changed."""

import hashlib
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from store import script_jobs, scripts
from store.engine import writing
from tests.dashboard.conftest import Host, OpenPage, Served
from tests.system.all_in_one import wait_until
from tests.worker.remedies.own import add_example

EVIDENCE = {
    "processes": [
        {
            "pid": 4242,
            "start_time": 1.7e9,
            "name": "burner",
            "user": "ada",
            "cpu_percent": 187.0,
            "memory_percent": 2.0,
            "memory_bytes": 1e8,
            "command": "burner",
        }
    ]
}


def open_dialog_of_event(served: Served, open_page: OpenPage) -> tuple[Page, Locator, Host]:
    """Open the script of an event: the first ask makes it, as the drain that opens an event does by itself."""
    host = served.host()
    event = host.event("cpu_high", severity="critical", evidence=EVIDENCE)
    served.make_script(host, event, "cpu_high")
    page = open_page(host)
    page.get_by_role("button", name="Fix script").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Copy").wait_for()
    return page, dialog, host


def made(served: Served, host: Host) -> dict[str, Any]:
    """Return the host's newest script."""
    return asdict(served.scripts(host)[0])


def test_an_events_script_is_shown_whole_with_its_metadata(served: Served, open_page: OpenPage) -> None:
    _, dialog, host = open_dialog_of_event(served, open_page)
    script = made(served, host)
    shown = dialog.locator("pre code").text_content()
    assert shown is not None
    assert shown.replace("\u00a0", " ") == script["content"]
    assert dialog.locator("pre .token-comment, pre .token-string, pre .token-variable").count() > 50
    for text in (script["filename"], script["sha256"], "pid 4242", f"{script['run_command']} plan", "changes nothing"):
        expect(dialog).to_contain_text(text)


def test_copy_download_and_save_give_the_very_script(served: Served, open_page: OpenPage) -> None:
    page, dialog, host = open_dialog_of_event(served, open_page)
    text = made(served, host)["content"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.path().read_text() == text
    dialog.get_by_role("button", name="Save on server").click()
    saved = dialog.get_by_text("Saved as").locator("code")
    expect(saved).to_be_visible()
    path = Path(saved.text_content() or "")
    assert path.parent == served.folder / "scripts"
    assert path.read_text() == text


def test_the_script_can_be_had_for_powershell(served: Served, open_page: OpenPage) -> None:
    _, dialog, host = open_dialog_of_event(served, open_page)
    dialog.get_by_role("button", name="PowerShell").click()
    expect(dialog.locator("pre code")).to_contain_text("Set-StrictMode")
    newest = made(served, host)
    assert (newest["script_type"], newest["parameters"]["pid"]) == ("powershell", 4242)
    shown = dialog.locator("pre code").text_content() or ""
    assert hashlib.sha256(shown.encode()).hexdigest() == newest["sha256"]


def test_escape_closes_the_dialog_and_the_focus_goes_back(served: Served, open_page: OpenPage) -> None:
    page, dialog, _ = open_dialog_of_event(served, open_page)
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Fix script")).to_be_focused()


def test_a_form_makes_the_script_of_any_remedy_within_its_bounds(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    page = open_page(host)
    page.get_by_role("button", name="Make a script").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Remedy").select_option("disk_full")
    days = dialog.get_by_label("older_than_days")
    days.fill("4000")
    dialog.get_by_role("button", name="Make script").click()
    assert days.evaluate("(field) => field.validity.rangeOverflow")
    days.fill("30")
    dialog.get_by_label("mount").fill("/srv/it's here")
    dialog.get_by_role("button", name="Make script").click()
    dialog.get_by_role("button", name="Copy").wait_for()
    script = made(served, host)
    assert script["issue_type"] == "disk_full"
    assert script["parameters"]["older_than_days"] == 30
    assert script["parameters"]["mount"] == "/srv/it's here"


def test_what_the_api_refuses_is_said_at_its_field(served: Served, open_page: OpenPage, complaints: list[str]) -> None:
    page = open_page(served.host())
    page.get_by_role("button", name="Make a script").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Remedy").select_option("service_restart")
    dialog.get_by_label("service").fill("not a service; really")
    dialog.get_by_role("button", name="Make script").click()
    field = dialog.locator(".field", has=page.get_by_label("service"))
    expect(field.get_by_role("alert")).to_contain_text("service")
    # A browser writes the 400 on its console.
    complaints.clear()


def test_a_script_that_cannot_be_made_is_asked_for_anew_with_what_was_given(
    served: Served, open_page: OpenPage
) -> None:
    host = served.host()
    with writing(served.engine) as connection:
        given = {"pid": 4711, "grace_seconds": 7}
        script_id = scripts.request(
            connection,
            issue_type="process_memory_high",
            script_type="bash",
            host_id=host.id,
            event_id=None,
            given=given,
            now=time.time() + 1000,
        )
        script_jobs.fail(connection, script_id, "the worker is out of ink")
    page = open_page(host)
    page.get_by_test_id("scripts").get_by_role("button", name="Script").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be made: the worker is out of ink")
    dialog.get_by_role("button", name="Change parameters").click()
    for name, value in given.items():
        expect(dialog.get_by_label(name)).to_have_value(str(value))


def test_a_process_of_the_table_is_the_one_the_form_names(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.host())
    page.get_by_role("button", name="Script for process 4002").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("pid")).to_have_value("4002")
    expect(dialog.get_by_label("start_time")).to_have_value("1700000002")


def test_a_remedy_that_a_user_added_is_offered_and_a_bad_one_is_named_with_its_fault(
    served: Served, open_page: OpenPage
) -> None:
    good = add_example(served.folder / "remedies")
    bad = good.with_name("<b>bad")
    bad.mkdir()
    page = open_page(served.host())
    try:
        wait_until(lambda: [bad, good] == sorted(served.own_remedies()))
        page.get_by_role("button", name="Make a script").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("status")).to_have_text(f"Left out: {bad}. remedy.toml: there is no such file")
        dialog.get_by_label("Remedy").select_option("old_exports")
        expect(dialog.locator(".facts")).to_contain_text(f"Yours: {good}")
    finally:
        bad.rmdir()
        shutil.rmtree(good)


def test_a_script_that_is_not_made_is_cancelled_and_made_after_all(served: Served, open_page: OpenPage) -> None:
    host = served.host()
    with writing(served.engine) as connection:
        scripts.request(
            connection,
            issue_type="disk_full",
            script_type="bash",
            host_id=host.id,
            event_id=None,
            given={"mount": "/data"},
            # No worker is told, nor looks for it.
            now=time.time() + 1000,
        )
    page = open_page(host)
    history = page.get_by_test_id("scripts")
    expect(history.get_by_role("listitem")).to_contain_text("waiting")
    history.get_by_role("button", name="Script").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This script waits for a worker.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_contain_text("This script was cancelled before it was made.")
    expect(history.get_by_role("listitem")).to_contain_text("cancelled")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("button", name="Copy")).to_be_visible()
    expect(history.get_by_role("listitem")).to_contain_text("ready")


def test_the_scripts_of_an_event_lead_to_each_other(served: Served, open_page: OpenPage) -> None:
    _, dialog, host = open_dialog_of_event(served, open_page)
    first = made(served, host)["id"]
    dialog.get_by_role("button", name="PowerShell").click()
    others = dialog.get_by_role("region", name="Other scripts for this event")
    expect(others).to_contain_text("bash")
    others.get_by_role("button", name=f"Script {first}").click()
    expect(dialog.locator("pre code")).to_contain_text("#!/")
    expect(others).to_contain_text("PowerShell")
