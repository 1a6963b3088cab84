"""MCP servers: programs, here or elsewhere, that bring tools, texts and prompts of their own.

    proposal.py     what a server is started with, checked, and the question that the user is asked about it
    servers.py      `McpServers`: the servers of this installation, their connections, and what they offer
    connection.py   one server that is kept running: its state, its restarts, its log
    session.py      one conversation with a server, through the official SDK (heavy: imported on first use)
    stdio.py        a server that is a program on this machine; `lifeline.py` ends it with us
    http.py         a server that is somewhere else
    tool.py         a tool of a server, as the agent's loop takes it
    rows.py         what the page is told

Nothing that a server says is trusted: not its annotations (a tool that calls itself read-only still counts as
one that sends), not its names, not the size of what it writes, and not its definitions, which are pinned: one
that is new or changed is of no use to a model until the user has seen and accepted it.
"""
