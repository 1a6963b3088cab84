"""Write what is generated from the Python code: the page's client and the published schemas of files.

python build/api.py           write frontend/src/api.gen.ts and build/schemas/
python build/api.py --check   exit 1 when a committed file differs
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

import msgspec  # noqa: E402

from deskside.backend.backups.manifest import Manifest  # noqa: E402
from deskside.backend.events import AppEvent  # noqa: E402
from deskside.backend.exchange.agent_file import AgentFile  # noqa: E402
from deskside.backend.exchange.conversation_file import ConversationsFile  # noqa: E402
from deskside.backend.recordings.run_file import RunFile  # noqa: E402
from deskside.bridge.commands import COMMANDS  # noqa: E402
from deskside.bridge.registry import Registry  # noqa: E402
from deskside.bridge.typescript import TypeScript  # noqa: E402

SCHEMAS = ROOT / "build" / "schemas"


def main() -> int:
    files = {
        ROOT / "frontend" / "src" / "api.gen.ts": TypeScript(Registry(COMMANDS), AppEvent).render(),
        SCHEMAS / "agent-1.json": schema_of(AgentFile, "Deskside agent, version 1"),
        SCHEMAS / "conversations-1.json": schema_of(ConversationsFile, "Deskside conversations, version 1"),
        SCHEMAS / "run-1.json": schema_of(RunFile, "Deskside recorded run, version 1"),
        SCHEMAS / "backup-1.json": schema_of(Manifest, "Deskside backup, version 1"),
    }
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.write_text(text, "utf-8")
        return 0
    differing = [
        path for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text
    ]
    for path in differing:
        print(f"{path.relative_to(ROOT)} does not match the code. Run: python build/api.py", file=sys.stderr)
    return 1 if differing else 0


def schema_of(struct: type[msgspec.Struct], title: str) -> str:
    """The JSON Schema of a file that this struct reads."""
    (top,), parts = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **parts.pop(top["$ref"].rpartition("/")[2]),
        "title": title,
        "$defs": parts,
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.exit(main())
