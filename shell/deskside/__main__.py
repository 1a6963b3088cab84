"""`python -m deskside`, and what the programs that Briefcase makes start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from deskside.backend.python_children import FILES, IS_EMBEDDED, ROLE, play_role, take_streams

if IS_EMBEDDED:
    # For this start alone (python_children.py): another program of Briefcase's, started here, would obey.
    os.environ.pop("BRIEFCASE_MAIN_MODULE", None)
    if sys.argv[1:2] == [ROLE]:
        shell = Path(__file__).with_name("shell")
        files = (*FILES, shell / "engine_probe.py", shell / "error_dialog.py")
        play_role("".join(sys.argv[2:3]), sys.argv[3:], files)
        sys.exit()
    take_streams()

from deskside.shell.cli import main

sys.exit(main())
