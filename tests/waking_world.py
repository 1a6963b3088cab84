"""Two answers stream when the machine falls asleep; when it wakes up, one provider has forgotten about it.

`python waking_world.py FOLDER`, in the network of wire.py. Prints one JSON object. Sleep is a clock that
jumps.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from deskside.backend import waking
from deskside.backend.log import open_log
from deskside.backend.network import dialing
from deskside.backend.paths import Paths
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.thread import run_backend
from deskside.shell.client import Client
from deskside.shell.paths import web_folder
from offline_world import WAIT_S, answer, ended
from provider_server import ProviderServer, Reply, chat_stream

# On this machine, and not of it by its number.
ELSEWHERE = "198.51.100.7"
SLEPT_S = 3600
WHOLE = b"".join(chat_stream(["The plums ", "are in ", "the icebox."]))
HALF = WHOLE.index(b"the icebox.")


def main() -> int:
    folder = Path(sys.argv[1])
    subprocess.run(["ip", "address", "add", f"{ELSEWHERE}/32", "dev", "lo"], check=True)
    # Nothing else finds out meanwhile.
    dialing.USUAL = dialing.keep_alive(7200, 75)
    asleep_s = 0.0
    awake_s = waking.now_s
    waking.now_s = lambda: awake_s() + asleep_s
    paths = Paths(folder / "data", folder / "logs", folder / "cache")
    with (
        ProviderServer(host=ELSEWHERE) as forgets,
        ProviderServer(host=ELSEWHERE) as thinks,
        ProviderServer(host=ELSEWHERE) as waits,
        open_log(paths.logs) as log,
        run_backend(paths, NoDesktop(), web_folder()) as running,
        Client(running.boot_url()) as client,
    ):
        servers = [
            {"id": name, "label": name, "base_url": server.openai_url}
            for name, server in (("forgets", forgets), ("thinks", thinks), ("waits", waits))
        ]
        client.call("settings.change", {"servers": servers})
        forgets.script(Reply(WHOLE, hang_after=HALF), Reply(WHOLE))
        thinks.script(Reply(WHOLE, hang_after=HALF))
        begun = [
            client.call("runs.start", {"text": "Where?", "model": f"{server['id']}/local-model"})["reply"]
            for server in servers[:2]
        ]
        answer(client, "waits/local-model")  # and its connection is kept for the next question
        for reply in begun:
            until_it_speaks(client, reply)
        forgets.vanish()
        asleep_s += SLEPT_S
        report: dict[str, Any] = {"forgotten": ended(client, begun[0]), "asked": len(forgets.requests)}
        report["meanwhile"] = row_of(client, begun[1])["status"]
        thinks.release()
        report["silent"] = ended(client, begun[1])
        report["asked_once"] = len(thinks.requests)
        answer(client, "waits/local-model")
        report["connections"] = waits.connections
        report["log"] = [line for line in log.read_text("utf-8").splitlines() if "slept" in line]
    print(json.dumps(report))
    return 0


def until_it_speaks(client: Client, reply: dict[str, Any]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not any(part["kind"] == "text" and part["text"] for part in row_of(client, reply)["parts"]):
        if time.monotonic() > give_up:
            raise TimeoutError("nothing was said")
        time.sleep(0.05)


def row_of(client: Client, reply: dict[str, Any]) -> dict[str, Any]:
    page = client.call("messages.page", {"conversation_id": reply["conversation_id"]})
    row: dict[str, Any] = next(row for row in page["messages"] if row["id"] == reply["id"])
    return row


if __name__ == "__main__":
    sys.exit(main())
