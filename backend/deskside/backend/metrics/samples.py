"""One reading of the machine and of our processes, and what many of them come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

BUCKET_MS = 5 * 60_000


class Sample(msgspec.Struct, frozen=True):
    """What was read at one moment; None where it could not be read, or has no rate yet.

    Ours is this program with all processes that it started. Percentages are of all processors together, 0 to
    100; they and the rates are the mean since the sample before. `memory_bytes` is the resident set of each
    process, so what they share counts more than once; `machine_memory_bytes` is what is not available.
    `open_files` are file descriptors, on Windows handles. `disk_free_bytes` is of the data folder's disk.
    `sampler_ms` is the processor time that taking this sample took.
    """

    at_ms: int
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    read_bytes_per_s: float | None = None
    written_bytes_per_s: float | None = None
    open_files: int | None = None
    threads: int | None = None
    processes: int | None = None
    machine_cpu_percent: float | None = None
    machine_memory_bytes: int | None = None
    machine_read_bytes_per_s: float | None = None
    machine_written_bytes_per_s: float | None = None
    disk_free_bytes: int | None = None
    sampler_ms: float | None = None


SERIES = tuple(field for field in Sample.__struct_fields__ if field != "at_ms")
"""In the order in which the store keeps them: new ones go to the end."""


class Range(msgspec.Struct, frozen=True):
    """The values of one series over some time, `count` of them."""

    min: float
    mean: float
    max: float
    count: int


class Bucket(msgspec.Struct, frozen=True):
    """The samples of the time from `at_ms` on, by series. A series that could not be read is not there."""

    at_ms: int
    series: dict[str, Range]

    @classmethod
    def of(cls, at_ms: int, samples: Iterable[Sample]) -> Self:
        values: dict[str, list[float]] = {}
        for sample in samples:
            for name in SERIES:
                value = getattr(sample, name)
                if value is not None:
                    values.setdefault(name, []).append(value)
        ranges = {
            name: Range(min(found), sum(found) / len(found), max(found), len(found))
            for name, found in values.items()
        }
        return cls(at_ms, ranges)


def merged(at_ms: int, buckets: Iterable[Bucket]) -> Bucket:
    """Several as one that begins at `at_ms`."""
    found: dict[str, list[Range]] = {}
    for bucket in buckets:
        for name, each in bucket.series.items():
            found.setdefault(name, []).append(each)
    return Bucket(at_ms, {name: _joined(ranges) for name, ranges in found.items()})


def _joined(ranges: list[Range]) -> Range:
    count = sum(each.count for each in ranges)
    return Range(
        min(each.min for each in ranges),
        sum(each.mean * each.count for each in ranges) / count,
        max(each.max for each in ranges),
        count,
    )


def encode(series: Mapping[str, Range]) -> str:
    """As short as it can be read: a list in the order of SERIES, each null or [min, mean, max, count]."""
    rows = [_row(series[name]) if name in series else None for name in SERIES]
    return msgspec.json.encode(rows).decode()


def decode(text: str) -> dict[str, Range]:
    """Raises msgspec.DecodeError for what `encode` did not write."""
    rows = msgspec.json.decode(text, type=list[tuple[float, float, float, int] | None])
    return {name: Range(*row) for name, row in zip(SERIES, rows, strict=False) if row is not None}


def _row(values: Range) -> tuple[float, float, float, int]:
    return _short(values.min), _short(values.mean), _short(values.max), values.count


def _short(value: float) -> float:
    """Four digits: more than a chart shows."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded
