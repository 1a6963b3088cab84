"""Recordings of runs: read as a story, exported, replayed, and cleared away when they are old."""
