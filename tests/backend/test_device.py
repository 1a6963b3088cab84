"""The on-device model: the files there are, and the real small model in a real child process."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from device_parts import Published, SettingsInMemory, bundled_model, gguf
from openai import AsyncOpenAI, AuthenticationError

from deskside.backend.agent.device import Device
from deskside.backend.agent.device_models import PLAIN_PROFILE, SMOLLM2
from deskside.backend.agent.gguf import GgufHead, read_head
from deskside.backend.errors import DeviceModelError
from deskside.backend.events import DeviceChanged, ModelsChanged
from deskside.backend.paths import Paths

SMALL = f"device/{SMOLLM2.name}"
Make = Callable[..., Device]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "data" / "models").mkdir(parents=True)
    return Paths(data=tmp_path / "data", logs=tmp_path / "logs", cache=tmp_path / "cache")


@pytest.fixture
def events() -> Published:
    return Published()


@pytest.fixture
def settings() -> SettingsInMemory:
    return SettingsInMemory()


@pytest.fixture
async def make(paths: Paths, settings: SettingsInMemory, events: Published) -> AsyncIterator[Make]:
    """A device without any model; keywords are those of Device."""
    made: list[Device] = []

    def make(**options: object) -> Device:
        made.append(Device(paths, settings, events, **{"environ": {}, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for device in made:
        await device.close()


@pytest.fixture
def small(make: Make) -> Make:
    """A device with the real small model."""
    folder = bundled_model().parent
    return lambda **options: make(environ={"DESKSIDE_BUNDLED_MODELS": str(folder)}, **options)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def linked(path: Path) -> Path:
    """The small model under another name."""
    path.symlink_to(bundled_model())
    return path


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state; the time-out is for a test that fails."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


# -- files --------------------------------------------------------------------------------------------


async def test_a_machine_without_models_says_so(make: Make) -> None:
    device = make()

    status = await device.status()
    assert (status.can_run, status.files, status.process, status.download.state) == (
        True,
        [],
        "stopped",
        "none",
    )
    with pytest.raises(DeviceModelError, match="not on this machine yet"):
        await device.endpoint(SMALL)
    with pytest.raises(DeviceModelError, match="'nothing'"):
        await device.endpoint("device/nothing")


async def test_the_small_model_of_a_checkout_is_found(small: Make) -> None:
    status = await small().status()

    (file,) = status.files
    assert (file.name, file.size_bytes, file.is_bundled) == (SMOLLM2.name, SMOLLM2.size_bytes, True)
    assert status.download.state == "done"


async def test_a_file_of_the_user_s_is_listed_under_its_own_name(
    make: Make, settings: SettingsInMemory, events: Published, tmp_path: Path
) -> None:
    path = write(tmp_path / "Llama-3 8B.Q4.gguf", gguf())
    device = make()

    status = await device.use_file(str(path))

    (file,) = status.files
    assert (file.name, file.path, file.size_bytes) == ("Llama-3 8B.Q4", str(path), path.stat().st_size)
    assert settings.current.device_model == str(path)
    assert events == [ModelsChanged(), DeviceChanged(status)]
    assert device.profile("device/Llama-3 8B.Q4") == PLAIN_PROFILE
    assert (await device.use_file(None)).files == []


async def test_a_file_put_into_the_folder_of_models_is_listed(make: Make, paths: Paths) -> None:
    write(paths.models / "mine.gguf", gguf())
    # A download that is not whole yet does not have the size of the small model, nor its name.
    write(paths.models / f"{SMOLLM2.file_name}.part", gguf())

    assert [file.name for file in (await make().status()).files] == ["mine"]


async def test_a_chosen_file_that_is_gone_is_not_listed(make: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.gguf", gguf())
    device = make()
    await device.use_file(str(path))
    path.unlink()

    assert (await device.status()).files == []
    with pytest.raises(DeviceModelError, match="'mine'"):
        await device.endpoint("device/mine")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a GGUF"),
        (b"PK\x03\x04 something else", "not a GGUF"),
        (gguf()[:40], "not a GGUF"),
        (gguf(tensors=0), "not a GGUF"),
        (gguf(version=1), "version"),
        (b"GGUF\x00\x00\x00\x03" + bytes(16), "version"),
    ],
    ids=["empty", "zip", "cut", "no weights", "old", "big-endian"],
)
async def test_what_is_no_model_is_refused_with_a_sentence(
    make: Make, settings: SettingsInMemory, tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = write(tmp_path / "bad.gguf", content)

    with pytest.raises(DeviceModelError, match=sentence) as refused:
        await make().use_file(str(path))
    assert refused.value.hint
    assert settings.current.device_model is None


async def test_a_missing_file_and_a_folder_are_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DeviceModelError, match="no file"):
        await make().use_file(str(tmp_path / "missing.gguf"))
    with pytest.raises(DeviceModelError, match="not a GGUF"):
        await make().use_file(str(tmp_path))


@pytest.mark.parametrize("path", ["~nobody-of-that-name/a.gguf", "a\0b.gguf", "/dev/null"])
async def test_a_path_that_can_be_no_file_is_refused_with_a_sentence(make: Make, path: str) -> None:
    with pytest.raises(DeviceModelError):
        await make().use_file(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
async def test_a_pipe_is_refused_without_waiting_for_its_other_end(make: Make, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")

    with pytest.raises(DeviceModelError, match="not a GGUF model"):
        await make().use_file(str(tmp_path / "pipe.gguf"))


async def test_an_array_of_impossible_length_is_a_damaged_file(make: Make, tmp_path: Path) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    array = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 12, 2**64 - 1)

    with pytest.raises(DeviceModelError, match="not a GGUF model"):
        await make().use_file(str(write(tmp_path / "a.gguf", head + array)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names as text")
async def test_a_file_whose_name_is_no_text_does_not_break_the_list(make: Make, paths: Paths) -> None:
    write(paths.models / "good.gguf", gguf())
    os.close(os.open(os.fsencode(paths.models) + b"/\xff.gguf", os.O_CREAT))

    status = await make().status()

    assert ["good"] == [file.name for file in status.files]
    assert msgspec.json.encode(status)


def test_the_length_a_model_was_trained_for_is_read_from_its_head(tmp_path: Path) -> None:
    assert read_head(write(tmp_path / "a.gguf", gguf(4096))) == GgufHead("Tiny", "llama", 4096)
    assert read_head(write(tmp_path / "b.gguf", gguf(None))).context_tokens is None
    assert read_head(bundled_model()).context_tokens == 8192


def test_looking_at_the_state_imports_no_engine() -> None:
    costly = "{'xllamacpp', 'httpx2', 'psutil'}"
    code = f"import sys, deskside.backend.agent.device; print({costly} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)

    assert result.stdout.strip() == "set()", result.stderr


async def test_a_system_without_the_engine_says_so(small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskside.backend.agent.device.find_spec", lambda name: None)
    device = small()

    status = await device.status()
    assert (status.can_run, bool(status.reason)) == (False, True)
    with pytest.raises(DeviceModelError, match="engine"):
        await device.endpoint(SMALL)


# -- the real model -----------------------------------------------------------------------------------


async def test_the_small_model_answers_through_the_openai_sdk_and_ends_when_idle(
    small: Make, events: Published
) -> None:
    device = small(idle_s=0.05)
    profile = device.profile(SMALL)

    async with device.in_use():
        endpoint = await device.endpoint(SMALL)
        async with AsyncOpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0) as client:
            stream = await client.chat.completions.create(
                model=SMOLLM2.name,
                messages=[
                    {"role": "system", "content": str(profile.system_prompt)},
                    {"role": "user", "content": "What is the capital of France?"},
                ],
                temperature=profile.temperature,
                max_tokens=60,
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
        assert (await device.status()).process == "running"
        assert endpoint == await device.endpoint(SMALL)

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "Paris" in "".join(piece or "" for piece in pieces)
    assert len([piece for piece in pieces if piece]) > 3
    assert chunks[-1].usage is not None
    await until(lambda: events.processes[-1] == "stopped")
    assert events.processes == ["starting", "running", "stopped"]


async def test_no_other_program_can_use_the_model(small: Make) -> None:
    base_url = (await small().endpoint(SMALL)).base_url

    async with AsyncOpenAI(base_url=base_url, api_key="guessed", max_retries=0) as client:
        with pytest.raises(AuthenticationError):
            await client.chat.completions.create(
                model=SMOLLM2.name, messages=[{"role": "user", "content": "Hi"}]
            )


async def test_the_key_is_on_no_command_line_and_ours_are_not_in_its_environment(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    endpoint = await small().endpoint(SMALL)

    (child,) = psutil.Process().children()
    assert endpoint.api_key not in " ".join(child.cmdline())
    assert "sk-planted" not in child.environ().values()


async def test_a_killed_model_is_noticed_and_started_again(small: Make, events: Published) -> None:
    device = small()
    first = await device.endpoint(SMALL)
    (child,) = psutil.Process().children()
    child.kill()
    await until(lambda: events.processes[-1] == "stopped")

    second = await device.endpoint(SMALL)

    assert first.api_key != second.api_key
    assert events.processes == ["starting", "running", "stopped", "starting", "running"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
async def test_a_model_that_hangs_is_replaced(small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deskside.backend.agent.device_process.HEALTH_S", 0.2)
    monkeypatch.setattr("deskside.backend.agent.device_process.STOP_S", 0.2)
    device = small()
    first = await device.endpoint(SMALL)
    (child,) = psutil.Process().children()
    child.suspend()

    second = await device.endpoint(SMALL)

    assert first.api_key != second.api_key
    assert not child.is_running()


async def test_two_replies_at_once_share_one_process(small: Make) -> None:
    device = small()

    first, second = await asyncio.gather(device.endpoint(SMALL), device.endpoint(SMALL))

    assert first == second
    assert len(psutil.Process().children()) == 1


async def test_a_caller_that_gives_up_does_not_stop_the_start_for_others(small: Make) -> None:
    device = small()
    first = asyncio.create_task(device.endpoint(SMALL))
    second = asyncio.create_task(device.endpoint(SMALL))
    await until(lambda: bool(psutil.Process().children()))
    first.cancel()

    assert (await second).base_url.endswith("/v1")
    assert first.cancelled()


async def test_closing_while_it_starts_leaves_no_process(small: Make) -> None:
    device = small()
    starting = asyncio.create_task(device.endpoint(SMALL))
    await until(lambda: bool(psutil.Process().children()))

    await device.close()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert psutil.Process().children() == []


async def test_closing_the_connection_ends_the_writing(small: Make) -> None:
    device = small()
    endpoint = await device.endpoint(SMALL)
    (child,) = psutil.Process().children()

    def used() -> float:
        times = child.cpu_times()
        return times.user + times.system

    async with AsyncOpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=SMOLLM2.name,
            messages=[{"role": "user", "content": "Write a long story."}],
            max_tokens=1900,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        async for _ in stream:
            break
        await stream.close()

        # It is over when a quarter of a second costs no processor time; writing on would take 20 s of it.
        async with asyncio.timeout(10):
            before = -1.0
            while used() - before > 0.03:
                before = used()
                await asyncio.sleep(0.25)


async def test_another_model_takes_the_place_of_an_unused_one(small: Make, tmp_path: Path) -> None:
    other = linked(tmp_path / "other.gguf")
    device = small()
    await device.endpoint(SMALL)
    (first,) = psutil.Process().children()
    await device.use_file(str(other))

    await device.endpoint("device/other")

    (second,) = psutil.Process().children()
    assert first.pid != second.pid


async def test_a_reply_of_another_model_is_not_broken_off(small: Make, tmp_path: Path) -> None:
    other = linked(tmp_path / "other.gguf")
    device = small()

    async def reply_elsewhere(is_running: asyncio.Event, may_end: asyncio.Event) -> None:
        async with device.in_use():
            await device.endpoint(SMALL)
            is_running.set()
            await may_end.wait()

    is_running, may_end = asyncio.Event(), asyncio.Event()
    elsewhere = asyncio.create_task(reply_elsewhere(is_running, may_end))
    await is_running.wait()
    await device.use_file(str(other))
    async with device.in_use():
        await device.endpoint("device/other")
        assert len(psutil.Process().children()) == 2
    may_end.set()
    await elsewhere


async def test_a_damaged_model_is_a_sentence_and_no_process(
    make: Make, paths: Paths, events: Published
) -> None:
    write(paths.models / "cut.gguf", bundled_model().read_bytes()[:5_000_000])
    device = make()

    with pytest.raises(DeviceModelError, match=r"cut\.gguf could not be loaded") as failed:
        await device.endpoint("device/cut")
    assert "memory" in failed.value.hint
    assert psutil.Process().children() == []
    assert events.processes[-1] == "stopped"


@pytest.mark.parametrize("program", ["", "import sys; sys.stdin.readline(); sys.exit(3)"])
async def test_a_child_that_ends_at_once_is_a_sentence(small: Make, program: str) -> None:
    device = small(command=[sys.executable, "-c", program])

    with pytest.raises(DeviceModelError, match="could not be loaded"):
        await device.endpoint(SMALL)


async def test_a_missing_child_program_is_a_sentence(small: Make) -> None:
    with pytest.raises(DeviceModelError, match="could not be started"):
        await small(command=["/nowhere/python"]).endpoint(SMALL)


@pytest.mark.skipif(os.name != "posix", reason="kills without a chance to clean up")
async def test_the_model_ends_with_a_killed_deskside(tmp_path: Path) -> None:
    program = f"""
        import asyncio, psutil
        from pathlib import Path
        from device_parts import Published, SettingsInMemory
        from deskside.backend.agent.device import Device
        from deskside.backend.paths import Paths

        async def main():
            folder = Path({str(tmp_path)!r})
            device = Device(Paths(folder, folder, folder), SettingsInMemory(), Published())
            await device.endpoint({SMALL!r})
            print(psutil.Process().children()[0].pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    bundled_model()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), stdout=subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await asyncio.wait_for(parent.stdout.readline(), 30)))

    parent.kill()
    await parent.wait()

    # In a container nobody may collect a child whose parent is gone: a zombie has ended, too.
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
