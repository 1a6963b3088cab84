"""How the program is doing: what it uses of the machine, and how long what it does takes.

    sampler.py    reads the machine and our own processes, on a thread of its own
    samples.py    one reading, and the ranges of many
    timings.py    how long each command, call of a provider, tool and store function took
    metrics.py    all of it together: the last samples, the history in the store, and who looks on

Nothing here holds text of the user's: names, counts, times and bytes only.
"""
