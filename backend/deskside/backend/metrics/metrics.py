"""All figures together: the last samples, the history in the store, and who looks on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loguru import logger

from deskside.backend.errors import AppError
from deskside.backend.metrics.sampler import Sampler, Totals
from deskside.backend.metrics.samples import BUCKET_MS, Bucket, Sample
from deskside.backend.store import metric_buckets

if TYPE_CHECKING:
    from pathlib import Path

    from deskside.backend.agent.provider_calls import ProviderCalls
    from deskside.backend.metrics.timings import Timings
    from deskside.backend.store.database import Store

SAMPLES_KEPT = 720  # six hours, or the last twelve minutes of a time in which somebody looked on


class Metrics:
    """Used on the backend's loop only. `providers`, `tools` and the store's own are observed where things
    happen; the samples come from a thread."""

    def __init__(self, store: Store, data: Path, providers: ProviderCalls, tools: Timings) -> None:
        self.providers = providers
        self.tools = tools
        self.functions = store.timings
        self.queueing = store.queueing
        self.totals = Totals()
        self.samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)
        self._taken = 0
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._bucket: list[Sample] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self.sampler = Sampler(data, self._deliver)

    @property
    def last(self) -> Sample | None:
        return self.samples[-1] if self.samples else None

    async def watch(self) -> AsyncGenerator[list[Sample], None]:
        """The samples that there are, then those that come, a second apart for as long as this is read."""
        self.sampler.watch(1)
        try:
            seen = self._taken
            yield list(self.samples)
            while True:
                while seen == self._taken:
                    await self._news.wait()
                fresh = list(self.samples)[seen - self._taken :]
                seen = self._taken
                yield fresh
        finally:
            self.sampler.watch(-1)

    async def close(self) -> None:
        """End the thread, and keep what the last minutes were like."""
        await asyncio.to_thread(self.sampler.close)
        self._keep_bucket()
        if self._writing:
            await asyncio.wait(self._writing)

    def _deliver(self, sample: Sample, totals: Totals) -> None:
        """On the sampler's thread."""
        self._loop.call_soon_threadsafe(self._take, sample, totals)

    def _take(self, sample: Sample, totals: Totals) -> None:
        if self._bucket and _begin(self._bucket[0]) != _begin(sample):
            self._keep_bucket()
        self._bucket.append(sample)
        self.samples.append(sample)
        self._taken += 1
        self.totals = totals
        self._news.set()
        self._news = asyncio.Event()

    def _keep_bucket(self) -> None:
        if not self._bucket:
            return
        bucket = Bucket.of(_begin(self._bucket[0]), self._bucket)
        self._bucket = []
        task = asyncio.create_task(self._write(bucket))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, bucket: Bucket) -> None:
        try:
            await self._store.write_soon(metric_buckets.add, bucket)
        except AppError as error:  # a full disk, a damaged file: the user hears of it where they use it
            logger.warning("figures of the last minutes could not be kept: {}", error.code)


def _begin(sample: Sample) -> int:
    return sample.at_ms - sample.at_ms % BUCKET_MS


@asynccontextmanager
async def open_metrics(
    store: Store, data: Path, providers: ProviderCalls, tools: Timings
) -> AsyncIterator[Metrics]:
    """Take samples for as long as the context lasts."""
    metrics = Metrics(store, data, providers, tools)
    metrics.sampler.start()
    try:
        yield metrics
    finally:
        await metrics.close()
