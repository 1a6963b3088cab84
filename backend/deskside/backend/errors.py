"""What can go wrong, as the user would put it.

    AppError
    ├── InvalidRequest        what was asked for cannot be                     correct it
    │   └── MalformedRequest      the window sent something we cannot read         our bug
    ├── BadSetting            what was typed cannot be the value of a setting  correct it
    ├── NotFound              the row is gone                                  reload
    ├── Conflict              the row changed since it was read                reload
    ├── Cancelled             the caller gave up on the call                   nothing to do
    ├── NoKey                 no API key for this provider                     open settings
    ├── KeychainUnavailable   the system keychain is missing, locked or slow   unlock it, or choose the file
    ├── NoModel               nothing is configured to answer with             choose a model
    ├── ProviderError         the provider answered with an error
    │   ├── BadKey                the key was refused                          check the key
    │   ├── UnknownModel          the provider does not know this model        choose another
    │   ├── RateLimited           carries retry_after_s                        wait
    │   ├── Overloaded            5xx, or "overloaded"                         retry
    │   ├── ContextTooLong        the conversation does not fit                start a new one, or cut
    │   ├── AnswerCut             a limit ended the answer                     Continue
    │   ├── OutputInvalid         the answer does not fit the agent's schema       retry
    │   ├── ContentRefused        the provider's content policy                rephrase
    │   ├── RequestRefused        any other 4xx                                read what it says
    │   ├── NoNetwork             could not connect                            check the network
    │   │   └── NoAnswer              connected, and it ended before a word        retry
    │   ├── StreamDropped         the answer broke off                         Continue or Retry
    │   ├── StreamTimedOut        no first byte, or a gap that is too long     retry
    │   └── StreamGarbled         bytes that are not the provider's format     retry, check the server
    ├── Offline               the user has closed the way out of this machine  go online
    │   └── WentOffline           they did while a connection was open             go online
    ├── DeviceModelError      the on-device model cannot run or be fetched     open Models
    ├── McpServerError        an MCP server does not run or does not answer    read its log, restart it
    ├── ReportFailed          an error report was not taken by the server      check the DSN
    ├── UpdateLookFailed      the newest Deskside could not be found out       look again later
    ├── StoreBusy             another program holds the database               close it, retry
    ├── StoreFull             the disk is full                                 free space, retry
    ├── StoreReadOnly         the data folder cannot be written                change its permissions
    │   ├── StoreGone             it was moved or removed, or its drive is gone    put it back
    │   └── StoreUnsuitable       its drive cannot keep a database safely          choose another folder
    ├── StoreDamaged          the database file is corrupted                   rescue, or restore a backup
    │   └── StoreOutdated         an update of its form failed                 install the version before
    ├── StoreRefused          an edited migration, or a newer schema           update Deskside
    ├── NeedsWindow           only the real window can do this                 use the window
    └── Internal              a bug of ours; details are in the log            report it

`code` and `retryable` cross the bridge; a traceback never does (it can hold paths and keys): it goes
to the log under the command's name.
"""

from __future__ import annotations

from typing import ClassVar


class AppError(Exception):
    """Something the user can be told about: `message` says what happened, `hint` what to do."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint


class InvalidRequest(AppError):
    code = "invalid_request"
    default_hint = (
        "Correct the request. If the window made it, reload the window; if it comes back, report it."
    )


class MalformedRequest(InvalidRequest):
    """To a script it is the same; what the window sends is ours, so it reports this as a fault of its own."""


class BadSetting(AppError):
    code = "bad_setting"


class NotFound(AppError):
    code = "not_found"
    default_hint = "It may have been deleted meanwhile. Reload the list."


class Conflict(AppError):
    code = "conflict"
    default_hint = "Reload and try again."


class Cancelled(AppError):
    code = "cancelled"


class NoKey(AppError):
    code = "no_key"
    default_hint = "Add a key in Settings, under Keys."


class KeychainUnavailable(AppError):
    code = "keychain_unavailable"
    default_hint = "Unlock your system keychain, or choose an encrypted file in Settings, under Keys."


class NoModel(AppError):
    code = "no_model"
    default_hint = "Choose a model below the message box."


class ProviderError(AppError):
    """The provider, or the way to it, failed. What was said before is kept."""

    code = "provider_error"


class BadKey(ProviderError):
    code = "bad_key"
    default_hint = "Check the key in Settings, under Keys."


class UnknownModel(ProviderError):
    code = "unknown_model"
    default_hint = "Choose another model."


class RateLimited(ProviderError):
    """`retry_after_s` is what the provider asked for, or None where it did not say."""

    code = "rate_limited"
    retryable = True
    default_hint = "Wait a moment, then press Retry."

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Overloaded(ProviderError):
    code = "overloaded"
    retryable = True
    default_hint = "The provider is busy. Press Retry in a moment."


class ContextTooLong(ProviderError):
    code = "context_too_long"
    default_hint = "Start a new conversation, or choose a model with a larger context."


class AnswerCut(ProviderError):
    """The answer is not whole: the length limit, or our limit of steps, ended it."""

    code = "answer_cut"
    default_hint = "Press Continue to let it go on."


class OutputInvalid(ProviderError):
    code = "output_invalid"
    default_hint = "Press Retry, or change the form of the answer in the agent's settings."


class ContentRefused(ProviderError):
    code = "content_refused"
    default_hint = "The provider declined to answer this. Rephrase it, or choose another model."


class RequestRefused(ProviderError):
    code = "request_refused"
    default_hint = "Read what the provider says; the model may not support this request."


class NoNetwork(ProviderError):
    code = "no_network"
    retryable = True
    default_hint = "Check your network, or that the server is running, then press Retry."


class NoAnswer(NoNetwork):
    code = "no_answer"


class StreamDropped(ProviderError):
    code = "stream_dropped"
    retryable = True
    default_hint = "What was said so far is kept. Press Continue or Retry."


class StreamTimedOut(ProviderError):
    code = "stream_timed_out"
    retryable = True
    default_hint = "What was said so far is kept. Press Continue or Retry."


class StreamGarbled(ProviderError):
    code = "stream_garbled"
    retryable = True
    default_hint = "Check that the address in Settings is the right server, then press Retry."


class Offline(AppError):
    code = "offline"
    default_hint = "Go online in Settings, under Network. Models on this computer work offline, too."


class WentOffline(Offline):
    code = "went_offline"


class DeviceModelError(AppError):
    code = "device_model_error"
    default_hint = "Open Models to see the state of the on-device model."


class McpServerError(AppError):
    code = "mcp_server_error"
    retryable = True
    default_hint = "Look at its log in Settings, under MCP servers, then restart it."


class ReportFailed(AppError):
    code = "report_failed"
    default_hint = "Check the DSN, and whether the server runs."


class UpdateLookFailed(AppError):
    code = "update_look_failed"
    retryable = True
    default_hint = "Look again later. Deskside works as before."


class StoreBusy(AppError):
    code = "store_busy"
    retryable = True
    default_hint = "Close the other program that uses Deskside's data, then try again."


class StoreFull(AppError):
    code = "store_full"
    retryable = True
    default_hint = "Free some disk space, then try again. Nothing that was saved is lost."


class StoreReadOnly(AppError):
    code = "store_read_only"
    default_hint = "Give your user the right to write to the data folder, then start Deskside again."


class StoreGone(StoreReadOnly):
    code = "store_gone"
    retryable = True
    default_hint = (
        "Put it back where it was, or connect the drive again: Deskside goes on by itself. "
        "Until then nothing is saved."
    )


class StoreUnsuitable(StoreReadOnly):
    code = "store_unsuitable"
    default_hint = (
        "Move the data folder to a disk of this computer, or start Deskside with another one (--data-dir)."
    )


class StoreDamaged(AppError):
    code = "store_damaged"
    default_hint = (
        "Close Deskside, then rescue what can be read: deskside rescue. "
        "Or bring back a backup from the data folder's backups."
    )


class StoreOutdated(StoreDamaged):
    """The data could not be brought to this program's form. They are as they were, and shown as a copy."""

    code = "store_outdated"
    default_hint = (
        "Your data are as they were. Install the Deskside you had before, which opens them, and report this."
    )


class StoreRefused(AppError):
    code = "store_refused"
    default_hint = "Install the newest Deskside. Your data was not touched."


class NeedsWindow(AppError):
    code = "needs_window"
    default_hint = "Open Deskside's window to do this."


class Internal(AppError):
    code = "internal"
    default_hint = "Details are in the log. Try again; if it comes back, report it with the request id."
