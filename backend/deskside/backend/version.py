"""The one place that says which version this is, from the installed package's metadata."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("deskside")
except PackageNotFoundError:  # a checkout that was not installed
    VERSION = "0.0.0"
