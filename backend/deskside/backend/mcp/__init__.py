"""MCP servers: programs, here or elsewhere, that bring tools, texts and prompts of their own.

    proposal.py        what a server is started with, checked, and the question that the user is asked
    servers.py         `McpServers`: the servers of this installation, and what they offer
    connection.py      one server that is kept running: its state, its restarts, its log
    server_secrets.py  what is secret about a server, in the keychain
    sign_ins.py        the sign-ins that wait for the user
    tool.py            a tool of a server, as the agent's loop takes it
    rows.py            what the page is told; `shown.py` makes it of what a server says

Through the official SDK, which takes half a second to import and so is on first use:

    session.py         one conversation with a server
    calls.py           the calls of its tools that are under way, and what it asks the user meanwhile
    stdio.py           a server that is a program on this machine; `lifeline.py` ends it with us
    http.py            a server that is somewhere else
    oauth.py           requests with the tokens of a sign-in
    sign_in.py         how it comes about; `redirect.py` is where the browser comes back to
    failures.py        what can go wrong there, and how that is said

Nothing that a server says is trusted: not its annotations (a tool that calls itself read-only still counts as
one that sends), not its names, not the size of what it writes, and not its definitions, which are pinned: one
that is new or changed is of no use to a model until the user has seen and accepted it.
"""
