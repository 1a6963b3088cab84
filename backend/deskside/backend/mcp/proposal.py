"""What an MCP server is started with, and the question that the user is asked before it is."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.keychain import LONGEST_SECRET
from deskside.backend.visible import made_visible

Transport = Literal["stdio", "http"]

# A person reads all of it before they say yes.
LONGEST_TEXT = 8_000

Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$")]
Argument = Annotated[str, msgspec.Meta(max_length=4_000)]
Value = Annotated[str, msgspec.Meta(max_length=4_000)]


class Variable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A variable of a program's environment, or a header of every request. `value` None keeps the secret that
    is stored already."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    value: Value | None = None
    is_secret: bool = True


class Proposal(msgspec.Struct, frozen=True):
    """A server as somebody wants it. `command` and `arguments` are of a program on this machine, `url` of a
    server elsewhere; of the two only the one that `transport` says."""

    name: str
    transport: Transport
    command: str = ""
    arguments: Sequence[str] = ()
    url: str = ""
    environment: Sequence[Variable] = ()
    headers: Sequence[Variable] = ()


class Question(msgspec.Struct, frozen=True):
    """What the user is asked in a dialog of the system. "No" is what happens without an answer."""

    title: str
    text: str
    accept_label: str


Confirm = Callable[[str, str, str], Awaitable[bool]]
"""Asks the user: title, text, the words on the button that says yes."""

# What a program needs to run at all. Nothing else of our own environment goes along: it holds keys.
KEPT: Mapping[str, str] = {
    "win32": "APPDATA COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA NUMBER_OF_PROCESSORS OS PATH PATHEXT"
    " PROCESSOR_ARCHITECTURE PROGRAMDATA PROGRAMFILES SYSTEMDRIVE SYSTEMROOT TEMP TMP USERNAME"
    " USERPROFILE WINDIR",
    "posix": "HOME LANG LC_ALL LC_CTYPE LOGNAME PATH SHELL TERM TMPDIR TZ USER",
}

# Their values decide which code is run, so they are shown whatever the form says.
LOADS_CODE = re.compile(
    r"(?i)^(LD_.*|DYLD_.*|NODE_(OPTIONS|PATH)|NPM_CONFIG_.*|PYTHON.*|PERL5?(OPT|LIB)|RUBY(OPT|LIB)|BASH_ENV|ENV"
    r"|PATH|PATHEXT|COMSPEC|SHELL|EDITOR|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GIT_.*|UV_.*|PIP_.*|DOTNET_.*"
    r"|DOCKER_HOST)$"
)
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# The transport's own.
OUR_HEADERS = re.compile(
    r"(?i)^(host|content-.*|transfer-encoding|connection|accept(-encoding)?|mcp-.*|last-event-id|te|upgrade)$"
)


def check(proposal: Proposal) -> None:
    """Raises InvalidRequest, with a sentence for the user, for what could not be run or not be shown."""
    if proposal.transport == "stdio":
        if not proposal.command.strip() or proposal.url or proposal.headers:
            raise InvalidRequest("A server on this computer needs a command.", hint="Type the command.")
        if any("\0" in text for text in (proposal.command, *proposal.arguments)):
            raise InvalidRequest("A command cannot hold a NUL character.", hint="Type it again.")
    else:
        if proposal.command or proposal.arguments or proposal.environment:
            raise InvalidRequest(
                "A server elsewhere has an address and no command.", hint="Correct the form."
            )
        _check_url(proposal.url)
    _check_variables(proposal.environment, VARIABLE_NAME)
    _check_variables(proposal.headers, HEADER_NAME)
    for header in proposal.headers:
        if OUR_HEADERS.match(header.name):
            raise InvalidRequest(f"The header {header.name} is set by Deskside.", hint="Leave it out.")
        if header.value and not (header.value.isascii() and header.value.isprintable()):
            raise InvalidRequest(
                f"The header {header.name} can hold Latin letters, digits and signs only.", hint="Correct it."
            )
    if len(_body(proposal, proposal.command)) > LONGEST_TEXT:
        raise InvalidRequest(
            "This command is too long to be read before it is run.",
            hint=f"Shorten it to {LONGEST_TEXT:,} characters; a script can hold the rest.",
        )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web, parts = False, urlsplit("")
    if not is_web or not url.isascii() or not url.isprintable() or any(sign in url for sign in ' <>\\"'):
        raise InvalidRequest(
            "This is not an address.", hint="It looks like https://mcp.example.com/mcp. Copy it again."
        )
    if parts.username is not None or parts.fragment:
        raise InvalidRequest(
            "An address with a name, a password or a # in it is not taken.",
            hint="Put a password into a header, where it is kept in your keychain.",
        )


def _check_variables(variables: Sequence[Variable], name_form: re.Pattern[str]) -> None:
    seen: set[str] = set()
    for variable in variables:
        name, value = variable.name, variable.value
        if not name_form.fullmatch(name) or name.upper() in seen:
            raise InvalidRequest(
                f"{made_visible(name)!r} cannot be a name here, or is there twice.", hint="Correct it."
            )
        seen.add(name.upper())
        if value is None and not variable.is_secret:
            raise InvalidRequest(f"{name} has no value.", hint="Type it, or leave the line out.")
        if value is not None and any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise InvalidRequest(
                f"The value of {name} has more than one line.", hint="Put it into a file, and give its name."
            )
        if variable.is_secret and LOADS_CODE.match(name):
            raise InvalidRequest(
                f"{name} can decide which code is run, so its value is shown and not kept secret.",
                hint="Switch “Secret” off for it.",
            )
        if variable.is_secret and value is not None and not 0 < len(value) <= LONGEST_SECRET:
            raise InvalidRequest(
                f"The value of {name} is empty, or longer than {LONGEST_SECRET:,} characters.",
                hint="Copy it again.",
            )


def environment(
    variables: Mapping[str, str], ours: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> dict[str, str]:
    """The environment of a server's program: what any program needs, and what the user gave this one."""
    kept = KEPT["win32" if platform == "win32" else "posix"].split()
    # A function of a shell ("() {…}") is code.
    own = {name: text for name, text in ours.items() if name.upper() in kept and not text.startswith("()")}
    return {**own, **variables}


def find_program(proposal: Proposal) -> str:
    """Where the command is. Raises InvalidRequest where there is none that can be run."""
    given = {variable.name: variable.value or "" for variable in proposal.environment}
    found = shutil.which(proposal.command, path=environment(given).get("PATH"))
    if found is None:
        raise InvalidRequest(
            f"There is no program {made_visible(proposal.command)!r} on this computer.",
            hint="Install it, or type its whole path.",
        )
    return os.path.abspath(found)


def question(proposal: Proposal, program: str, came_from: str, *, is_change: bool) -> Question:
    """What the user is asked: everything that would be run, with nothing in it that cannot be seen.

    `program` is where the command was found; `came_from` says who asks for it.
    """
    name = f"“{proposal.name}”"
    if proposal.transport == "stdio":
        what = (
            f"Let Deskside run this program as the MCP server {name}? It can do whatever you can do on this "
            "computer: read, change and delete your files, and send them away. It is started again whenever "
            "Deskside is."
        )
        accept = "Run it"
    else:
        what = (
            f"Let Deskside connect to the MCP server {name}? It is told what a model asks of it, and its "
            "answers are read by the model."
        )
        accept = "Connect"
    if is_change:
        what += " It takes the place of what was there under this name."
    caution = "Say yes only if you know it and trust who made it."
    text = f"{what}\n\n{_body(proposal, program)}\n\nAsked for by: {came_from}\n\n{caution}"
    title = f"Change the MCP server {name}?" if is_change else f"Add the MCP server {name}?"
    return Question(title, text, accept)


def _body(proposal: Proposal, program: str) -> str:
    lines: list[str] = []
    if proposal.transport == "stdio":
        lines.append(f"Command: {_quoted(proposal.command)}")
        if program != proposal.command:
            lines.append(f"Found at: {_quoted(program)}")
        lines += [
            f"Argument {number}: {_quoted(text)}" for number, text in enumerate(proposal.arguments, start=1)
        ]
        lines += [f"Variable {_assigned(variable)}" for variable in proposal.environment]
    else:
        lines.append(f"Address: {made_visible(proposal.url)}")
        if proposal.url.startswith("http:") and not _is_here(urlsplit(proposal.url).hostname or ""):
            lines.append("Nothing on the way is encrypted: others in the network can read and change it.")
        lines += [f"Header {_assigned(header)}" for header in proposal.headers]
    return "\n".join(lines)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _assigned(variable: Variable) -> str:
    if not variable.is_secret:
        return f"{variable.name} = {_quoted(variable.value or '')}"
    return f"{variable.name} = (secret, {'as it is stored' if variable.value is None else 'not shown here'})"


def _quoted(text: str) -> str:
    """In quotation marks, so that spaces at its ends and empty ones are seen."""
    return '"' + made_visible(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
