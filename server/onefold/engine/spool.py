"""The spool: where accepted events wait, on this machine's disk, while the store is slow or away.

A folder of append-only files. Each has one writer, the process that holds its lock; what a process that died left
behind is adopted by the next. A record is its length, a checksum, and an event as MessagePack. It holds what the
journal would hold of the event, and nothing more.
"""

import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from onefold.core.event import Event
from onefold.engine.groupcommit import GroupCommit, Overdue

log = structlog.get_logger()

SEGMENT_BYTES: Final = 16 * 2**20
_MAGIC: Final = b"onefold\x01"
_HEAD: Final = struct.Struct(">8sQ")  # magic, when the file was begun in ms
_FRAME: Final = struct.Struct(">II")  # length and checksum of the record behind it
_PATIENCE_SECONDS: Final = 5.0
_BEGIN_SECONDS: Final = 60.0


class Spooled(msgspec.Struct, frozen=True, array_like=True):
    """An event that waits. `fallback` is the profile id its sender was answered with, if it was told one."""

    event: Event
    fallback: str | None = None


_encode: Final = msgspec.msgpack.Encoder().encode
_DECODER: Final = msgspec.msgpack.Decoder(Spooled)


def unpack(record: bytes) -> Spooled:
    """The event in a record. Raises msgspec.MsgspecError where this version cannot read it."""
    return _DECODER.decode(record)


class Segment:
    """One file of the spool, locked by this process until it is removed or closed."""

    def __init__(self, path: Path, descriptor: int, begun_at: int) -> None:
        self.path = path
        self.begun_at = begun_at
        self.size = _HEAD.size
        self.events = 0
        self.brought = 0
        self._descriptor = descriptor

    def append(self, records: Sequence[bytes]) -> None:
        """Write records and sync. Raises OSError; then the file ends where it ended before, as far as that can be."""
        data = memoryview(b"".join(_framed(record) for record in records))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += sum(_FRAME.size + len(record) for record in records)
        self.events += len(records)

    def records(self) -> list[bytes]:
        """What it holds, in order; `unpack` gives the event of each. Fewer than were written where the disk has failed:
        the rest is kept aside.
        """
        found = list(_intact(_whole(self._descriptor)[: self.size]))
        if len(found) < self.events:
            self.recover()
        return found

    def recover(self) -> None:
        """Take in what is on disk: count the records, cut off what is not whole, and keep that aside."""
        content = _whole(self._descriptor)
        records = list(_intact(content))
        self.events = len(records)
        self.size = sum(_FRAME.size + len(record) for record in records)
        self.size += _HEAD.size if _is_ours(content) else 0
        if torn := content[self.size :]:
            beside = self.path.with_name(self.path.name + ".torn")
            _keep(beside, torn)
            os.ftruncate(self._descriptor, self.size)
            os.fdatasync(self._descriptor)
            log.error("spool_tail_cut", file=self.path.name, bytes=len(torn), kept=beside.name)

    def remove(self) -> None:
        """Delete the file, and let go of it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file; another process may adopt it."""
        os.close(self._descriptor)


class Waiting(msgspec.Struct, frozen=True):
    """What waits in a spool. `oldest_at` is in ms, None where nothing waits; `aside` counts files kept for a look."""

    events: int = 0
    size: int = 0
    files: int = 0
    oldest_at: int | None = None
    aside: int = 0


class Spool:
    """The spool of this process in a folder that processes share."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._active: Segment | None = None
        self._sealed: list[Segment] = []
        self._group: GroupCommit[bytes, None] = GroupCommit(self._write, most=1_000)

    def append(self, spooled: Sequence[Spooled]) -> None:
        """Keep events; they are on disk when this returns. Raises OSError when they cannot be."""
        try:
            self._group.submit_within([_encode(item) for item in spooled], _PATIENCE_SECONDS)
        except Overdue:
            raise TimeoutError("the disk of the spool does not answer") from None

    def adopt(self) -> None:
        """Take over the files of processes that are gone, and sweep up those they had just begun."""
        for path in self.folder.glob("*.new"):
            if _is_old(path) and (begun := _locked(path)) is not None:
                path.unlink(missing_ok=True)
                os.close(begun)
        for path in _files(self.folder):
            if all(segment.path != path for segment in self._segments()) and (found := _taken_over(path)) is not None:
                with self._lock:
                    self._sealed.append(found)
                    self._sealed.sort(key=lambda segment: segment.path.name)

    def oldest(self) -> Segment | None:
        """The file that has waited longest, nothing more being appended to it; None where nothing waits."""
        with self._lock:
            if not self._sealed and self._active is not None and self._active.events:
                self._retire()
            return self._sealed[0] if self._sealed else None

    def remove(self, segment: Segment) -> None:
        """Delete a sealed file: everything in it is in the store."""
        with self._lock:
            self._sealed.remove(segment)
        segment.remove()

    def waiting(self) -> Waiting:
        """What this process has to bring to the store."""
        return _waiting([segment for segment in self._segments() if segment.events], self.folder)

    def close(self) -> None:
        """Let go of every file, and remove those that hold nothing."""
        self._group.close()
        with self._lock:
            for segment in [*self._sealed, *([self._active] if self._active else [])]:
                segment.close() if segment.events else segment.remove()
            self._active, self._sealed = None, []

    def _segments(self) -> list[Segment]:
        with self._lock:
            return [*self._sealed, *([self._active] if self._active else [])]

    def _write(self, records: list[bytes]) -> list[None]:
        with self._lock:
            if self._active is None:
                self._active = _begin(self.folder)
            try:
                self._active.append(records)
            except OSError:  # after a failed sync a file cannot be trusted with more
                self._retire()
                raise
            if self._active.size >= self._segment_bytes:
                self._retire()
        return [None] * len(records)

    def _retire(self) -> None:
        if self._active is not None:
            self._sealed.append(self._active)
            self._active = None


def survey(folder: Path) -> Waiting:
    """What waits in a folder, of all processes, by looking at it only."""
    found = []
    for path in _files(folder):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            segment = Segment(path, descriptor, _begun_at(descriptor))
            records = list(_intact(_whole(descriptor)))
            segment.events, segment.size = len(records), sum(map(len, records))
            segment.close()
            found.append(segment)
    return _waiting([segment for segment in found if segment.events], folder)


def set_aside(segment: Segment, record: bytes) -> Path:
    """Keep a record that cannot be brought to the store beside its file, in a file that is one of the spool again once
    it is called so.
    """
    beside = segment.path.with_name(segment.path.name + ".failed")
    head = b"" if beside.exists() else _HEAD.pack(_MAGIC, segment.begun_at)
    _keep(beside, head + _framed(record))
    return beside


def _keep(path: Path, content: bytes) -> None:
    """Write at the end of a file, on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _waiting(segments: Sequence[Segment], folder: Path) -> Waiting:
    return Waiting(
        events=sum(segment.events - segment.brought for segment in segments),
        size=sum(segment.size for segment in segments),
        files=len(segments),
        oldest_at=min((segment.begun_at for segment in segments), default=None),
        aside=sum(1 for pattern in ("*.torn", "*.failed") for _ in folder.glob(pattern)),
    )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def _begin(folder: Path) -> Segment:
    """A new file, locked before anybody can see it: found unlocked it would be taken for a dead process's."""
    if not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)
    numbers = [int(number) for path in _files(folder) if (number := path.name.partition("-")[0]).isdecimal()]
    path = folder / f"{max(numbers, default=0) + 1:012d}-{os.getpid()}-{os.urandom(4).hex()}.spool"
    hidden = path.with_suffix(".new")
    begun_at = time.time_ns() // 1_000_000
    descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, _HEAD.pack(_MAGIC, begun_at))
        os.fsync(descriptor)
        hidden.rename(path)
        _sync_folder(folder)
    except OSError:
        os.close(descriptor)
        hidden.unlink(missing_ok=True)
        raise
    return Segment(path, descriptor, begun_at)


def _taken_over(path: Path) -> Segment | None:
    """The file of a process that is gone; None where it is not, or where the file is gone too."""
    if (descriptor := _locked(path)) is None:
        return None
    segment = Segment(path, descriptor, _begun_at(descriptor))
    segment.recover()
    log.info("spool_adopted", file=path.name, events=segment.events)
    return segment


def _is_old(path: Path) -> bool:
    """Whether a file is not one that is being begun at this moment, and about to be locked."""
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _BEGIN_SECONDS
    return False


def _locked(path: Path) -> int | None:
    """A file opened and locked; None where its owner lives, or has just removed it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


def _begun_at(descriptor: int) -> int:
    head = os.pread(descriptor, _HEAD.size, 0)
    return int(_HEAD.unpack(head)[1]) if len(head) == _HEAD.size else 0


def _whole(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    parts: list[bytes] = []
    while size > (at := sum(map(len, parts))) and (part := os.pread(descriptor, size - at, at)):
        parts.append(part)
    return b"".join(parts)


def _is_ours(content: bytes) -> bool:
    return content.startswith(_MAGIC) and len(content) >= _HEAD.size


def _intact(content: bytes) -> Iterator[bytes]:
    """The records of a file up to the first that is not whole."""
    at = _HEAD.size if _is_ours(content) else len(content)
    while len(head := content[at : at + _FRAME.size]) == _FRAME.size:
        length, checksum = _FRAME.unpack(head)
        record = content[at + _FRAME.size : at + _FRAME.size + length]
        if not record or len(record) != length or zlib.crc32(record, length) != checksum:
            return
        yield record
        at += _FRAME.size + length


def _framed(record: bytes) -> bytes:
    return _FRAME.pack(len(record), zlib.crc32(record, len(record))) + record


def _sync_folder(folder: Path) -> None:
    """Make names durable, not only contents."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
