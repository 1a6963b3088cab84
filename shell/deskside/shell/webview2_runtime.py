"""Whether Windows has the WebView2 runtime, which draws the window there.

Windows 11 brings it, most of Windows 10 has got it by an update. Where it is missing nothing can be shown but
a dialog of the system's (message_box.py), so that says where to get it. Not run on Windows yet.

Source: Microsoft Learn, "Distribute your app and the WebView2 Runtime", "Detect if a WebView2 Runtime is
already installed".
"""

from __future__ import annotations

from typing import Any

from deskside.backend.errors import NotFound

# Microsoft's small "Evergreen" installer: it fetches the newest runtime, which Windows then keeps up to date.
EVERGREEN = "https://go.microsoft.com/fwlink/p/?LinkId=2124703"
HINT = f"Install it from {EVERGREEN}, then start Deskside again."
_RUNTIME = r"Microsoft\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}"
# For everybody on a 64-bit Windows and on a 32-bit one, and for this user alone.
_PLACES = (
    ("HKEY_LOCAL_MACHINE", rf"SOFTWARE\WOW6432Node\{_RUNTIME}"),
    ("HKEY_LOCAL_MACHINE", rf"SOFTWARE\{_RUNTIME}"),
    ("HKEY_CURRENT_USER", rf"Software\{_RUNTIME}"),
)


def runtime_version(registry: Any) -> str | None:
    """The installed version, or None. `registry` is the module winreg."""
    for root, place in _PLACES:
        try:
            with registry.OpenKey(getattr(registry, root), place) as key:
                version = registry.QueryValueEx(key, "pv")[0]
        except OSError:
            continue
        # What an installation that was taken back, or broke off, leaves behind.
        if isinstance(version, str) and version not in ("", "0.0.0.0"):
            return version
    return None


def require_runtime(registry: Any) -> None:
    """Raises NotFound, with the address of the installer, where the runtime is missing."""
    if runtime_version(registry) is None:
        raise NotFound("Deskside's window needs Microsoft's WebView2 runtime, which is missing.", hint=HINT)
