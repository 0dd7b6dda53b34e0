"""The report in a real browser: it asks for nothing, and works by mouse and by keyboard."""

import csv
import shutil
from collections import Counter

import pytest

from pipeline.cli import run
from pipeline.report import write_report
from pipeline.runs import leaderboard, list_runs
from tests.conftest import write_picture
from tests.report.test_report import BASE, config, places

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
ODD = "<script>window.ran = true</script>"
LABELS = (ODD, "blue", "red", "<img src=x onerror='window.ran = true'>")
CONTRAST = """
element => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let behind = element;
  let ground = parse(getComputedStyle(behind).backgroundColor);
  while (ground.length === 4 && ground[3] === 0 && behind.parentElement) {
    behind = behind.parentElement;
    ground = parse(getComputedStyle(behind).backgroundColor);
  }
  const [one, other] = [light(parse(getComputedStyle(element).color)), light(ground)];
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}
"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Labels that are markup, from a table; one class is noise, so that there are mistakes."""
    root = tmp_path_factory.mktemp("browser")
    rows = [["path", "label", "split"]]
    for number, label in enumerate(LABELS):
        for i in range(14):
            path = f"pictures/{number}-{i}.png"
            hue = {1: 2, 2: 0}.get(number)
            write_picture(root / path, 100 * number + i, 20 + number, hue)
            rows.append([path, label, "train" if i < 8 else "test"])
    with open(root / "data.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    more = ["--image-size", "32", "--heads", "ridge,knn", *places(root), "--quiet"]
    assert run(["classify", str(root / "data.csv"), *BASE, *more]) == 0
    names = [found.name for found in list_runs(root / "runs")]
    write_report(config(root), names, root / "report.html")
    return root


@pytest.fixture(scope="module")
def best(root):
    return leaderboard(list_runs(root / "runs"))[0][0].run


class Watched:
    """A page that writes down what it says and what it asks for."""

    def __init__(self, browser, root, width=1400, scheme="light", name="report.html"):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.context.set_default_timeout(5000)
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.root, self.addresses = root, set()
        self.go(name)

    def go(self, name):
        """Open a page of the folder."""
        address = (self.root / name).as_uri()
        self.addresses.add(address)
        self.page.goto(address)

    def close(self):
        """End, and fail if anything was said or asked for on the way."""
        self.context.close()
        assert self.said == []
        assert {url for url in self.asked if not url.startswith("data:")} == self.addresses


@pytest.fixture
def page(browser, root):
    watched = Watched(browser, root)
    yield watched.page
    watched.close()


def column(page, table, number):
    cells = page.locator(table).locator(f"tbody tr > :nth-child({number})")
    return cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)")


def test_names_are_text_and_never_run(page):
    assert page.evaluate("window.ran") is None
    names = page.locator(".confusion").first.locator("tbody th").all_text_contents()
    assert names == sorted(LABELS)
    assert page.locator(".classes label", has_text=ODD).count() == 2
    assert page.locator("img[src=x]").count() == 0


def test_a_click_and_a_key_sort_a_table(page):
    header = page.locator(".board th", has_text="test accuracy")
    assert header.get_attribute("aria-sort") is None
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    falling = [float(value) for value in column(page, ".board", 6)]
    assert falling == sorted(falling, reverse=True)
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in column(page, ".board", 6)] == sorted(falling)
    page.locator(".board th", has_text="head").locator("button").focus()
    page.keyboard.press("Space")
    heads = column(page, ".board", 3)
    assert heads == sorted(heads)
    assert page.locator(".board [aria-sort]").count() == 1


def predictions(best):
    with open(best.path / "predictions.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_cell_shows_exactly_its_pictures(page, best):
    rows = predictions(best)
    classes = best.dataset.classes
    counts = Counter((row["label"], row["prediction"]) for row in rows)
    wrong = [pair for pair in counts if pair[0] != pair[1]]
    assert wrong
    for label, called in [*wrong, (classes[1], classes[1])]:
        there = [row for row in rows if (row["label"], row["prediction"]) == (label, called)]
        given = f"[data-given='{classes.index(label)}'][data-called='{classes.index(called)}']"
        cell = page.locator(f"button.cell[data-run='0']{given}")
        assert cell.text_content() == str(len(there))
        cell.click()
        dialog = page.locator("dialog")
        assert dialog.locator(".path").all_text_contents() == [
            row["path"] for row in sorted(there, key=lambda row: -float(row[f"p:{called}"]))
        ]
        assert (
            dialog.locator("h2").text_content() == f"Given {label}, called {called}: {len(there)}"
        )
        first = max(there, key=lambda row: float(row[f"p:{called}"]))
        line = dialog.locator("li").first.locator(".verdict").first.text_content()
        assert line == f"called {called} {float(first[f'p:{called}']):.3f}"
        thumb = dialog.locator("li .thumb").first
        assert thumb.get_attribute("role") == "img"
        assert thumb.evaluate("e => getComputedStyle(e).backgroundImage").startswith('url("data:')
        page.keyboard.press("Escape")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_closing_gives_the_focus_back(page, key):
    cell = page.locator("button.cell").first
    cell.focus()
    page.keyboard.press(key)
    assert page.locator("dialog").is_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert cell.evaluate("e => e === document.activeElement")
    page.keyboard.press(key)
    page.locator("dialog .close").click()
    assert cell.evaluate("e => e === document.activeElement")


PIXELS = """
canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const values = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const inked = [...Array(values.length / 4).keys()].filter(i => values[4 * i + 3] > 200);
  return { n: inked.length, x: inked[0] % canvas.width, y: Math.floor(inked[0] / canvas.width) };
}
"""


def inked(page):
    """Return how many pixels of the first map are not empty, and where the first is."""
    return page.locator(".stage canvas").first.evaluate(PIXELS)


def test_switching_a_class_off_hides_its_points(page):
    where = page.locator(".map").first
    shown = where.locator(".shown")
    assert shown.text_content() == "56 of 56 pictures shown"
    everything = inked(page)["n"]
    where.get_by_role("checkbox", name="blue").uncheck()
    assert shown.text_content() == "42 of 56 pictures shown"
    assert 0 < inked(page)["n"] < everything
    where.get_by_role("checkbox", name="train").uncheck()
    assert shown.text_content() == "18 of 56 pictures shown"
    where.get_by_role("button", name="none").click()
    assert inked(page)["n"] == 0
    where.get_by_role("button", name="all").click()
    where.get_by_role("checkbox", name="train").check()
    assert inked(page)["n"] == everything


def test_a_map_is_walked_by_keys_and_pointed_at(page):
    where = page.locator(".map").first
    canvas, card = where.locator(".stage canvas"), where.locator(".card")
    where.get_by_role("radio", name="t-SNE").check()
    canvas.focus()
    page.keyboard.press("ArrowRight")
    first = card.locator(".path").text_content()
    assert first.startswith("pictures/")
    page.keyboard.press("ArrowLeft")
    assert card.locator(".path").text_content() != first
    assert "pictures/" in page.locator("#said").text_content()
    page.keyboard.press("Escape")
    assert not card.is_visible()
    spot = inked(page)
    canvas.hover(position={"x": spot["x"], "y": spot["y"]})
    assert card.locator(".thumb").is_visible()


def test_commands_are_copied(browser, root):
    watched = Watched(browser, root)
    watched.context.grant_permissions(["clipboard-read"])
    row = watched.page.locator(".command").first
    row.locator("button").click()
    assert row.locator("button").text_content() == "Copied"
    copied = watched.page.evaluate("navigator.clipboard.readText()")
    assert copied == row.locator("code").text_content()
    watched.close()


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_and_scheme_can_be_read(browser, root, width, scheme):
    watched = Watched(browser, root, width, scheme)
    page = watched.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for kind in ("p", "td", "th", "dt", "dd", "figcaption", "code", "button.cell", "a", "summary"):
        contrasts = page.locator(f"{kind}:visible").evaluate_all(f"all => all.map({CONTRAST})")
        assert min(contrasts) >= 4.5, kind
    watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_shade_of_a_cell_can_be_read(browser, root, scheme):
    watched = Watched(browser, root, scheme=scheme)
    kinds = [f"{kind}{step}" for kind in ("h", "right", "wrong") for step in range(10)]
    for kind in kinds:
        cell = watched.page.evaluate_handle(
            "kind => { const made = document.createElement('td'); made.className = kind;"
            "document.querySelector('.heat tbody tr').append(made); return made; }",
            kind,
        )
        assert cell.evaluate(CONTRAST) >= 4.5, kind
    watched.close()


def test_everything_is_reached_by_tab(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    scrolled = page.locator(".scroll").evaluate_all(
        "all => all.every(e => e.tabIndex === 0 && e.getAttribute('aria-label'))"
    )
    assert scrolled
    assert page.locator("div[onclick], span[tabindex]").count() == 0
