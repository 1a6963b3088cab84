"""Write frontend/src/api.gen.ts from the commands' signatures.

python build/api.py           write it
python build/api.py --check   exit 1 when the committed file differs
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

from deskside.backend.events import AppEvent  # noqa: E402
from deskside.bridge.commands import COMMANDS  # noqa: E402
from deskside.bridge.registry import Registry  # noqa: E402
from deskside.bridge.typescript import TypeScript  # noqa: E402

TARGET = ROOT / "frontend" / "src" / "api.gen.ts"


def main() -> int:
    written = TypeScript(Registry(COMMANDS), AppEvent).render()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(written, "utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text("utf-8") == written:
        return 0
    print(
        f"{TARGET.relative_to(ROOT)} does not match the commands. Run: python build/api.py", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
