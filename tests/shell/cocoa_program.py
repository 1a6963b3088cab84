"""The program in a window of Cocoa, where there is no Mac: pywebview's own code for macOS and ours, on
stand-ins for the few classes of AppKit, Foundation and WebKit that they use.

    python cocoa_program.py ADDRESSES [arguments of deskside]

ADDRESSES is a JSON list of what the system starts the program with. What happens to it afterwards comes as
lines of JSON, each answered with a line that says how things are: {"open": [address …]}, {"activate": bool},
{"choose": "Window/Minimize"}, what the page does ({"navigate": address} and the like), {"look": null}.
Nothing answers when the program has ended.

A stand-in does what Apple's documentation says of it. What it does not know it refuses, as Objective-C does;
setters that only change how something looks are taken and forgotten.
"""

from __future__ import annotations

import builtins
import json
import os
import queue
import runpy
import sys
import threading
import traceback
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

faults: list[str] = []  # what was raised into Cocoa
front: list[bool] = []  # what the window was told


class NSObject:
    @classmethod
    def alloc(cls) -> Any:
        return cls()

    def init(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("set") and name.endswith("_"):
            return lambda *_: None
        raise AttributeError(f"unrecognized selector {name} sent to {type(self).__name__}")


class Rect(SimpleNamespace):
    def __init__(self, x: float, y: float, width: float, height: float) -> None:
        super().__init__(origin=SimpleNamespace(x=x, y=y), size=SimpleNamespace(width=width, height=height))


SCREEN = Rect(0, 0, 1440, 900)


class NSScreen(NSObject):
    @classmethod
    def mainScreen(cls) -> NSScreen:
        return cls()

    @classmethod
    def screens(cls) -> list[NSScreen]:
        return [cls()]

    def frame(self) -> Rect:
        return SCREEN

    def backingScaleFactor(self) -> float:
        return 2.0


class NSNotificationCenter(NSObject):
    """Blocks are called on the thread that posts, in the order in which they came."""

    def __init__(self) -> None:
        self._observers: list[tuple[str, Any, Callable[[Any], None]]] = []

    @classmethod
    def defaultCenter(cls) -> NSNotificationCenter:
        return center

    def addObserverForName_object_queue_usingBlock_(
        self, name: str, source: Any, wanted_queue: None, block: Callable[[Any], None]
    ) -> object:
        self._observers.append((name, source, block))
        return block

    def post(self, name: str, source: Any) -> None:
        for wanted, of, block in self._observers:
            if wanted == name and of in (None, source):
                block(SimpleNamespace(object=lambda: source))


center = NSNotificationCenter()


class NSMenuItem(NSObject):
    def __init__(self, title: str = "", action: str | None = None, key: str = "") -> None:
        self._title, self.action, self._key = title, action, key
        self._submenu: NSMenu | None = None
        self._target: Any = None
        self._represented: Any = None
        self.is_separator = False

    @classmethod
    def separatorItem(cls) -> NSMenuItem:
        line = cls()
        line.is_separator = True
        return line

    def initWithTitle_action_keyEquivalent_(self, title: str, action: str | None, key: str) -> NSMenuItem:
        self._title, self.action, self._key = title, action, key
        return self

    def setTitle_(self, title: str) -> None:
        self._title = title

    def title(self) -> str:
        return self._title

    def setSubmenu_(self, menu: NSMenu) -> None:
        self._submenu = menu

    def submenu(self) -> NSMenu | None:
        return self._submenu

    def setKeyEquivalent_(self, key: str) -> None:
        self._key = key

    def setTarget_(self, target: Any) -> None:
        self._target = target

    def setRepresentedObject_(self, represented: Any) -> None:
        self._represented = represented

    def representedObject(self) -> Any:
        return self._represented

    def choose(self) -> None:
        assert self.action is not None
        perform(self.action, self, self._target)

    def described(self) -> str:
        return "-" if self.is_separator else f"{self._title} ⌘{self._key}" if self._key else self._title


class NSMenu(NSObject):
    def __init__(self) -> None:
        self._title = ""
        self._items: list[NSMenuItem] = []

    def initWithTitle_(self, title: str) -> NSMenu:
        self._title = title
        return self

    def setTitle_(self, title: str) -> None:
        self._title = title

    def title(self) -> str:
        return self._title

    def itemArray(self) -> list[NSMenuItem]:
        return list(self._items)

    def numberOfItems(self) -> int:
        return len(self._items)

    def addItem_(self, item: NSMenuItem) -> None:
        self._items.append(item)

    def insertItem_atIndex_(self, item: NSMenuItem, index: int) -> None:
        assert 0 <= index <= len(self._items), "NSInternalInconsistencyException"
        self._items.insert(index, item)

    def addItemWithTitle_action_keyEquivalent_(self, title: str, action: str | None, key: str) -> NSMenuItem:
        return self.insertItemWithTitle_action_keyEquivalent_atIndex_(title, action, key, len(self._items))

    def insertItemWithTitle_action_keyEquivalent_atIndex_(
        self, title: str, action: str | None, key: str, index: int
    ) -> NSMenuItem:
        item = NSMenuItem(title, action, key)
        self.insertItem_atIndex_(item, index)
        return item

    def removeAllItems(self) -> None:
        self._items.clear()


class NSWindow(NSObject):
    """One that is in the Dock is not visible. Made key when it is shown and when it leaves the Dock."""

    def initWithContentRect_styleMask_backing_defer_(
        self, rect: Rect, mask: int, backing: int, is_deferred: bool
    ) -> NSWindow:
        self._frame = rect
        self._delegate: Any = None
        self._is_visible = self._is_miniaturized = False
        application.windows.append(self)
        return self

    def setDelegate_(self, delegate: Any) -> None:
        self._delegate = delegate

    def frame(self) -> Rect:
        return self._frame

    def setFrame_display_(self, frame: Rect, is_drawn: bool) -> None:
        self._frame = frame

    def setFrameTopLeftPoint_(self, point: Any) -> None: ...

    def cascadeTopLeftFromPoint_(self, point: Any) -> Any:
        return point

    def screen(self) -> NSScreen:
        return NSScreen()

    def isZoomed(self) -> bool:
        return False

    def isVisible(self) -> bool:
        return self._is_visible

    def contentView(self) -> Any:
        view = SimpleNamespace(lastObject=NSObject)
        return SimpleNamespace(superview=lambda: SimpleNamespace(subviews=lambda: view))

    def makeKeyAndOrderFront_(self, sender: Any) -> None:
        self._is_visible, self._is_miniaturized = True, False
        self._tell("NSWindowDidBecomeKeyNotification", "windowDidBecomeKey_")

    def miniaturize_(self, sender: Any) -> None:
        self._is_visible, self._is_miniaturized = False, True
        self._tell("NSWindowDidMiniaturizeNotification", "windowDidMiniaturize_")

    def deminiaturize_(self, sender: Any) -> None:
        if self._is_miniaturized:
            self._tell("NSWindowDidDeminiaturizeNotification", "windowDidDeminiaturize_")
            self.makeKeyAndOrderFront_(sender)

    def close(self) -> None:
        self._is_visible = False
        self._tell("NSWindowWillCloseNotification", "windowWillClose_")

    def performClose_(self, sender: Any) -> None:
        if self._delegate.windowShouldClose_(self):
            self.close()

    performMiniaturize_ = miniaturize_

    def performZoom_(self, sender: Any) -> None: ...

    def undo_(self, sender: Any) -> None: ...

    def redo_(self, sender: Any) -> None: ...

    def _tell(self, notification: str, method: str) -> None:
        getattr(self._delegate, method)(SimpleNamespace(object=lambda: self))
        center.post(notification, self)


class NSURL(NSObject):
    """A file's, as Finder may hand it over: by its number on the disk, until it is asked for the path."""

    def __init__(self, address: str = "", path_address: str | None = None) -> None:
        self._address, self._path_address = address, path_address

    @classmethod
    def URLWithString_(cls, address: str) -> NSURL:
        return cls(address)

    @classmethod
    def handed_over(cls, address: str) -> NSURL:
        return cls("file:///.file/id=6571367.8635", address) if address.startswith("file:") else cls(address)

    def absoluteString(self) -> str:
        return self._address

    def filePathURL(self) -> NSURL | None:
        return None if self._path_address is None else NSURL(self._path_address)


class NSApplication(NSObject):
    """Its loop takes functions. A delegate is asked what it answers when it is set, and never again."""

    def __init__(self) -> None:
        self.windows: list[NSWindow] = []
        self.asked_to_open: list[list[str]] = []  # by the system, before there was a loop
        self.events: queue.Queue[Callable[[], None]] = queue.Queue()
        self._answers: dict[str, Callable[..., Any]] = {}
        self._is_running = self._is_active = False
        self._main_menu = self._windows_menu = None

    @classmethod
    def sharedApplication(cls) -> NSApplication:
        return application

    def setDelegate_(self, delegate: Any) -> None:
        names = [] if delegate is None else [name for name in dir(delegate) if name.startswith("application")]
        self._answers = {name: getattr(delegate, name) for name in names}

    def isRunning(self) -> bool:
        return self._is_running

    def isActive(self) -> bool:
        return self._is_active

    def mainMenu(self) -> Any:
        return self._main_menu

    def setMainMenu_(self, menu: Any) -> None:
        self._main_menu = menu

    def windowsMenu(self) -> Any:
        return self._windows_menu

    def setWindowsMenu_(self, menu: Any) -> None:
        self._windows_menu = menu

    def activateIgnoringOtherApps_(self, is_forced: bool) -> None:
        self.events.put(lambda: self.activate(True))

    def activate(self, is_active: bool) -> None:
        if is_active != self._is_active:
            self._is_active = is_active
            name = "DidBecomeActive" if is_active else "DidResignActive"
            center.post(f"NSApplication{name}Notification", self)

    def open(self, addresses: list[str]) -> None:
        if "application_openURLs_" not in self._answers:
            raise LookupError("The document could not be opened.")  # which AppKit says in a dialog
        self._answers["application_openURLs_"](self, [NSURL.handed_over(each) for each in addresses])

    def arrangeInFront_(self, sender: Any) -> None: ...

    def run(self) -> None:
        self._is_running = True
        threading.Thread(target=listen, daemon=True).start()
        for addresses in self.asked_to_open:
            self._guarded(lambda addresses=addresses: self.open(addresses))
        while self._is_running:
            self._guarded(self.events.get())

    def stop_(self, sender: Any) -> None:
        self._is_running = False

    def abortModal(self) -> None: ...

    def terminate_(self, sender: Any) -> None:
        if self._answers["applicationShouldTerminate_"](self):
            if "applicationWillTerminate_" in self._answers:
                self._answers["applicationWillTerminate_"](SimpleNamespace(object=lambda: self))
            os._exit(0)  # as C's exit() does: nothing of Python's is run any more

    def _guarded(self, event: Callable[[], None]) -> None:
        try:
            event()
        except Exception:
            faults.append(traceback.format_exc())


application = NSApplication()


def perform(selector: str, sender: Any, target: Any = None) -> None:
    """To the target, else to the first that answers it: the window that has the keyboard, the application."""
    method = selector.replace(":", "_")
    for each in [target] if target is not None else [*application.windows, application]:
        if (found := getattr(each, method, None)) is not None:
            found(sender)
            return
    raise LookupError(f"nobody answers {selector}")


class WKWebView(NSObject):
    """Loads nothing, but asks its delegates what it may, and keeps what it was let load."""

    def initWithFrame_configuration_(self, frame: Rect, configuration: Any) -> WKWebView:
        self._configuration = configuration
        self._navigates: Any = None
        self._shows: Any = None
        self.loaded: list[str] = []
        self.permissions: list[int] = []
        views.append(self)
        return self

    def configuration(self) -> Any:
        return self._configuration

    def setNavigationDelegate_(self, delegate: Any) -> None:
        self._navigates = delegate

    def setUIDelegate_(self, delegate: Any) -> None:
        self._shows = delegate

    def loadHTMLString_baseURL_(self, text: str, base: Any) -> None:
        self.navigate("about:blank")

    def loadRequest_(self, request: Any) -> None:
        self.navigate(request.URL().absoluteString())

    def removeFromSuperview(self) -> None: ...

    def URL(self) -> NSURL | None:
        return NSURL(self.loaded[-1]) if self.loaded else None

    def navigate(self, address: str, is_download: bool = False) -> None:
        if self._navigates is None:
            return  # its window is being closed
        decisions: list[int] = []
        self._navigates.webView_decidePolicyForNavigationAction_decisionHandler_(
            self, action(address, is_download), decisions.append
        )
        (decision,) = decisions  # WebKit ends the program where it is not told, or told twice
        if decision == 1:
            self.loaded.append(address)

    def download(self, address: str) -> None:
        self.navigate(address, is_download=True)

    def open_window(self, address: str) -> None:
        opened = self._shows.webView_createWebViewWithConfiguration_forNavigationAction_windowFeatures_(
            self, self._configuration, action(address), None
        )
        assert opened is None

    def ask_for_camera(self, address: str) -> None:
        self._shows.webView_requestMediaCapturePermissionForOrigin_initiatedByFrame_type_decisionHandler_(
            self, address, None, 0, self.permissions.append
        )

    def lose_process(self, _: None) -> None:
        self._navigates.webViewWebContentProcessDidTerminate_(self)


views: list[WKWebView] = []


def action(address: str, is_download: bool = False) -> Any:
    return SimpleNamespace(
        request=lambda: NSURLRequest(NSURL(address)), shouldPerformDownload=lambda: is_download
    )


class NSURLRequest(NSObject):
    def __init__(self, url: NSURL) -> None:
        self._url = url

    @classmethod
    def requestWithURL_(cls, url: NSURL) -> NSURLRequest:
        return cls(url)

    def URL(self) -> NSURL:
        return self._url


class Scripts(NSObject):
    def addScriptMessageHandler_name_(self, handler: Any, name: str) -> None: ...

    def removeScriptMessageHandlerForName_(self, name: str) -> None: ...


class WKWebViewConfiguration(NSObject):
    def userContentController(self) -> Scripts:
        return Scripts()

    def preferences(self) -> NSObject:
        return NSObject()


class WKWebsiteDataStore(NSObject):
    @classmethod
    def defaultDataStore(cls) -> WKWebsiteDataStore:
        return cls()

    @classmethod
    def allWebsiteDataTypes(cls) -> list[str]:
        return []

    def removeDataOfTypes_modifiedSince_completionHandler_(
        self, types: list[str], since: Any, done: Callable[[], None]
    ) -> None:
        done()


class NSUserDefaults(NSObject):
    @classmethod
    def standardUserDefaults(cls) -> NSUserDefaults:
        return cls()

    def stringForKey_(self, key: str) -> str | None:
        return None


def add_methods(cls: type, methods: list[Callable[..., Any]]) -> None:
    """objc.classAddMethods: the method's name is its selector, one argument for each colon."""
    assert issubclass(cls, NSObject), "not an Objective-C class"
    for method in methods:
        if method.__code__.co_argcount != 1 + method.__name__.count("_"):
            raise TypeError(f"BadPrototypeError: {method.__name__}")
        setattr(cls, method.__name__, method)


def modules() -> dict[str, ModuleType]:
    numbers = [
        "NSTitledWindowMask",
        "NSClosableWindowMask",
        "NSMiniaturizableWindowMask",
        "NSResizableWindowMask",
        "NSBackingStoreBuffered",
        "NSWindowAnimationBehaviorDocumentWindow",
        "NSAlternateKeyMask",
        "NSCommandKeyMask",
        "NSControlKeyMask",
    ]
    notifications = [
        "NSApplicationDidBecomeActiveNotification",
        "NSApplicationDidResignActiveNotification",
        "NSWindowDidBecomeKeyNotification",
        "NSWindowDidMiniaturizeNotification",
    ]
    appkit = {
        "NSBundle": SimpleNamespace(
            mainBundle=lambda: SimpleNamespace(localizedInfoDictionary=lambda: None, infoDictionary=dict)
        ),
        "NSColor": SimpleNamespace(
            windowBackgroundColor=lambda: None, colorWithSRGBRed_green_blue_alpha_=lambda *_: None
        ),
        "NSPopUpButton": NSObject,
        "NSSize": lambda *given: given,
        "NSPoint": lambda *given: given,
        "NSMakeRect": Rect,
        **{name: 1 << place for place, name in enumerate(numbers)},
        **{name: name for name in notifications},
        **{
            each.__name__: each
            for each in (
                NSObject,
                NSScreen,
                NSNotificationCenter,
                NSMenu,
                NSMenuItem,
                NSWindow,
                NSApplication,
            )
        },
    }
    foundation = {
        "YES": True,
        "NO": False,
        "NSMakePoint": appkit["NSPoint"],
        "NSURL": NSURL,
        "NSURLRequest": NSURLRequest,
        "NSUserDefaults": NSUserDefaults,
    }
    webkit = {
        "NSDate": SimpleNamespace(dateWithTimeIntervalSince1970_=lambda seconds: None),
        **{each.__name__: each for each in (WKWebView, WKWebViewConfiguration, WKWebsiteDataStore)},
    }
    helper = {
        "callAfter": lambda call, *given: application.events.put(lambda: call(*given)),
        "installMachInterrupt": lambda: None,
    }
    objc = {"nil": None, "super": builtins.super, "classAddMethods": add_methods}
    contents = {"AppKit": appkit, "Foundation": foundation, "WebKit": webkit, "objc": objc}
    made = {name: ModuleType(name) for name in [*contents, "PyObjCTools", "PyObjCTools.AppHelper"]}
    for name, content in {**contents, "PyObjCTools.AppHelper": helper}.items():
        vars(made[name]).update(content)
    vars(made["PyObjCTools"])["AppHelper"] = made["PyObjCTools.AppHelper"]
    return made


def listen() -> None:
    for line in sys.stdin:
        [(what, given)] = json.loads(line).items()
        done = {
            "open": application.open,
            "activate": application.activate,
            "choose": choose,
            "navigate": views[0].navigate,
            "download": views[0].download,
            "open_window": views[0].open_window,
            "ask_for_camera": views[0].ask_for_camera,
            "lose_process": views[0].lose_process,
            "look": lambda _: None,
        }[what]
        application.events.put(lambda done=done, given=given: done(given))
        application.events.put(answer)


def choose(path: str) -> None:
    wanted_menu, _, wanted = path.partition("/")
    for menu in application.mainMenu().itemArray():
        for item in menu.submenu().itemArray():
            if (menu.submenu().title(), item.title()) == (wanted_menu, wanted):
                item.choose()
                return
    raise LookupError(path)


def answer() -> None:
    menus = [menu.submenu() for menu in application.mainMenu().itemArray()]
    windows = application.windowsMenu()
    described = {
        "menus": [[menu.title(), *(item.described() for item in menu.itemArray())] for menu in menus],
        "windows_menu": None if windows is None else windows.title(),
        "front": front[-1],
        "is_visible": application.windows[0].isVisible(),
        "loaded": views[0].loaded,
        "permissions": views[0].permissions,
        "faults": faults,
    }
    sys.__stdout__.write(json.dumps(described) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def main() -> None:
    application.asked_to_open = [[each] for each in json.loads(sys.argv[1])]
    sys.argv[0:2] = ["deskside"]
    sys.modules.update(modules())

    import webview

    from deskside.shell import engine, hardening_cocoa

    os.environ.pop("DESKSIDE_WINDOW", None)
    engine.choose_engine = lambda *_: "hardening_cocoa"
    # Only on a Mac would it take Cocoa.
    webview.initialize = lambda gui=None: sys.modules["webview.platforms.cocoa"]  # type: ignore[attr-defined]
    watch = hardening_cocoa.watch_front

    def watch_too(window: Any, tell: Callable[[bool], None]) -> None:
        def told(is_in_front: bool) -> None:
            front.append(is_in_front)
            tell(is_in_front)

        watch(window, told)

    hardening_cocoa.watch_front = watch_too
    runpy.run_module("deskside", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
