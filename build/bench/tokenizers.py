#!/usr/bin/env python3
"""How the search index may cut texts into words: what each way costs, and what it finds.

    python build/bench/tokenizers.py [--messages 100000]

Each way indexes the texts of a generated history (generated_history.py) in a database of its own. Printed are
the seconds it takes, the size of the index beside that of the texts, and milliseconds a query (p50 / p95, the
newest 20 rows that match) for words, phrases of two words, half-typed words, words of one or two characters
of Chinese and Japanese, and rare terms; then how much of a labelled list of texts is found by what people
type to find it, and how much by what must not find it. The ways take turns at each query.
"""

from __future__ import annotations

import argparse
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "backend"), str(ROOT / "build")]

from bench.generated_history import history  # noqa: E402 - a checkout that is not installed
from deskside.backend.store.segmentation import indexed, spelled  # noqa: E402

QUERIES_EACH = 60
ROWS = 20

# A text, what is typed to find it, and what is typed that must not find it.
LABELLED: list[tuple[str, list[str], list[str]]] = [
    (
        "我们明天去东京旅行，预算是五千元。",
        ["东京", "旅行", "东京旅行", "预算", "我", "去", "五千元"],
        ["京东", "西京"],
    ),
    (
        "数据库连接失败，请检查服务器日志。",
        ["数据库", "数据", "连接失败", "服务器", "日志", "库"],
        ["据库数"],
    ),
    (
        "請幫我寫一封給客戶的道歉信",
        ["道歉信", "客戶", "信", "寫一封"],
        ["封一"],
    ),
    (
        "東京都の天気予報を教えてください。",
        ["東京", "東京都", "天気", "天気予報", "予報", "京都"],
        ["報予"],
    ),
    (
        "エラーメッセージの意味がわかりません",
        ["エラー", "メッセージ", "意味", "わかりません", "ラー"],
        ["ーエラ"],
    ),
    (
        "このメールを英語に翻訳して",
        ["メール", "英語", "翻訳", "英"],
        ["訳翻"],
    ),
    (
        "서울대학교에서 회의가 있습니다",
        ["서울", "대학교", "학교", "회의"],
        ["교학"],
    ),
    (
        "Die Größe der Straße ist unklar",
        ["Größe", "straße", "grö", "unklar"],
        ["rösse"],
    ),
    (
        "Где находится договор и счёт?",
        ["договор", "счет", "счёт", "ДОГОВОР", "дог"],
        ["воргод"],
    ),
    (
        "أين عقد الإيجار من العام الماضي؟",
        ["عقد", "الإيجار", "الماضي"],
        ["دقع"],
    ),
    (
        "Le café près de l'école était fermé",
        ["cafe", "café", "ecole", "école", "ferm"],
        ["éloce"],
    ),
    (
        "def parse_order(order_id): return cache.get(order_id)",
        ["parse_order", "order_id", "order", "parse", "cache.get"],
        ["redro"],
    ),
    (
        "const userList = await fetchUserById(orderId);",
        ["userList", "user", "fetchUserById", "fetch", "orderId", "userl", "User"],
        ["resu"],
    ),
    (
        "class HTTPServerError(Exception): pass",
        ["HTTPServerError", "server", "HTTP", "httpserver", "error"],
        ["revres"],
    ),
    (
        "call foo() before bar.baz.qux()",
        ["foo()", "foo", "bar.baz", "baz", "bar.baz.qux()"],
        ["zab"],
    ),
    (
        "The invoice ACME-2231 was paid on Monday.",
        ["ACME-2231", "2231", "invoice", "inv", "was paid"],
        ["diap"],
    ),
    (
        "std::vector<int> values; values.push_back(1);",
        ["std::vector", "push_back", "vector", "values"],
        ["rotcev"],
    ),
    (
        "ขอสูตรแกงเขียวหวานหน่อย",
        ["แกง", "เขียวหวาน", "สูตร"],
        ["งกแ"],
    ),
]


@dataclass(frozen=True)
class Way:
    """How texts go into an index, and how what is typed becomes its query."""

    name: str
    tokenize: str
    text: Callable[[str], str]
    prefix: str = ""

    def query(self, typed: str, *, is_whole: bool) -> str:
        """Each word as a phrase; the last one may go on, unless it `is_whole`."""
        phrases = ['"' + self.split(word).strip().replace('"', '""') + '"' for word in typed.split()]
        if not is_whole and self.tokenize != "trigram":
            phrases[-1] += "*"
        return " ".join(phrases)

    def split(self, word: str) -> str:
        return word if self.text is unchanged else spelled(word)


def unchanged(text: str) -> str:
    return text


UNICODE = "unicode61 remove_diacritics 2"
WAYS = [
    Way("words", UNICODE, unchanged),
    Way("trigrams", "trigram", unchanged),
    Way("segmented", UNICODE, indexed),
    Way("segmented, prefix 3", UNICODE, indexed, prefix="3"),
    Way("segmented, prefix 2 3", UNICODE, indexed, prefix="2 3"),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--messages", type=int, default=100_000)
    options = parser.parse_args()
    texts = list(read_texts(history(options.messages)))
    size_mb = sum(len(text.encode()) for _, text in texts) / 1e6
    print(f"{len(texts):,} texts, {size_mb:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        indexes = {way.name: build(way, Path(folder) / f"{n}.db", texts) for n, way in enumerate(WAYS)}
        measure(indexes, texts)
    for way in WAYS:
        print(f"{way.name:22}{found(way)}")
    return 0


def read_texts(database: Path) -> Iterator[tuple[int, str]]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        yield from connection.execute("select id, text from message_part where kind = 'text'")


def build(way: Way, path: Path, texts: list[tuple[int, str]]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma synchronous = off")
    prefix = f", prefix = '{way.prefix}'" if way.prefix else ""
    connection.execute(
        f"create virtual table found using fts5 (text, content='', tokenize='{way.tokenize}'{prefix})"
    )
    started = time.perf_counter()
    connection.execute("begin")
    connection.executemany(
        "insert into found (rowid, text) values (?, ?)", ((id, way.text(text)) for id, text in texts)
    )
    connection.execute("commit")
    seconds = time.perf_counter() - started
    print(f"{way.name:22}{seconds:6.1f} s {path.stat().st_size / 1e6:8.1f} MB")
    return connection


def measure(indexes: dict[str, sqlite3.Connection], texts: list[tuple[int, str]]) -> None:
    for kind, queries in typed(texts).items():
        times: dict[str, list[float]] = {way.name: [] for way in WAYS}
        for query in queries:
            for way in WAYS:
                words = way.query(query, is_whole=kind not in ("half-typed", "two letters", "four letters"))
                started = time.perf_counter()
                indexes[way.name].execute(
                    "select rowid from found where found match ? order by rowid desc limit ?", (words, ROWS)
                ).fetchall()
                times[way.name].append((time.perf_counter() - started) * 1000)
        for name, spent in times.items():
            ordered = sorted(spent)
            p95 = ordered[int(len(ordered) * 0.95)]
            print(f"{kind:14}{name:22}{statistics.median(ordered):8.2f} /{p95:8.2f} ms")


def typed(texts: list[tuple[int, str]]) -> dict[str, list[str]]:
    """What could be typed, taken from the texts themselves."""
    chance = random.Random(7)
    sample = [text for _, text in chance.sample(texts, 4_000)]
    spaced = [text for text in sample if " " in text]
    unspaced = [text for text in sample if re.search("[\u4e00-\u9fff\u3040-\u30ff]{8}", text)]
    words = [chance.choice(re.findall(r"\w+", text) or ["the"]) for text in spaced]
    pairs = [re.search(r"\w+ \w+", text) for text in spaced]
    return {
        "words": words[:QUERIES_EACH],
        "phrases": [pair[0] for pair in pairs if pair][:QUERIES_EACH],
        "half-typed": [word[:3] for word in words if len(word) > 3][:QUERIES_EACH],
        "two letters": [word[:2] for word in words if len(word) > 3][:QUERIES_EACH],
        "four letters": [word[:4] for word in words if len(word) > 4][:QUERIES_EACH],
        "characters": [run(text)[: chance.randint(1, 2)] for text in unspaced][:QUERIES_EACH],
        "rare": [text.split()[-1] for text in spaced if re.search(r"\d{3,}$", text)][:QUERIES_EACH],
    }


def run(text: str) -> str:
    found = re.search("[\u4e00-\u9fff\u3040-\u30ff]{4,}", text)
    assert found is not None
    return found[0][1:]


def found(way: Way) -> str:
    """How much of the labelled list is found, and what else."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            build(way, Path(folder) / "labelled.db", [(n, text) for n, (text, _, _) in enumerate(LABELLED)])
        ) as connection,
    ):
        hits = wrong = asked = 0
        missed = []
        for n, (_, finding, others) in enumerate(LABELLED):
            for query in finding:
                asked += 1
                is_hit = n in rows(connection, way.query(query, is_whole=False))
                hits += is_hit
                missed += [] if is_hit else [query]
            wrong += sum(n in rows(connection, way.query(query, is_whole=False)) for query in others)
    return f"{hits} of {asked} found, {wrong} wrongly; missed: {' '.join(missed)}"


def rows(connection: sqlite3.Connection, query: str) -> list[int]:
    return [id for (id,) in connection.execute("select rowid from found where found match ?", (query,))]


if __name__ == "__main__":
    sys.exit(main())
