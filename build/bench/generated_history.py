"""A long history, the same each time it is made: what the store holds after years of daily use.

    python build/bench/generated_history.py [--messages 1000000]

20,000 conversations in a million messages (50 each on average, log-normal), the first of them 50,000 messages
long and written to all the time, so that its rows lie among all others. Texts have a median of 300 characters
(log-normal, up to 20 KB), in nine languages and with code; words follow Zipf's law, and a third of the
messages bring a name of their own, so that the vocabulary grows as a real one does. One reply in ten used a
tool, one in thirty was tried again. A smaller history has fewer conversations and a shorter first one.

Made through plain inserts in one transaction, about 100 s for a million, and kept in .build/ under the hash
of what it depends on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "backend"), str(ROOT / "build")]

from deskside.backend.store import migrate, search_index, segmentation  # noqa: E402 - a checkout that is not installed

FOLDER = ROOT / ".build" / "history"
LARGEST_CONVERSATION = 50_000
MESSAGES_EACH = 50
MEDIAN_CHARACTERS = 300
LONGEST_CHARACTERS = 20_000
BEGIN_MS = 1_700_000_000_000
STEP_MS = 60_000
ACTIVE = 30
MODELS = ["openai/gpt-5", "anthropic/claude-opus", "local/qwen3", "device/smollm2"]

# The share of conversations, and words: common ones, most frequent first, and what rare ones are put
# together from. Without spaces where the language has none.
LANGUAGES: dict[str, tuple[int, str, str, str]] = {
    "en": (
        44,
        "the of and to a in that is it for was on with as be at by this have from or had not but "
        "what all were when we there can an your which their said if do will each about how up "
        "out them then she many some so these would other into has more her two like him see "
        "time could no make than first been its who now people my made over did down only way "
        "find use may water long little very after words called just where most know database "
        "server request answer question model message window error function test garden recipe "
        "travel budget letter meeting contract invoice",
        "ar be con der el fin gra hol in jor kel lan mer nor ol per quin ras sto ter un ver wil yon zel",
        " ",
    ),
    "de": (
        12,
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch "
        "es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über "
        "einen so zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei Größe "
        "Straße Übung möglich könnte Antwort Frage Fehler Rechnung",
        "auf ber ein ent ge haft heit keit lich mut nis ober rau schaft sel tum ung ver wei zu",
        " ",
    ),
    "zh": (
        13,
        "的 一 是 不 了 在 人 有 我 他 这 个 们 中 来 上 大 为 和 国 地 到 以 说 时 要 就 出 会 "
        "可 也 你 对 生 能 而 子 那 得 于 着 下 自 之 年 数据 数据库 服务器 问题 答案 模型 消息 "
        "错误 函数 测试 东京 北京 旅行 预算 会议 合同 发票",
        "过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理"
        "心本前开但因只从想实",
        "",
    ),
    "ja": (
        8,
        "の に は を た が で て と し れ さ ある いる も する から な こと として い や など "
        "なっ ない この ため その 質問 回答 モデル メッセージ エラー サーバー データベース 関数 "
        "東京 京都 旅行 予算 会議 契約 請求書",
        "人日大年出本中子見国言上分生手自行者二間事思時気会十家女三前的方入小地合後目長場代私下立部学物月田",
        "",
    ),
    "ru": (
        8,
        "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой "
        "ещё год от так о для вопрос ответ модель сообщение ошибка сервер функция проверка "
        "договор счёт путешествие",
        "ба ве го до жи за ка ле мо ни об по ра ско ту уп фа ше",
        " ",
    ),
    "ar": (
        5,
        "في من على إلى أن هذا التي الذي عن مع كان لا ما هو هي بعد قبل كل سؤال جواب نموذج رسالة "
        "خطأ خادم دالة عقد سفر",
        "با تا جا دا را سا شا فا قا كا لا ما نا ها وا يا",
        " ",
    ),
    "fr": (
        5,
        "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce "
        "il sont avec réponse question modèle erreur serveur fonction été déjà où être facture "
        "voyage",
        "ac bi cou dé er fa gra ho in ju la mé no or pré qui ré su té ven",
        " ",
    ),
    "ko": (
        3,
        "이 그 저 것 수 등 및 질문 답변 모델 메시지 오류 서버 함수 시험 학교에서 대학교 "
        "데이터베이스를 여행을 계약서 회의는",
        "가나다라마바사아자차카타파하고노도로모보소오조초",
        " ",
    ),
    "es": (
        2,
        "de la que el en y a los se del las un por con no una su para es al lo como más pregunta "
        "respuesta año niño",
        "ca de mo ri sa to ven zu lla rre qui",
        " ",
    ),
}
CODE_WORDS = [
    "parse",
    "order",
    "user",
    "list",
    "item",
    "cache",
    "load",
    "save",
    "find",
    "page",
    "index",
    "token",
    "value",
    "count",
    "query",
    "build",
    "read",
    "write",
    "open",
    "close",
    "start",
    "stop",
    "key",
    "name",
    "path",
    "file",
    "text",
    "line",
    "node",
    "tree",
    "event",
    "state",
    "error",
    "request",
    "reply",
]
CODE_LINES = (
    "    {b} = {a}({c})",
    "def {a}({b}, {c}):",
    "    if {b} is None: raise ValueError({c!r})",
    "    return self.{a}.{b}",
    "const {a} = await {b}({c});",
    "for {b} in {a}:",
    "// {b}: see {a}",
    "    assert {a}({b}) == {c}",
)
SENTENCE_ENDS = {" ": (". ", ", ", ". ", "? ", ".\n\n"), "": ("。", "，", "。", "？", "。\n\n")}
WORDS_OF_A_CORPUS = 150_000
RARE_WORDS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    print(history(parser.parse_args().messages))
    return 0


def history(messages: int) -> Path:
    """The database with so many messages, made where it is not there yet. Others of the same size go."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    database = FOLDER / f"{messages}-{_fingerprint()}.db"
    if not database.exists():
        for old in FOLDER.glob(f"{messages}-*"):  # also what a generator left that was stopped
            old.unlink()
        unfinished = database.with_suffix(f".unfinished-{os.getpid()}")
        migrate.migrate(unfinished, FOLDER)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            segmentation.register(connection)
            fill(connection, messages)
        unfinished.replace(database)
    return database


def _fingerprint() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(Path(segmentation.__file__).read_bytes())
    for migration in migrate.read_migrations():
        digest.update(migration.sha256.encode())
    return digest.hexdigest()[:12]


class Corpus:
    """An endless text of one language, cut anywhere a sentence begins."""

    def __init__(self, chance: random.Random, common: str, syllables: str, space: str) -> None:
        pieces = syllables.split() if space else list(syllables)
        words = common.split()
        words += ["".join(chance.choices(pieces, k=chance.randint(2, 4))) for _ in range(RARE_WORDS)]
        weights = [1 / (rank + 2) for rank in range(len(words))]
        written = chance.choices(words, weights, k=WORDS_OF_A_CORPUS)
        text: list[str] = []
        self.starts = [0]
        length = at = 0
        while at < len(written):
            sentence = space.join(written[at : at + chance.randint(4, 22)])
            sentence = sentence[:1].upper() + sentence[1:] + chance.choice(SENTENCE_ENDS[space])
            at += 13
            text.append(sentence)
            length += len(sentence)
            self.starts.append(length)
        self.text = "".join(text)
        self.starts = [start for start in self.starts if start < length - 1]

    def take(self, chance: random.Random, characters: int) -> str:
        start = chance.choice(self.starts)
        text = self.text[start : start + characters]
        while len(text) < characters:
            text += self.text[: characters - len(text)]
        return text.rstrip()


def fill(connection: sqlite3.Connection, messages: int) -> None:
    """Put the history into a database with a schema and nothing else, then index it."""
    for pragma in ("journal_mode = off", "synchronous = off", "cache_size = -400000", "foreign_keys = off"):
        connection.execute(f"pragma {pragma}")
    connection.execute("begin")
    connection.execute("insert into user values (1, '', 'system', 'en', 0)")
    for agent, (name, label) in enumerate((("assistant", "Assistant"), ("reviewer", "Reviewer")), 1):
        connection.execute(
            "insert into agent (id, name, label, instructions, step_limit, created_ms, updated_ms) "
            "values (?, ?, ?, '', 20, 0, 0)",
            (agent, name, label),
        )
    connection.execute("insert into folder values (1, 'Work', 0, 0)")
    writer = _Writer(connection, messages)
    writer.write_all()
    connection.execute("commit")
    connection.execute("begin")
    search_index.rebuild(connection)
    connection.execute("commit")
    connection.execute("analyze")
    connection.execute("pragma journal_mode = wal")


class _Writer:
    """Makes rows in the order of their time and inserts them a few thousand at once."""

    def __init__(self, connection: sqlite3.Connection, messages: int) -> None:
        self._connection = connection
        self._most = messages
        self._chance = random.Random(20261125)
        self._corpora = {
            name: Corpus(self._chance, common, syllables, space)
            for name, (_, common, syllables, space) in LANGUAGES.items()
        }
        syllables = LANGUAGES["en"][2].split()
        rare = {"".join(self._chance.choices(syllables, k=self._chance.randint(1, 3))) for _ in range(3_000)}
        self._code_words = [*CODE_WORDS, *sorted(rare)]
        self._code_weights = [1 / (rank + 10) for rank in range(len(self._code_words))]
        self._code = self._code_corpus()
        self._messages: list[tuple[object, ...]] = []
        self._parts: list[tuple[object, ...]] = []
        self._runs: list[tuple[object, ...]] = []
        self._next = 1
        self._part = 1

    def write_all(self) -> None:
        for conversation, sitting in self._sittings():
            for _ in range(sitting):
                if self._next > self._most:
                    break
                self._say(conversation)
            if len(self._messages) > 5_000:
                self._insert()
        self._insert()
        self._connection.execute("delete from conversation where head is null")
        self._connection.execute(
            "update conversation set updated_ms = (select max(created_ms) from message "
            "where conversation = conversation.id)"
        )

    def _sittings(self) -> Iterator[tuple[_Conversation, int]]:
        """Who is written to next, and how many messages: the long one in its share of all sittings."""
        longest = min(LARGEST_CONVERSATION, self._most // 2)
        long_share = longest / self._most
        longest_left = longest
        first = self._open(1)
        active: list[tuple[_Conversation, int]] = []
        opened = 1
        chance = self._chance
        while self._next <= self._most:
            if longest_left > 0 and (chance.random() < long_share or self._most - self._next < longest_left):
                count = min(longest_left, 2 * chance.randint(1, 5))
                longest_left -= count
                yield first, count
                continue
            while len(active) < ACTIVE:
                opened += 1
                size = max(2, int(chance.lognormvariate(3.36, 1.0)))
                active.append((self._open(opened), size))
            at = chance.randrange(ACTIVE)
            conversation, left = active[at]
            count = min(left, 2 * chance.randint(1, 5))
            if left - count < 1:
                active.pop(at)
            else:
                active[at] = (conversation, left - count)
            yield conversation, count

    def _open(self, id: int) -> _Conversation:
        chance = self._chance
        names = list(LANGUAGES)
        language = chance.choices(names, [LANGUAGES[name][0] for name in names])[0]
        corpus = self._corpora[language]
        title = corpus.take(chance, chance.randint(8, 50)).replace("\n", " ")
        deleted_ms = BEGIN_MS if id > 1 and chance.random() < 0.02 else None
        archived_ms = BEGIN_MS if id > 1 and deleted_ms is None and chance.random() < 0.1 else None
        self._connection.execute(
            "insert into conversation (id, user, agent, title, model, draft, created_ms, updated_ms, "
            "deleted_ms, archived_ms, folder) values (?, 1, 1, ?, ?, '', ?, ?, ?, ?, ?)",
            (
                id, title, MODELS[0], self._at_ms(), self._at_ms(), deleted_ms, archived_ms,
                1 if chance.random() < 0.15 else None,
            ),
        )  # fmt: skip
        return _Conversation(id, corpus, has_code=chance.random() < 0.25)

    def _say(self, conversation: _Conversation) -> None:
        chance = self._chance
        is_reply = conversation.depth % 2 == 1
        self._add(conversation, is_reply=is_reply, is_shown=1)
        if is_reply and chance.random() < 0.03 and self._next <= self._most:
            # Tried again: the later one is shown.
            *rest, _ = self._messages.pop()
            self._messages.append((*rest, 0))
            conversation.step_back()
            self._add(conversation, is_reply=True, is_shown=1)

    def _add(self, conversation: _Conversation, *, is_reply: bool, is_shown: int) -> None:
        chance = self._chance
        id, self._next = self._next, self._next + 1
        at_ms = self._at_ms()
        model = chance.choice(MODELS) if is_reply else None
        self._messages.append(
            (
                id, conversation.id, conversation.head, "assistant" if is_reply else "user", "complete",
                model, at_ms, at_ms + 5_000, conversation.depth, is_shown,
            )
        )  # fmt: skip
        position = 0
        if is_reply:
            agent = 2 if chance.random() < 0.05 else 1
            self._runs.append((conversation.id, id, agent, model, at_ms, at_ms + 5_000))
            if chance.random() < 0.1:
                self._put(id, 0, "tool_call", "", json.dumps(self._call(conversation), ensure_ascii=False))
                position = 1
        self._put(id, position, "text", self._text(conversation, is_reply=is_reply), None)
        conversation.step_on(id)

    def _put(self, message: int, position: int, kind: str, text: str, data: str | None) -> None:
        origin = "tool" if kind == "tool_call" else "model"
        self._parts.append((self._part, message, position, position, kind, text, data, origin))
        self._part += 1

    def _text(self, conversation: _Conversation, *, is_reply: bool) -> str:
        chance = self._chance
        characters = int(chance.lognormvariate(0, 1.1) * MEDIAN_CHARACTERS * (1.7 if is_reply else 0.5))
        characters = max(8, min(characters, LONGEST_CHARACTERS))
        if is_reply and conversation.has_code and characters > 200:
            code = self._code.take(chance, characters // 2)
            text = f"{conversation.corpus.take(chance, characters // 2)}\n\n```python\n{code}\n```"
        else:
            text = conversation.corpus.take(chance, characters)
        if chance.random() < 1 / 3:
            text += f"\n\n{self._name()}"
        return text

    def _call(self, conversation: _Conversation) -> dict[str, object]:
        path = f"{self._name()}.txt"
        return {
            "kind": "tool_call", "call_id": f"call_{self._part}", "name": "read_file",
            "arguments": json.dumps({"path": path}), "status": "finished",
            "output": conversation.corpus.take(self._chance, 600), "duration_ms": 12,
        }  # fmt: skip

    def _name(self) -> str:
        """As programs and offices call things: mostly one that nobody used before."""
        chance = self._chance
        words = chance.choices(self._code_words, self._code_weights, k=3)
        return chance.choice(
            (
                words[0] + words[1].title() + words[2].title(),
                "_".join(words),
                ".".join(words) + "()",
                f"{words[0].upper()}-{chance.randrange(10**6)}",
                f"{chance.getrandbits(32):08x}",
            )
        )

    def _code_corpus(self) -> Corpus:
        chance = self._chance
        corpus = Corpus.__new__(Corpus)
        lines = [
            chance.choice(CODE_LINES).format(a=self._name(), b=self._name(), c=self._name())
            for _ in range(20_000)
        ]
        corpus.text = "\n".join(lines)
        corpus.starts = list(range(0, len(corpus.text) - 40_000, 997))
        return corpus

    def _at_ms(self) -> int:
        return BEGIN_MS + self._next * STEP_MS

    def _insert(self) -> None:
        execute = self._connection.executemany
        execute(
            "insert into message (id, conversation, parent, role, status, model, created_ms, finished_ms, "
            "depth, is_shown) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._messages,
        )
        execute(
            "insert into message_part (id, message, position, step, kind, text, data, origin) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            self._parts,
        )
        execute(
            "insert into run (conversation, message, agent, model, status, request_id, started_ms, "
            "finished_ms) values (?, ?, ?, ?, 'complete', '', ?, ?)",
            self._runs,
        )
        heads = {conversation: id for id, conversation, *_ in self._messages}
        execute("update conversation set head = ? where id = ?", [(id, c) for c, id in heads.items()])
        self._messages, self._parts, self._runs = [], [], []


class _Conversation:
    def __init__(self, id: int, corpus: Corpus, *, has_code: bool) -> None:
        self.id = id
        self.corpus = corpus
        self.has_code = has_code
        self.head: int | None = None
        self.depth = 0
        self._before: tuple[int | None, int] = (None, 0)

    def step_on(self, message: int) -> None:
        self._before = (self.head, self.depth)
        self.head = message
        self.depth += 1

    def step_back(self) -> None:
        self.head, self.depth = self._before


if __name__ == "__main__":
    sys.exit(main())
