"""What search engines answer, in the form that ddgs reads (its engines' XPaths), and their sites' names."""

from __future__ import annotations

import json
from html import escape

from provider_server import ProviderServer, Reply

SITES = {
    "duckduckgo": "html.duckduckgo.com",
    "brave": "search.brave.com",
    "mojeek": "www.mojeek.com",
    "startpage": "www.startpage.com",
    "wikipedia": "en.wikipedia.org",
}
_PATHS = {
    "duckduckgo": "/html/",
    "brave": "/search",
    "mojeek": "/search",
    "startpage": "/sp/search",
    "wikipedia": "/w/api.php",
}
_ITEMS = {
    "duckduckgo": """
<div class="result results_links results_links_deep web-result">
 <div class="links_main links_deep result__body">
  <h2 class="result__title"><a rel="nofollow" class="result__a" href="{link}">{title}</a></h2>
  <div class="result__extras"><a class="result__url" href="{link}">{link}</a></div>
  <a class="result__snippet" href="{link}">{snippet}</a>
 </div>
</div>""",
    "brave": """
<div class="snippet" data-type="web"><a href="{link}"><div class="title">{title}</div></a>
 <div class="generic-snippet"><div class="content">{snippet}</div></div></div>""",
    "mojeek": '<li><h2><a class="title" href="{link}">{title}</a></h2><p class="s">{snippet}</p></li>',
    "startpage": """
<div class="result css-o7i03b"><a class="result-title result-link" href="{link}"><h2>{title}</h2></a>
 <p class="description">{snippet}</p></div>""",
}
_PAGE = "<!doctype html><html><head><title>{title}</title></head><body>{body}</body></html>"
_NOTHING = {
    "duckduckgo": """
<div class="result results_links results_links_deep result--no-result">
 <div class="links_main links_deep result__body"><div class="no-results">No results.</div></div>
</div>""",
    "brave": "<div>Not many great matches came back for your search:</div>",
    "mojeek": '<div class="result-col"><p>No pages found matching: <strong>x</strong></p></div>',
    "startpage": '<div class="no-results">Sorry, there are no Web results for this search!</div>',
}
CAPTCHAS = {
    "duckduckgo": '<form id="challenge-form"><div class="anomaly-modal__title">Bots, too.</div></form>',
    "brave": '<form action="/search/captcha">Confirm that you are a human</form>',
    "mojeek": "Sorry your network appears to be sending automated queries.",
    "startpage": '<form action="/sp/captcha">Please verify</form>',
}


def answer(site: ProviderServer, engine: str, *results: tuple[str, str, str]) -> None:
    """Have an engine's site answer with these: title, link and snippet, as HTML. Without any, that there is
    nothing."""
    if engine == "wikipedia":
        _answer_as_wikipedia(site, results[:1])
        return
    items = "".join(
        _ITEMS[engine].format(title=title, link=escape(link), snippet=snippet)
        for title, link, snippet in results
    )
    body = f'<ul class="results-standard">{items}</ul>' if engine == "mojeek" else f"<div>{items}</div>"
    say(site, engine, body if results else _NOTHING[engine])


def say(site: ProviderServer, engine: str, body: str, *, title: str = "Search", **changes: object) -> None:
    """Have an engine's site answer with a page."""
    page = _PAGE.format(title=title, body=body).encode()
    site.route(_PATHS[engine], Reply(page, content_type="text/html; charset=utf-8", **changes))  # type: ignore[arg-type]
    if engine == "startpage":
        form = '<form id="search"><input type="hidden" name="sc" value="Xa1b2"></form>'
        site.route("/", Reply(_PAGE.format(title="Startpage", body=form).encode(), content_type="text/html"))


def _answer_as_wikipedia(site: ProviderServer, results: tuple[tuple[str, str, str], ...]) -> None:
    found = ["x", *([result[part] for result in results] for part in (0, 2, 1))]
    site.route("/w/api.php", Reply(json.dumps(found).encode(), content_type="application/json"))
    for title, _, snippet in results:
        extract = {"query": {"pages": {"1": {"title": title, "extract": snippet}}}}
        site.route(
            "/w/api.php?action=query&format=json&prop=extracts"
            f"&titles={title.replace(' ', '%20')}&explaintext=0&exintro=0&redirects=1",
            Reply(json.dumps(extract).encode(), content_type="application/json"),
        )
