"""The command line. `--version`, `--help` and wrong usage answer without importing anything heavy.

Exit codes: 0 done, 1 failed with a sentence on stderr that says what to do, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deskside.backend.paths import Paths

LONGEST_QUESTION = 2_000_000  # as the bridge takes it
OFFLINE = "DESKSIDE_OFFLINE"
LEVELS = ("debug", "info", "warning", "error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = _parse(argv)
    from loguru import logger

    from deskside.backend.errors import AppError

    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal, or a pipe on Windows, that lacks a character shows a question mark instead.
        sys.stdout.reconfigure(errors="replace")
    logger.remove()  # until the log file is open there is nothing to say on stderr but our own sentence
    try:
        return _run(arguments)
    except AppError as error:
        _complain(error.message, error.hint)
    except KeyboardInterrupt:
        _complain("stopped.", "")
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`). Python would complain again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        _complain(
            f"Deskside ended because of a fault of its own ({kind}).",
            "Details are in the log; 'deskside doctor' says where. Please report it.",
        )
    return 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """SystemExit 2 for wrong usage, 0 after --version and --help."""
    # Common options may stand before or after the command; SUPPRESS keeps the second parser from
    # overwriting what the first one read.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--data-dir", metavar="DIR", help="keep everything below DIR")
    common.add_argument(
        "--offline", action="store_true", help="reach nothing beyond this machine until you go online"
    )
    common.add_argument("--log-level", choices=LEVELS, help="how much to write into the log")

    parser = argparse.ArgumentParser("deskside", parents=[common])
    parser.description = "A desktop assistant that keeps everything on your own machine."
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    parser.add_argument("--serve", action="store_true", help="run without a window; prints one line of JSON")
    parser.add_argument("--port", type=_port, help="with --serve: the port to listen on")
    parser.add_argument(
        "--metrics", action="store_true", help="with --serve: answer GET /metrics, for Prometheus"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    opening = commands.add_parser(
        "open", parents=[common], help="show the window, and in it a link or a file, for a look"
    )
    opening.add_argument(
        "target", nargs="?", metavar="TARGET", help="a deskside:// link, an agent's file or an export"
    )

    asking = commands.add_parser("ask", parents=[common], help="ask one question and print the answer")
    asking.add_argument("question", nargs="?", default="-", help="the question; '-' or nothing reads stdin")
    asking.add_argument("--agent", default="assistant", help="the agent that answers")
    asking.add_argument("--model", type=_model, help="provider/model, such as openai/gpt-5")
    asking.add_argument("--json", action="store_true", help="print one JSON object when it is done")

    calling = commands.add_parser("call", parents=[common], help="run one command of the bridge")
    calling.add_argument("name", metavar="COMMAND", help="such as conversations.page")
    calling.add_argument("params", metavar="JSON", nargs="?", default="null", help="'-' reads stdin")

    granting = commands.add_parser(
        "grant", parents=[common], help="let the assistant use the files in a folder"
    )
    granting.add_argument("folder", metavar="FOLDER")
    how = granting.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="also let it change them")
    how.add_argument("--remove", action="store_true", help="take the folder back")

    doctor = commands.add_parser("doctor", parents=[common], help="check everything, and say what to do")
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")

    rescuing = commands.add_parser(
        "rescue", parents=[common], help="make a new database of what can be read of a damaged one"
    )
    rescuing.add_argument("--dry-run", action="store_true", help="only say what can be rescued")
    rescuing.add_argument("--yes", action="store_true", help="answer the question with yes")
    rescuing.add_argument("--json", action="store_true", help="print what was found as JSON")

    backing = commands.add_parser("backup", parents=[common], help="back everything up, or list the backups")
    backing.add_argument("--to", metavar="DIR", help="into DIR/deskside-backups instead of the data folder")
    backing.add_argument("--passphrase", action="store_true", help="ask for one and encrypt with it")
    backing.add_argument("--list", action="store_true", help="list the backups that are there")

    restoring = commands.add_parser("restore", parents=[common], help="bring a backup back")
    restoring.add_argument("backup", metavar="BACKUP", help="its name in the list, or its file")
    restoring.add_argument("--dry-run", action="store_true", help="only say what would change")
    restoring.add_argument("--yes", action="store_true", help="answer the question with yes")

    tracing = commands.add_parser(
        "trace", parents=[common], help="tell the whole story of a request or of a run"
    )
    tracing.add_argument("id", metavar="ID", help="a request id, as errors show it, or a run's number")
    tracing.add_argument(
        "--compare", type=int, metavar="RUN", help="put the run that ID names and this one side by side"
    )
    form = tracing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument("--otlp", action="store_true", help="print it for OpenTelemetry")

    replaying = commands.add_parser(
        "replay", parents=[common], help="run a recorded run again, and say what is other"
    )
    replaying.add_argument(
        "run", metavar="RUN", help="the number of a run, or a file that --save has written"
    )
    replaying.add_argument("--check", action="store_true", help="exit 1 when something is other")
    replaying.add_argument("--save", metavar="FILE", help="write the recording to a file, as a test case")
    replaying.add_argument("--json", action="store_true", help="print the result as JSON")

    exporting = _add_transfers(commands, common)
    adding = _add_mcp(commands, common)

    given, program = _split(_opened(sys.argv[1:] if argv is None else list(argv)))
    arguments = parser.parse_args(given)
    arguments.program = program
    if program and arguments.command != "mcp":
        parser.error("only 'mcp add' takes a command after '--'")
    if arguments.command == "mcp" and bool(arguments.url) == bool(arguments.program):
        adding.error("give either a command, after '--', or --url")
    if arguments.port is not None and not arguments.serve:
        parser.error("--port goes with --serve")
    if arguments.metrics and not arguments.serve:
        parser.error("--metrics goes with --serve")
    if arguments.serve and arguments.command is not None:
        parser.error(f"--serve does not go with {arguments.command}")
    if arguments.command == "export" and arguments.all == bool(arguments.ids):
        exporting.error("give either the ids of conversations, or --all")
    if arguments.command == "call":
        arguments.params = _json(parser, arguments.params)
    if arguments.command == "grant" and not arguments.folder:
        parser.error("which folder?")  # an unset variable must not stand for the current one
    if arguments.command == "ask":
        arguments.question = _question(parser, arguments.question)
    return arguments


def _opened(argv: list[str]) -> list[str]:
    """With `open` before what Windows gives alone, for a file of ours and for one that is dropped on the
    icon: a whole path, or a link. Neither is a command or an option, whatever it is called."""
    if len(argv) == 1 and (os.path.isabs(argv[0]) or argv[0].lower().startswith("deskside:")):
        return ["open", "--", argv[0]]
    return argv


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and the command that `deskside mcp add … --` is given. argparse does not keep the two
    apart."""
    if "--" not in argv or "mcp" not in argv[: argv.index("--")]:
        return argv, []
    return argv[: argv.index("--")], argv[argv.index("--") + 1 :]


def _add_transfers(commands: Any, common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`export` and `import`; returns the parser of the first."""
    exporting: argparse.ArgumentParser = commands.add_parser(
        "export", parents=[common], help="write conversations to a file"
    )
    exporting.add_argument("ids", metavar="ID", nargs="*", type=_row_id, help="the conversations' ids")
    exporting.add_argument("--all", action="store_true", help="every conversation")
    exporting.add_argument("--format", choices=("json", "markdown", "html"), default="json")
    exporting.add_argument("--to", metavar="PATH", help="the file; several Markdown or HTML files are a .zip")

    importing = commands.add_parser(
        "import", parents=[common], help="bring in conversations of Deskside or of another program"
    )
    importing.add_argument("file", metavar="FILE", help="the .json or .zip that was exported")
    sources = ("auto", "deskside", "chatgpt", "claude", "openwebui", "librechat")
    importing.add_argument(
        "--from", dest="source", choices=sources, default="auto", help="whose export it is"
    )
    importing.add_argument("--dry-run", action="store_true", help="only say what would come")
    return exporting


def _row_id(text: str) -> int:
    number = int(text)
    if not 1 <= number < 2**53:
        raise argparse.ArgumentTypeError(f"{number} is not an id")
    return number


def _add_mcp(commands: Any, common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    servers = commands.add_parser("mcp", parents=[common], help="add an MCP server")
    verbs = servers.add_subparsers(dest="verb", metavar="VERB", required=True)
    adding: argparse.ArgumentParser = verbs.add_parser(
        "add",
        parents=[common],
        help="add a server, after asking about its whole command",
        usage="deskside mcp add NAME [--env NAME[=VALUE]] [--yes] -- COMMAND ARGUMENT ...\n"
        "       deskside mcp add NAME [--header NAME[=VALUE]] [--yes] --url URL",
    )
    adding.add_argument("name", metavar="NAME", help="what to call it, such as files")
    adding.add_argument("--url", default="", help="the address of a server that is somewhere else")
    adding.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]", help=_SECRET_HELP)
    adding.add_argument("--header", action="append", default=[], metavar="NAME[=VALUE]", help=_SECRET_HELP)
    adding.add_argument("--yes", action="store_true", help="answer the question with yes")
    return adding


_SECRET_HELP = "a value; without one it is asked for, and kept in the keychain"


class _Version(argparse.Action):
    """Reads the version only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from deskside.backend.version import VERSION

        print(f"deskside {VERSION}")
        parser.exit()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not a port")
    return port


def _model(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*/.+", name):
        raise argparse.ArgumentTypeError(f"{name!r} is not provider/model, such as openai/gpt-5")
    return name


def _json(parser: argparse.ArgumentParser, text: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        parser.error(f"the parameters are not JSON: {error}")


def _question(parser: argparse.ArgumentParser, text: str) -> str:
    if text == "-":
        if sys.stdin is None or sys.stdin.isatty():
            parser.error("what is the question? Give it in quotes, or pipe it in.")
        text = sys.stdin.read()
    if not text.strip():
        parser.error("the question is empty")
    if len(text) > LONGEST_QUESTION:
        parser.error(f"the question has {len(text):,} characters; at most {LONGEST_QUESTION:,} can be asked")
    if any("\ud800" <= character <= "\udfff" for character in text):  # how Python reads foreign bytes
        parser.error("the question is not UTF-8 text")
    return text


def _run(arguments: argparse.Namespace) -> int:
    from deskside.shell.paths import find_paths

    paths = find_paths(getattr(arguments, "data_dir", None))
    level = getattr(arguments, "log_level", "info").upper()
    if getattr(arguments, "offline", False):
        os.environ[OFFLINE] = "1"
    if arguments.command in ("backup", "restore"):
        from deskside.shell import backup

        (backup.back_up if arguments.command == "backup" else backup.restore)(paths, arguments)
        return 0
    if arguments.command == "ask":
        return _ask(arguments, paths, level)
    if arguments.command == "call":
        return _call(arguments, paths, level)
    if arguments.command == "grant":
        return _grant(arguments, paths, level)
    if arguments.command in ("export", "import"):
        from deskside.shell import transfer

        (transfer.export if arguments.command == "export" else transfer.import_)(paths, level, arguments)
        return 0
    if arguments.command == "replay":
        from deskside.shell.replay import replay

        return replay(paths, level, arguments)
    if arguments.command == "trace":
        if arguments.compare is None:
            from deskside.shell.trace import trace

            trace(paths, level, arguments)
        else:
            from deskside.shell.compare import compare

            compare(paths, level, arguments)
        return 0
    if arguments.command == "doctor":
        from deskside.shell.doctor import examine

        return examine(paths, level, as_json=arguments.json)
    if arguments.command == "rescue":
        from deskside.shell.rescue import rescue

        rescue(paths, arguments)
        return 0
    if arguments.command == "mcp":
        from deskside.shell.mcp_add import add

        add(paths, level, arguments)
        return 0
    if arguments.serve:
        from deskside.shell.running import serve

        return serve(paths, level, arguments.port or 0, with_metrics=arguments.metrics)
    from deskside.shell.running import open_window

    target = arguments.target if arguments.command == "open" else None
    if target is not None:
        from deskside.shell.open_target import target_of

        target = target_of(target)
    return open_window(paths, level, target)


def _ask(arguments: argparse.Namespace, paths: Paths, level: str) -> int:
    from deskside.shell.ask import ask
    from deskside.shell.running import session

    with session(paths, level) as client:
        ask(client, arguments.question, arguments.model, arguments.json, agent=arguments.agent)
    return 0


def _call(arguments: argparse.Namespace, paths: Paths, level: str) -> int:
    from deskside.shell.ask import json_for
    from deskside.shell.running import session

    with session(paths, level) as client:
        envelope = client.envelope(arguments.name, arguments.params)
    print(json_for(envelope, sys.stdout, indent=2), flush=True)
    if envelope["ok"]:
        return 0
    _complain(envelope["error"]["message"], envelope["error"]["hint"])
    return 1


def _grant(arguments: argparse.Namespace, paths: Paths, level: str) -> int:
    from deskside.shell.instance import FolderChange
    from deskside.shell.running import change_folder

    folder = os.path.realpath(os.path.expanduser(arguments.folder))
    print(change_folder(paths, level, FolderChange(folder, arguments.write, arguments.remove)), flush=True)
    return 0


def _complain(message: str, hint: str) -> None:
    sentence = message if message.endswith((".", "!", "?")) else f"{message}."
    print(f"deskside: {sentence} {hint}".rstrip(), file=sys.stderr, flush=True)
