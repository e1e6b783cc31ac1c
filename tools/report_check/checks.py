"""What has to hold of a report in a browser, a line for each fault."""

from __future__ import annotations

from collections.abc import Iterator

from tools.report_check.browser import Page

# Set by what hostile data try to run; see tests/hostile_reviews.py.
_HARM = "Object.keys(window).filter((name) => name.startsWith('harm')).join()"
_WIDE = """[...document.querySelectorAll("body *")].filter((node) =>
  !node.closest(".scroll, pre, .gone, .skip, svg") && node.getBoundingClientRect().right > WIDTH + 1)
  .map((node) => node.outerHTML.slice(0, 80)).slice(0, 3).join(" … ")"""
_SHIFT = """new Promise((done) => new PerformanceObserver((list) =>
  done(list.getEntries().reduce((sum, one) => sum + one.value, 0))).observe({type: "layout-shift", buffered: true})
  || setTimeout(() => done(0), 200))"""


def complaints(page: Page) -> Iterator[str]:
    """What the browser said since the page was opened: errors, refused scripts, requests for anything but the page."""
    for event in page.events:
        method, told = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            yield f"script error: {told['exceptionDetails']['text']}"
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            yield f"browser: {told['entry']['text']}"
        elif method == "Page.javascriptDialogOpening":
            yield f"dialog: {told['message']}"
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith("file:"):
            yield f"asks for {told['request']['url']}"


def harmless(page: Page) -> Iterator[str]:
    """No data became a script, an element, or an attribute that acts."""
    if harm := page.ask(_HARM):
        yield f"data ran: {harm}"
    if (count := page.ask("document.scripts.length")) != 2:
        yield f"{count} scripts, expected its own 2"
    if count := page.ask('document.querySelectorAll("img, iframe, object, embed, base, link").length'):
        yield f"{count} elements that no template has"
    if count := page.ask("[...document.querySelectorAll('*')].filter((n) => n.getAttributeNames().some((a) => "
                         "a.startsWith('on'))).length"):  # fmt: skip
        yield f"{count} elements with handlers of their own"


def fits(page: Page, width: int) -> Iterator[str]:
    """Nothing is wider than the screen but what scrolls by itself, and nothing moves while it loads."""
    if page.ask("document.scrollingElement.scrollWidth") > width:
        yield f"at {width} px the page is {page.ask('document.scrollingElement.scrollWidth')} px wide"
    if wide := page.ask(_WIDE.replace("WIDTH", str(width))):
        yield f"at {width} px too wide: {wide}"
    if (shift := page.ask(_SHIFT)) > 0.01:
        yield f"at {width} px the layout jumps, by {shift:.3f}"


def works(page: Page) -> Iterator[str]:
    """Theme, sorting, searching, filtering, showing more: by what a person would press."""
    before = page.ask("getComputedStyle(document.body).backgroundColor")
    page.ask('document.getElementById("theme").click()')
    if page.ask("getComputedStyle(document.body).backgroundColor") == before:
        yield "the button for light and dark changes nothing"
    page.ask('document.getElementById("theme").click()')
    yield from _sorting(page)
    yield from _lists(page)
    yield from _classes(page)


def _sorting(page: Page) -> Iterator[str]:
    if not page.ask('!!document.querySelector("table[data-sortable]")'):
        return
    column = (
        """[...document.querySelector("table[data-sortable]").tBodies[0].rows].map((r) => r.cells[2].textContent)"""
    )
    button = 'document.querySelectorAll("table[data-sortable] thead button")[2]'
    for down in (True, False):
        page.ask(f"{button}.click()")
        found = [float(text.replace(",", "")) for text in page.ask(column)]
        if found != sorted(found, reverse=down):
            yield f"sorting {'down' if down else 'up'} by examples gives {found[:5]} …"


def _lists(page: Page) -> Iterator[str]:
    """Each list that can be searched: of mistakes, of suspects."""
    for key in page.ask('[...document.querySelectorAll("form[data-list]")].map((form) => form.dataset.list)'):
        shown = f'[...document.querySelectorAll("#{key} > li")].filter((node) => node.offsetParent).length'
        count = page.ask(f'document.querySelectorAll("#{key} > li").length')
        if (found := page.ask(shown)) != min(20, count):
            yield f"{key}: {found} shown of {count}, expected {min(20, count)}"
        if count > 20:
            page.ask(f'document.getElementById("{key}-more").click()')
            if (found := page.ask(shown)) != min(40, count):
                yield f"{key}: {found} shown after 'more', expected {min(40, count)}"
        query = f'form[data-list="{key}"] input'
        _type(page, query, "no text holds this ☃")
        if page.ask(shown):
            yield f"{key}: a search for what is nowhere finds something"
        _type(page, query, "")


def _classes(page: Page) -> Iterator[str]:
    """Mistakes by their true class."""
    if page.ask('!!document.getElementById("true")'):
        chosen = page.ask('document.querySelector("#true option:nth-child(2)").value')
        _type(page, "#true", chosen)
        found = page.ask(f'[...document.querySelectorAll("#list > li")].filter((n) => n.offsetParent && '
                         f'!n.dataset.t.split(" ").includes("{chosen}")).length')  # fmt: skip
        if found:
            yield f"{found} mistakes of other classes than the one chosen"
        _type(page, "#true", "")


def _type(page: Page, selector: str, value: str) -> None:
    page.ask(f'(() => {{ const node = document.querySelector(`{selector}`); node.value = "{value}"; '
             f'node.dispatchEvent(new Event("input", {{bubbles: true}})); }})()')  # fmt: skip


_CONTROLS = "a[href], button, input, select, summary, [tabindex='0']"


def reachable(page: Page) -> Iterator[str]:
    """Each control that is shown gets the focus by the Tab key."""
    shown = "(node) => node.checkVisibility({contentVisibilityAuto: true})"
    wanted = page.ask(f"[...document.querySelectorAll(`{_CONTROLS}`)].filter({shown}).length")
    page.ask("document.activeElement.blur()")
    page.ask("window.visited = new Set()")
    for _ in range(wanted + 5):
        page.press("Tab")
        page.ask("window.visited.add(document.activeElement)")
    got = page.ask(f"[...window.visited].filter((node) => node.matches && node.matches(`{_CONTROLS}`)).length")
    if got < wanted:
        yield f"the Tab key reaches {got} of {wanted} controls"
