"""The child process that turns an HTML page into text: `python -P readable_worker.py`.

Reads a JSON line {"url", "longest"} and then the page in UTF-8 from its input, until that ends; writes the
page's title, a line break and the text. It is a process of its own because a page is written by anybody: some
take the parsers minutes and half a gigabyte (900 KB of attributes: 25 s), and C code that fails takes its
process with it. It opens no file of the user's and no connection.

Stands alone: imports nothing of this program, which would cost more than the work.
"""

from __future__ import annotations

import copy
import json
import re
import sys
from html import unescape

MEMORY_BYTES = 1_500_000_000
TIME_S = 20


def main() -> None:
    limit_process()
    order = json.loads(sys.stdin.buffer.readline())
    page = sys.stdin.buffer.read().decode("utf-8", "replace")
    text = title(page) + "\n" + readable(page, order["url"])
    sys.stdout.buffer.write(text[: order["longest"]].encode("utf-8", "replace"))


def limit_process() -> None:
    """Bound memory and time where the system can (not on Windows; macOS knows no limit of memory)."""
    try:
        import resource
    except ImportError:
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, TIME_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):  # a system that has the name but not the limit
            continue


def title(page: str) -> str:
    """One line, perhaps empty."""
    found = re.search(r"<title[^>]{0,200}>([^<]{1,2000})", page[:100_000], re.IGNORECASE)
    return " ".join(unescape(found[1]).split())[:300] if found else ""


def readable(page: str, url: str) -> str:
    """What a reader of the page would read, as Markdown; all its text where nothing looks like an article."""
    import trafilatura
    from trafilatura.settings import DEFAULT_CONFIG

    # By themselves they throw the structure of a short page away.
    config = copy.deepcopy(DEFAULT_CONFIG)
    config["DEFAULT"]["MIN_EXTRACTED_SIZE"] = "1"
    config["DEFAULT"]["MIN_OUTPUT_SIZE"] = "1"
    text = trafilatura.extract(
        page,
        url=url,
        output_format="markdown",
        include_links=True,
        include_tables=True,
        include_formatting=True,
        include_comments=True,
        favor_recall=True,
        config=config,
    )
    return text or trafilatura.html2txt(page) or ""


if __name__ == "__main__":
    main()
