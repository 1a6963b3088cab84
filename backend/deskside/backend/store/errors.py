"""The error log that the user can look at: what failed, where, and in which request."""

from __future__ import annotations
