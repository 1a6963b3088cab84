"""The gate and the ledger: nothing passes unseen, and nothing passes a closed gate.

What is elsewhere has names here that lead to servers of the test; the interpreter itself reports each connect.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from asked_runs import *  # noqa: F403
