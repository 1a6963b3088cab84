"""An agent as one JSON file, to keep or to give to somebody.

The format is published as build/schemas/agent-1.json, which is written from the structs here. A file holds no
ids, no keys, and nothing that the user allowed the agent; models, tools and sub-agents are named.

A file may come from anybody: it is read strictly, and what a person could not see in the instructions is
taken out and told.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from deskside.backend.agent.invisible import without_invisible
from deskside.backend.agent.limits import AgentLimits
from deskside.backend.agent.output_schema import check_output_schema
from deskside.backend.errors import InvalidRequest
from deskside.backend.store.agents import (
    STEP_LIMIT,
    Agent,
    AgentModel,
    AgentName,
    Effort,
    FallbackModels,
    Icon,
    Instructions,
    Label,
    OutputTokens,
    StepLimit,
    Subagents,
    Temperature,
    ToolNames,
)

FORMAT: Final = "deskside-agent"
VERSION: Final = 1
# Instructions may be 200,000 characters, each up to 12 bytes when it is written as an escape.
LARGEST_BYTES = 3_000_000

# A line break and a tab can be seen.
_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class AgentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An agent of Deskside."""

    format: Annotated[Literal["deskside-agent"], Meta(description="Says what the file is.")]
    version: Annotated[Literal[1], Meta(description="The version of this format.")]
    name: Annotated[
        AgentName, Meta(description="What others call it: small letters, digits, - and _, unique.")
    ]
    label: Annotated[Label, Meta(description="What the user sees. Empty: the name.")] = ""
    icon: Annotated[Icon, Meta(description="One emoji, or empty.")] = ""
    instructions: Annotated[
        Instructions,
        Meta(
            description="The system prompt. {{date}}, {{user}}, {{os}} and the user's own fields are put in."
        ),
    ] = ""
    model: Annotated[
        AgentModel | None, Meta(description="As provider/model. null: the conversation's model.")
    ] = None
    fallback_models: Annotated[
        FallbackModels, Meta(description="Models to try in this order when the first one fails.")
    ] = []
    temperature: Annotated[Temperature | None, Meta(description="null: the provider's own.")] = None
    max_output_tokens: Annotated[
        OutputTokens | None,
        Meta(description="The longest answer of one model call. null: the provider's own."),
    ] = None
    reasoning_effort: Annotated[
        Effort | None, Meta(description="How long the model thinks. null: the provider's own.")
    ] = None
    output_schema: Annotated[
        dict[str, Any] | None,
        Meta(description="A JSON Schema (2020-12) of an object that every answer must be. null: free text."),
    ] = None
    step_limit: Annotated[StepLimit, Meta(description="The most model calls of one run.")] = STEP_LIMIT
    tools: Annotated[
        ToolNames | None, Meta(description="Names of the tools it may use. null: every enabled tool.")
    ] = None
    subagents: Annotated[Subagents, Meta(description="Names of the agents that it may delegate to.")] = []
    limits: Annotated[AgentLimits, Meta(description="What it may use. null in a limit: no limit.")] = (
        AgentLimits()
    )


class ReadAgent(msgspec.Struct, frozen=True):
    """An agent out of a file. `notes` are sentences that the user should read."""

    agent: Agent
    notes: list[str]


class _Header(msgspec.Struct):
    format: str = ""
    version: int = 0


_decode = msgspec.json.Decoder(AgentFile).decode
_decode_header = msgspec.json.Decoder(_Header).decode
_encode = msgspec.json.Encoder().encode

# What a pattern means, by the field that has it.
_MEANINGS = {
    "name": "its name may hold small letters, digits, - and _, begins with a letter, and has at most 48",
    "model": "a model is written as provider/model",
    "fallback_models": "a model is written as provider/model",
    "tools": "a tool's name may hold letters, digits and . _ - : /",
    "subagents": "an agent's name may hold small letters, digits, - and _",
}


def exported(agent: Agent) -> str:
    """The file's text: what is not as in a new agent. Whether it is active is not in it."""
    new = Agent(name=agent.name, is_active=agent.is_active)
    names = [name for name in Agent.__struct_fields__ if getattr(agent, name) != getattr(new, name)]
    fields = {name: getattr(agent, name) for name in names}
    encoded = _encode(AgentFile(format=FORMAT, version=VERSION, name=agent.name, **fields))
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def read(text: str) -> ReadAgent:
    """Read a file's text. Raises InvalidRequest with a sentence for anything that is not such a file."""
    if len(text) > LARGEST_BYTES:
        raise _refused("it is too large for one")
    file = _read_file(text)
    if file.output_schema is not None:
        check_output_schema(file.output_schema)
    instructions = without_invisible(_control.sub("", file.instructions))
    hidden = len(file.instructions) - len(instructions)
    notes = []
    if hidden:
        what = "1 character was" if hidden == 1 else f"{hidden} characters were"
        notes.append(
            f"{what} taken out of the instructions, because a person cannot see such. Read the instructions "
            "before you use the agent."
        )
    fields = {
        name: getattr(file, name)
        for name in AgentFile.__struct_fields__
        if name not in ("format", "version", "instructions")
    }
    return ReadAgent(Agent(instructions=instructions, **fields), notes)


def is_agent(content: bytes) -> bool:
    """Does a file of this content say that it is an agent's? It can still be a bad one."""
    try:
        return _decode_header(content.removeprefix(BOM_UTF8)).format == FORMAT
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def read_text(path: Path) -> str:
    """The text of a file. Raises InvalidRequest for one that cannot be read or is no text."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequest(
            f"The file could not be read: {error.strerror}.", hint="Choose another one."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            "This is not the file of an agent: it is no text.", hint="Choose another one."
        ) from error


def _read_file(text: str) -> AgentFile:
    try:
        header = _decode_header(text)
        if header.format != FORMAT:
            raise _refused(f'it does not say "format": "{FORMAT}"')
        if header.version > VERSION:
            raise InvalidRequest(
                f"This agent's file has version {header.version}; this Deskside reads version {VERSION}.",
                hint="Install the newest Deskside.",
            )
        return _decode(text)
    except msgspec.ValidationError as error:
        raise _refused(_meaning(str(error))) from error
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise _refused("it is not JSON") from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error


def _meaning(problem: str) -> str:
    """msgspec's sentence, or a plainer one where that is about a pattern."""
    place = re.search(r"`\$\.(\w+)", problem)
    if "matching regex" in problem and place is not None and place[1] in _MEANINGS:
        return _MEANINGS[place[1]]
    return problem[:1].lower() + problem[1:]


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"This is not the file of an agent: {problem}.", hint="Choose a file that Deskside has exported."
    )
