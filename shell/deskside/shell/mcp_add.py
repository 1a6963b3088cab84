"""`deskside mcp add`: an MCP server from the terminal, with the same question that the window would ask.

Where a Deskside runs already the question is asked there: in its window. One that runs without a window
(`--serve`) refuses, because what reaches it over the bridge could be anybody's wish.
"""

from __future__ import annotations

import argparse
import sys
import time
from getpass import getpass
from typing import Any

from deskside.backend.errors import InvalidRequest, NeedsWindow
from deskside.backend.paths import Paths
from deskside.bridge.desktop import NoDesktop
from deskside.shell.desktop import in_thread
from deskside.shell.running import session

# `npx` may have to fetch the server first.
START_LIMIT_S = 90.0
LOOK_EVERY_S = 0.2


class TerminalDesktop(NoDesktop):
    """Asks on the terminal, once: whoever else speaks to this backend meanwhile gets no question answered."""

    def __init__(self, *, says_yes: bool) -> None:
        self._says_yes = says_yes
        self._was_asked = False

    async def confirm(self, title: str, text: str, accept_label: str) -> bool:
        if self._was_asked:
            return await super().confirm(title, text, accept_label)
        self._was_asked = True
        print(f"{title}\n\n{text}\n", file=sys.stderr, flush=True)
        if self._says_yes:
            return True
        if not sys.stdin.isatty():
            raise NeedsWindow("There is no terminal to ask on.", hint="Read the above, then add --yes.")
        return (await in_thread(lambda: input(f"{accept_label}? [y/N] "))).strip().lower() in ("y", "yes")


def add(paths: Paths, level: str, arguments: argparse.Namespace) -> None:
    """Propose the server, and say how it does. Raises Refused with the backend's words, InvalidRequest where
    the user said no."""
    params: dict[str, Any] = {
        "name": arguments.name,
        "transport": "http" if arguments.url else "stdio",
        "url": arguments.url,
        "command": "".join(arguments.program[:1]),
        "arguments": arguments.program[1:],
        "environment": [_variable(text) for text in arguments.env],
        "headers": [_variable(text) for text in arguments.header],
    }
    with session(paths, level, TerminalDesktop(says_yes=arguments.yes)) as client:
        if client.is_of_another:
            print("Deskside is running: answer the question in its window.", file=sys.stderr, flush=True)
        server = client.call("mcp.propose", params)["server"]
        if server is None:
            raise InvalidRequest("Nothing was added.", hint="")
        give_up_s = time.monotonic() + START_LIMIT_S
        while server["state"] in ("idle", "starting") and time.monotonic() < give_up_s:
            time.sleep(LOOK_EVERY_S)
            server = next(each for each in client.call("mcp.servers") if each["id"] == server["id"])
    print(_outcome(server))


def _variable(text: str) -> dict[str, Any]:
    name, has_value, value = text.partition("=")
    if has_value:
        return {"name": name, "value": value, "is_secret": False}
    asks = sys.stdin.isatty()
    return {"name": name, "value": getpass(f"{name}: ") if asks else sys.stdin.readline().rstrip("\n")}


def _outcome(server: dict[str, Any]) -> str:
    if server["state"] == "signed_out":
        return (
            f"“{server['name']}” was added, and wants you to sign in: do that in Deskside's settings, under "
            "MCP servers."
        )
    if server["state"] != "ready":
        return f"“{server['name']}” was added, but does not run yet. {server['reason']}".rstrip()
    count = len(server["tools"])
    return (
        f"“{server['name']}” was added, runs, and offers {count} tool{'' if count == 1 else 's'}. "
        "Look at them and accept them in Deskside's settings, under MCP servers."
    )
