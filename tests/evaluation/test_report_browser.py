"""The page in a real browser: nothing is loaded, nothing runs but its own script, and everybody can read it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emoagents.evaluation.report import write_report
from tests.evaluation.made_records import made

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\"><b>bold</b>",
    "<!-- <script> %%data%% {{braces}} \u2028 \ud800",
    "עברית العربية \u202e turned",
    "W" * 100_000,
)

CONTRAST = """(selector) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  const light = (c) => .2126 * linear(c[0] / 255) + .7152 * linear(c[1] / 255) + .0722 * linear(c[2] / 255);
  const behind = (node) => {
    const colour = node ? rgb(getComputedStyle(node).backgroundColor) : [255, 255, 255, 255];
    return colour[3] > 250 ? colour : behind(node.parentElement);
  };
  return [...document.querySelectorAll(selector)].slice(0, 400).map((node) => {
    const style = getComputedStyle(node);
    const pair = [light(rgb(node instanceof SVGElement ? style.fill : style.color)), light(behind(node))];
    return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
  });
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a usual page, a large one, and one whose texts are hostile."""
    folder = tmp_path_factory.mktemp("report")
    kinds = {
        "usual": made(items=20),
        "large": made(arms=30, tasks=4, items=5),
        "least": made(arms=2, tasks=1, items=4),
        "hostile": made(items=8, tasks=1, arms=3, hostile=HOSTILE),
    }
    return {name: write_report(folder / name, m.plan, m.findings, m.read) for name, m in kinds.items()}


class Seen:
    """What a page asked for, and what it complained about."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Return what opens a page; at the end, look that it asked for nothing and complained about nothing."""
    opened: list[tuple[Any, Seen]] = []

    def open_(path: Path, width: int = 1280, scheme: str = "light", **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
        page, seen = context.new_page(), Seen()
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (seen.complaints.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(path.as_uri())
        page.set_default_timeout(5_000)
        page.wait_for_selector("svg .axis", state="attached")
        opened.append((context, seen))
        return page

    yield open_
    for context, seen in opened:
        context.close()
        assert seen.complaints == []
        assert {url for url in seen.requests if not url.startswith("data:")} == {seen.requests[0]}


def shoot(page: Any, name: str, tmp_path: Path) -> bytes:
    """Take a picture, for people too: REPORT_SHOTS names a folder to keep it in."""
    folder = Path(os.environ.get("REPORT_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    picture: bytes = page.screenshot(path=folder / f"{name}.png")
    return picture


@pytest.mark.parametrize(
    ("kind", "width"),
    [("usual", 360), ("usual", 1280), ("large", 360), ("large", 1280), ("least", 360), ("hostile", 360)],
)
def test_the_page_never_scrolls_sideways(open_page: Any, pages: dict[str, Path], kind: str, width: int) -> None:
    page = open_page(pages[kind], width)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.wait_for_selector(".message.reply", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().right <= innerWidth)"
    )


@pytest.mark.parametrize("kind", ["usual", "large"])
@pytest.mark.parametrize("width", [360, 1280])
def test_labels_in_the_scatter_do_not_overlap(open_page: Any, pages: dict[str, Path], kind: str, width: int) -> None:
    page = open_page(pages[kind], width)
    boxes = page.eval_on_selector_all(
        "#cost .chart text.label", "all => all.map(n => n.getBBox()).map(b => [b.x, b.y + 3, b.width, b.height - 6])"
    )
    assert len(boxes) == (30 if kind == "large" else 6)
    for n, (x, y, w, h) in enumerate(boxes):
        for u, v, s, t in boxes[:n]:
            assert not (x < u + s and u < x + w and y < v + t and v < y + h)


def test_light_and_dark_differ_and_the_button_changes_them(
    open_page: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    light, dark = open_page(pages["usual"]), open_page(pages["usual"], 360, "dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert light.evaluate(colour) != dark.evaluate(colour)
    shoot(dark, "phone-dark", tmp_path)
    before = shoot(light, "desktop-light", tmp_path)
    light.click("#theme")
    assert light.evaluate(colour) == dark.evaluate(colour)
    assert shoot(light, "desktop-dark", tmp_path) != before
    assert light.inner_text("#theme") == "Light colours"
    light.reload()
    assert light.evaluate(colour) != dark.evaluate(colour)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(open_page: Any, pages: dict[str, Path], scheme: str) -> None:
    page = open_page(pages["usual"], scheme=scheme)
    chosen = (
        "p, h1 span, h2, h3, h4, th, td, .shift, .tag, a, dt, dd, caption, summary, button, select, label, svg text"
    )
    ratios = page.evaluate(CONTRAST, chosen)
    assert len(ratios) > 200
    assert min(ratios) >= 4.5
    assert min(page.evaluate(CONTRAST, ".heat td")) >= 4.5


def test_tables_and_pictures_have_names(open_page: Any, pages: dict[str, Path]) -> None:
    page = open_page(pages["usual"])
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption?.textContent)")
    assert page.evaluate("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert page.evaluate(
        "[...document.querySelectorAll('.chart > svg')].every(s => s.querySelector('title') && s.querySelector('desc'))"
    )
    assert page.evaluate("[...document.querySelectorAll('select')].every(s => s.labels.length)")
    assert page.evaluate(
        "(ids => new Set(ids).size === ids.length)([...document.querySelectorAll('[id]')].map(n => n.id))"
    )


def test_points_tell_their_numbers_to_pointer_and_keyboard(open_page: Any, pages: dict[str, Path]) -> None:
    page = open_page(pages["usual"])
    assert page.is_hidden("#tip")
    page.focus("#cost .chart .point >> nth=4")
    assert "heart" in page.inner_text("#tip")
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")
    page.hover("#cost .chart .point >> nth=3")
    assert "unknown per item" in page.inner_text("#tip")


def test_the_task_of_the_differences_can_be_chosen(open_page: Any, pages: dict[str, Path]) -> None:
    page = open_page(pages["usual"])
    before = page.inner_text("#differences table >> nth=0")
    page.select_option("#differences select", label="antonyms")
    assert page.inner_text("#differences table >> nth=0") != before
    assert "antonyms" in page.inner_text("#differences caption >> nth=0")


def test_a_pair_of_arms_and_an_outcome_choose_the_examples(open_page: Any, pages: dict[str, Path]) -> None:
    page = open_page(pages["usual"])
    before = page.inner_text("#example-list")
    page.get_by_label("Arm", exact=True).select_option(label="sa")
    assert page.inner_text("#example-list") != before
    assert {n.inner_text() for n in page.query_selector_all(".attempt h4")} == {"sa", "plain"}
    for outcome, tag in (("won", "won"), ("lost", "lost"), ("tied", "tied"), ("wrong", "both wrong")):
        page.get_by_label("Outcome").select_option(outcome)
        cards = page.query_selector_all(".example")
        assert cards
        assert all(tag in card.query_selector("header").inner_text() for card in cards)
    page.get_by_label("Task").last.select_option(label="sentiment")
    assert all("sentiment" in card.inner_text() for card in page.query_selector_all(".example h3"))


def test_more_examples_can_be_shown(open_page: Any, pages: dict[str, Path]) -> None:
    page = open_page(pages["usual"])
    page.click(".more")
    assert len(page.query_selector_all(".example")) == 20


def test_raw_calls_open_and_show_messages_replies_feedback_and_verdicts(
    open_page: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    page = open_page(pages["usual"])
    page.get_by_label("Arm", exact=True).select_option(label="heart")
    details = page.locator(".attempt", has_text="heart").locator("details.raw").filter(has_text="(3)").first
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    details.locator(".message.reply").first.wait_for()
    text = details.inner_text()
    for word in ("first try 0", "Let me think.", "It saddens me", "verdict", "feedback", "anger", "Write the opposite"):
        assert word in text
    details.scroll_into_view_if_needed()
    shoot(page, "raw-calls", tmp_path)


def test_hostile_texts_are_shown_as_text_and_run_nothing(open_page: Any, pages: dict[str, Path]) -> None:
    page = open_page(pages["hostile"])
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.wait_for_selector(".message.reply")
    assert "owned" not in page.title()
    assert page.evaluate("document.querySelectorAll('img, b, iframe').length") == 0
    assert page.evaluate("document.scripts.length") == 2
    shown = page.evaluate("document.getElementById('examples').textContent")
    for text in HOSTILE[:2]:
        assert text in shown
    assert "%%data%% {{braces}}" in shown
    assert "more characters are left out here" in shown
    turned = "[...document.querySelectorAll('pre')].find(p => p.textContent.startsWith('עברית'))"
    assert page.evaluate(f"getComputedStyle({turned}).direction") == "rtl"


def test_a_script_that_is_not_the_pages_own_is_refused(browser: Any, pages: dict[str, Path]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(pages["usual"].as_uri())
    add = "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s);"
    page.evaluate(f"() => {{ {add} }}")
    assert page.evaluate("window.owned") is None
    context.close()


def test_motion_is_left_out_where_it_is_not_wanted(open_page: Any, pages: dict[str, Path]) -> None:
    smooth = "getComputedStyle(document.documentElement).scrollBehavior"
    assert open_page(pages["least"], reduced_motion="reduce").evaluate(smooth) == "auto"
