"""`python -m deskside`."""

from __future__ import annotations

import sys

from deskside.shell.cli import main

sys.exit(main())
