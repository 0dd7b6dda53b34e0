"""The page for labelling in a real browser: keys and clicks, a reload, and what is saved."""

import csv
import json

import pytest

from tests.pool.conftest import FLAGS, FORMULA, ODD
from tests.pool.test_label import listed, page_of
from tests.pool.test_pools import places, told

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.report import test_browser

browser = test_browser.browser


@pytest.fixture
def opened(browser):
    """Open pages, which must ask for nothing and say nothing on the console."""
    watched = []

    def open_(path, **more):
        watched.append(test_browser.Watched(browser, path.parent, name=path.name, **more))
        return watched[-1]

    yield open_
    for one in watched:
        one.close()


def count(page):
    return page.locator("#count").text_content()


def saved(page, to):
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    download.value.save_as(to)
    with to.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_labelled_by_keys_saved_fed_back(doubtful, tmp_path, capsys, opened):
    data, out = doubtful / "data", tmp_path / "page.html"
    _, written = page_of(capsys, doubtful, out, data, "--run", "best")
    cards, names = written["cards"], [name for name, _ in written["classes"]]
    watched = opened(out)
    page = watched.page
    assert page.evaluate("window.ran") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("#path").text_content() == cards[0]["path"][1]
    for card in cards:
        wrong = "wrong" in card["path"][0]
        hue = names.index(ODD) if card["label"] is None else card["label"]
        page.keyboard.press(str(1 + (1 - hue if wrong else hue)))
    assert count(page) == f"all {len(cards)} decided: save them"
    rows = saved(page, tmp_path / "page.csv")
    assert [row["digest"] for row in rows] == [card["digest"] for card in cards]
    assert {row["label"] for row in rows} == {ODD, f"'{FORMULA}"}
    more = (*FLAGS, "--corrections", tmp_path / "page.csv", *places(doubtful))
    learnt = told(capsys, "classify", data, *more)
    assert learnt["corrections"]["changed"] >= 4
    assert learnt["corrections"]["unmatched"] == []
    assert learnt["after"]["accuracy"] > learnt["before"]["accuracy"]
    page.reload()
    assert count(page) == f"all {len(cards)} decided: save them"
    _, other = page_of(capsys, doubtful, tmp_path / "other.html", data, "--run", "best", "--n", "3")
    watched.go("other.html")
    assert count(page) == "0 of 3 decided"
    assert other["key"] != written["key"]
    watched.go(out.name)
    assert count(page).startswith("all ")


def suggestions(doubtful, tmp_path, capsys, classes):
    """Write a page of two pictures with odd names, and open it."""
    rows = [(one, "", "", "", "") for one in sorted((doubtful / "pool").iterdir())]
    given = ("--suggestions", listed(tmp_path, *rows), "--classes", classes)
    return page_of(capsys, doubtful, tmp_path / "page.html", *given)[1]


def test_many_classes_are_found_by_typing(doubtful, tmp_path, capsys, opened):
    suggestions(doubtful, tmp_path, capsys, ",".join(["3", *(f"{a}ird" for a in "abcdefghijk")]))
    page = opened(tmp_path / "page.html").page
    page.keyboard.press("3")  # a class that is called so has its own digit
    assert "You said" not in page.locator("#is").text_content()
    assert page.locator(".tiles button").first.text_content() == "✓ 3"
    page.keyboard.type("kir")
    assert page.locator("#classes button:visible").all_text_contents() == ["kird"]
    page.keyboard.press("Enter")
    assert page.locator("#is").text_content() == "You said: kird"
    assert page.evaluate("document.activeElement.id") == "stage"
    page.keyboard.press("Backspace")
    assert count(page) == "1 of 2 decided"
    page.keyboard.type("Kird")
    assert page.locator("#new").is_hidden()
    page.keyboard.press("Escape")
    page.keyboard.type("=newt")
    page.keyboard.press("Shift+Enter")
    page.reload()
    rows = saved(page, tmp_path / "page.csv")
    assert [row["label"] for row in rows] == ["3", "'=newt"]
    assert [row["path"] for row in rows] == sorted(map(str, (doubtful / "pool").iterdir()))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    page.keyboard.press("9")
    assert page.locator("#said").text_content().startswith("hird.")  # 3 has its own
    page.keyboard.press("Control+z")
    # Of pictures that no data set has, the dropped ones are not in the table.
    assert [row["label"] for row in saved(page, tmp_path / "page.csv")] == ["'=newt"]


def test_what_was_kept_is_not_trusted(doubtful, tmp_path, capsys, opened):
    key = suggestions(doubtful, tmp_path, capsys, "cat")["key"]
    page = opened(tmp_path / "page.html").page
    for kept, left in (
        ("{", "0 of 2"),
        ("{}", "0 of 2"),
        (json.dumps([[7, "cat"], [0, "drop"], ["0", "cat"], 5, [1, "cat"], [0, None]]), "1 of 2"),
    ):
        page.evaluate("([key, kept]) => localStorage.setItem(`label-${key}`, kept)", [key, kept])
        page.reload()
        assert count(page) == f"{left} decided"


def test_a_browser_that_keeps_nothing_says_so(doubtful, tmp_path, capsys, opened):
    suggestions(doubtful, tmp_path, capsys, "cat")
    page = opened(tmp_path / "page.html").page
    assert page.locator("#trouble").is_hidden()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })"
    )
    page.reload()
    assert "save before you close" in page.locator("#trouble").text_content()
    page.keyboard.press("1")
    assert count(page) == "1 of 2 decided"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_by_mouse_and_to_be_read(doubtful, tmp_path, capsys, opened, scheme):
    suggestions(doubtful, tmp_path, capsys, "cat,dog")
    page = opened(tmp_path / "page.html", width=360, scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#tile-1").click()
    page.locator("#classes button", has_text="dog").click()
    assert page.locator("#tile-1").get_attribute("aria-label").endswith("✓ dog")
    page.locator("#undo").click()
    assert count(page) == "0 of 2 decided"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    nameless = "all => all.filter(e => !(e.ariaLabel || e.textContent.trim())).length"
    assert page.locator("button").evaluate_all(nameless) == 0
    for kind in ("p", "button:enabled", "kbd", "label", "h2"):
        contrasts = page.locator(f"{kind}:visible").evaluate_all(
            f"all => all.map({test_browser.CONTRAST})"
        )
        assert min(contrasts) >= 4.5, kind
