"""The report in a real browser: at three widths, light and dark, with 1, 25 and 1,000 targets.

The pages come from the same code as in a rotation (`cargo run --example report_page`); screenshots of all of them are
saved in .local/report-pages.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pages.browser import launch

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / ".local" / "report-pages"
AXE = ROOT / "tests/node_modules/axe-core/axe.min.js"
COUNTS = (1, 25, 1000)
WIDTHS = (375, 820, 1440)


@pytest.fixture(scope="module")
def pages() -> dict[int, Path]:
    """A page for each number of targets."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "run", "--quiet", "--locked", "--package", "rotation-core", "--example", "report_page", "--"]
    made = {}
    for count in COUNTS:
        made[count] = PICTURES / f"{count}.html"
        html = subprocess.run([*command, str(count)], cwd=ROOT, check=True, capture_output=True).stdout
        made[count].write_bytes(html)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launch() as browser:
        yield browser


def opened(browser: Browser, path: Path, width: int = 1440, scheme: str = "light", scripts: bool = True) -> Page:
    """Opens the page; it must log no errors and make no requests."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    assert said == []
    return page


def rows(page: Page) -> list[list[str]]:
    """The cells of the visible rows."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#targets tbody tr")].filter((row) => !row.hidden)
            .map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", COUNTS)
def test_the_page_fits_and_is_accessible(
    browser: Browser, pages: dict[int, Path], count: int, width: int, scheme: str
) -> None:
    page = opened(browser, pages[count], width, scheme)
    assert len(rows(page)) == count
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    # A thousand rows have the same faults as twenty-five.
    if count < 1000:
        page.evaluate(AXE.read_text())
        violations = page.evaluate(
            "axe.run().then((result) => result.violations.map((one) => [one.id, one.nodes[0].html]))"
        )
        assert violations == []
    page.screenshot(path=PICTURES / f"{count}-{width}-{scheme}.png", full_page=count < 1000)
    page.context.close()


def test_every_column_sorts_by_mouse_and_keyboard(browser: Browser, pages: dict[int, Path]) -> None:
    page = opened(browser, pages[25])
    heads = [button.text_content() for button in page.locator("#targets thead button").all()]
    assert heads == [
        *(
            "Target",
            "Outcome",
            "Names",
            "Served",
            "Updated",
            "Deployed",
            "Verified",
            "Handshakes",
            "Retries",
            "Failure",
        ),
    ]
    columns = [0, 1, *range(3, 11)]
    before = rows(page)
    for name, column in zip(heads, columns, strict=True):
        button = page.get_by_role("button", name=name or "", exact=True)
        button.click()
        up = [row[column] for row in rows(page)]
        assert page.locator("th[aria-sort=ascending]").count() == 1
        button.focus()
        page.keyboard.press("Enter")
        down = [row[column] for row in rows(page)]
        assert page.locator("th[aria-sort=descending]").count() == 1
        assert sorted(up) == sorted(down) == sorted(row[column] for row in before)
        assert up == down[::-1] or len(set(up)) < len(up), name
        assert len(set(up)) == 1 or up[0] != down[0], name
    numbers = page.get_by_role("button", name="Retries")
    numbers.click()
    retries = [int(row[9]) for row in rows(page)]
    assert retries == sorted(retries), "numbers are sorted as numbers"


def test_filters_show_the_matching_targets(browser: Browser, pages: dict[int, Path]) -> None:
    page = opened(browser, pages[25])
    shown = page.locator("#shown")
    assert shown.text_content() == "25 of 25 targets"
    fates = page.locator("#came option").all_text_contents()
    assert fates == [
        *("anything", "failed", "not restored", "restored", "drifted", "gone", "not started", "moved"),
    ]
    total = 0
    for fate in fates[1:]:
        page.locator("#came").select_option(fate)
        found = rows(page)
        assert found and all(row[1].endswith(fate) for row in found)
        assert shown.text_content() == f"{len(found)} of 25 targets"
        total += len(found)
    assert total == 25
    page.locator("#came").select_option("anything")
    page.locator("#words").fill("SITE7.example")
    assert [row[0] for row in rows(page)] == ["E0000000000007"]
    page.locator("#words").fill("nowhere")
    assert rows(page) == []


def test_a_thousand_targets_are_sorted_and_filtered_at_once(browser: Browser, pages: dict[int, Path]) -> None:
    began = time.monotonic()
    page = opened(browser, pages[1000])
    shown = time.monotonic()
    page.get_by_role("button", name="Names").click()
    page.locator("#words").fill("site999.")
    assert len(rows(page)) == 1
    # Twice the time for opening the page; six times and more if each target were compared with all others.
    assert time.monotonic() - shown < 5 * (shown - began)


def test_without_scripts_all_targets_are_shown(browser: Browser, pages: dict[int, Path]) -> None:
    page = opened(browser, pages[25], scripts=False)
    assert page.locator("#targets tbody tr").count() == 25
    assert not page.locator("#tools").is_visible()
    assert page.locator("#targets thead button").count() == 0


def test_the_page_can_be_printed(browser: Browser, pages: dict[int, Path]) -> None:
    page = opened(browser, pages[25])
    page.emulate_media(media="print")
    assert not page.locator("#tools").is_visible()
    page.pdf(path=PICTURES / "25.pdf", prefer_css_page_size=True, print_background=False)
    assert (PICTURES / "25.pdf").read_bytes().startswith(b"%PDF")


def test_the_timeline_shows_what_viewers_were_served(browser: Browser, pages: dict[int, Path]) -> None:
    page = opened(browser, pages[25])

    def parts(target: str) -> list[str]:
        bar = page.locator("#targets tbody tr", has_text=target).locator(".bar i")
        return bar.evaluate_all("(parts) => parts.map((part) => part.className)")

    way = ["old", "both", "new verifying", "new"]
    assert parts("E0000000000008") == way
    assert parts("E0000000000003") == [*way, "both", "old verifying", "old"]
    assert parts("E0000000000007") == ["old"]
    widths = (
        page.locator("#targets tbody tr")
        .nth(3)
        .locator(".bar i")
        .evaluate_all("(parts) => parts.map((part) => part.getBoundingClientRect().width)")
    )
    bar = page.locator("#targets tbody tr").nth(3).locator(".bar").evaluate("(bar) => bar.clientWidth")
    assert abs(sum(widths) - bar) < 2
