"""Use everything of Deskside that could reach the network, first offline, then online, on a watched line.

`python offline_world.py FOLDER`, in the network of wire.py. Prints one JSON object: what left in each of the
two, and what Deskside said.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from deskside.backend.agent.device_models import SMOLLM2
from deskside.shell.client import Client, Refused
from provider_server import ProviderServer, Reply, ToolCall, chat_stream
from wire import BEHIND, Wire

WAIT_S = 60.0
ENDED = ("complete", "failed", "stopped", "interrupted")
OWN_TOOL = "def look(): return fetch_text('https://page.example/')"


def main() -> int:
    folder = Path(sys.argv[1])
    # As a user's own server on this machine: it goes on working, and asks for the tools.
    with ProviderServer() as local:
        hostile = [sys.executable, str(Path(__file__).with_name("hostile_server.py")), "network"]
        deskside(folder, "mcp", "add", "program", "--yes", "--", *hostile)
        deskside(folder, "mcp", "add", "far", "--yes", "--url", "https://mcp.example/mcp")
        report: dict[str, Any] = {}
        for name, arguments in (("offline", ["--offline"]), ("online", [])):
            started = [sys.executable, "-m", "deskside", "--data-dir", str(folder), "--serve", *arguments]
            process = subprocess.Popen(started, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            with process, Wire() as wire:
                try:
                    with Client(json.loads(process.stdout.readline())["url"]) as client:
                        report[name] = {"said": use_everything(client, local)}
                finally:
                    process.terminate()
                    process.wait(WAIT_S)
                    # The wire is closed, and so read to its end, after this.
            report[name]["sent"] = wire.sent
    print(json.dumps(report))
    return 0


def deskside(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "deskside", "--data-dir", str(folder), *arguments], check=True)


def use_everything(client: Client, local: ProviderServer) -> dict[str, Any]:
    """What each thing said."""
    server = {"id": "local", "label": "Here", "base_url": local.openai_url}
    client.call("settings.change", {"servers": [server]})
    # Whatever is asked, no model may talk for minutes.
    [agent] = [row for row in client.call("agents.list") if row["name"] == "assistant"]
    client.call("agents.change", {"id": agent["id"], "max_output_tokens": 60})
    said: dict[str, Any] = {}
    for model in ("openai/gpt-5", "anthropic/claude-sonnet-4-5"):
        said[model] = answer(client, model)
    said["local"] = answer(client, "local/local-model")
    said["device"] = answer(client, f"device/{SMOLLM2.name}")
    said["key"] = client.call("keys.test", {"provider": "openai"})
    said["models"] = client.call("models.available", {"refresh": True})
    said["servers"] = client.call("models.find_servers")
    said["update"] = client.envelope("updates.look")
    for tool, arguments in (
        ("web_fetch", {"url": "https://page.example/"}),
        ("web_fetch", {"url": f"http://{BEHIND.replace('203.0.113', '93.184.216')}/"}),
        ("web_search", {"query": "tea"}),
        ("program__reach", {"host": BEHIND, "port": 80}),
    ):
        said[f"{tool} {next(iter(arguments.values()))}"] = tool_result(client, local, tool, arguments)
    trial = {"source": OWN_TOOL, "parameters": {"type": "object"}, "arguments": {}, "capabilities": ["web"]}
    said["own tool"] = client.call("tools.try_out", trial)
    client.call("settings.change", {"sentry_dsn": "https://key@sentry.example/1"})
    try:
        said["report"] = client.call("diagnostics.send_test_report")
    except Refused as error:
        said["report"] = error.message
    said["mcp"] = {row["name"]: (row["state"], row["reason"]) for row in client.call("mcp.servers")}
    client.call("device.download")
    return said


def answer(client: Client, model: str) -> dict[str, Any]:
    # The small model has a short answer to this: without one it runs into the limit, which is a failure.
    started = client.call("runs.start", {"text": "What is the capital of France?", "model": model})
    return ended(client, started["reply"])


def ended(client: Client, reply: dict[str, Any]) -> dict[str, Any]:
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        page = client.call("messages.page", {"conversation_id": reply["conversation_id"]})
        row: dict[str, Any] = next(row for row in page["messages"] if row["id"] == reply["id"])
        if row["status"] in ENDED:
            return {"status": row["status"], "error": row["error"], "parts": row["parts"]}
        for position, part in enumerate(row["parts"]):
            if part["kind"] == "tool_call" and part["status"] == "waiting":
                how = {"message_id": row["id"], "position": position, "decision": "approved"}
                client.call("runs.decide", how)
        time.sleep(0.05)
    raise TimeoutError(f"the answer of {reply['id']} did not end")


def tool_result(client: Client, local: ProviderServer, tool: str, arguments: dict[str, Any]) -> str:
    if tool.startswith("program__"):
        accept_tools(client)
    call = ToolCall(f"call_{tool}", tool, json.dumps(arguments))
    local.script(Reply(b"".join(chat_stream([], call))), Reply(b"".join(chat_stream(["Done."]))))
    said = answer(client, "local/local-model")
    return "".join(part["output"] or "" for part in said["parts"] if part["kind"] == "tool_call")


def accept_tools(client: Client) -> None:
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        [row] = [row for row in client.call("mcp.servers") if row["name"] == "program"]
        if row["tools"]:
            seen = [
                {"name": tool["name"], "hash": tool["offered"]["hash"]}
                for tool in row["tools"]
                if tool["offered"]
            ]
            if seen:
                client.call("mcp.accept_tools", {"id": row["id"], "tools": seen})
            return
        time.sleep(0.05)
    raise TimeoutError("the server offers no tools")


if __name__ == "__main__":
    sys.exit(main())
