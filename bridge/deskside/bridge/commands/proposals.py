"""What links and files from outside propose. No command makes one: they come from the system, or from the
user's terminal over the control socket."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.app import App
from deskside.backend.proposal import Proposal
from deskside.bridge.registry import command


class ProposalId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


@command
async def waiting(app: App) -> list[Proposal]:
    """Those that the user has not seen yet, in the order in which they came."""
    return app.proposals.waiting


@command
async def put_away(app: App, params: ProposalId) -> None:
    """The user has seen it. Nothing happens where it is gone."""
    app.proposals.put_away(params.id)
