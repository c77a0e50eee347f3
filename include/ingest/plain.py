"""A raw file as plain UTF-8 bytes: unpacked and decoded, in pieces, whatever its size.

Bytes that do not decode become the byte 0xFF, which is in no UTF-8, so that only their line is
rejected. A file that cannot be unpacked, or holds another packed one, is a `FileRejected`.
"""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from include.contracts import CsvFormat, JsonFormat, JsonShape, Packing
from include.ingest.excel import sheet_as_text
from include.ingest.pages import cut_items
from include.ingest.reasons import FileRejected, Reason, ReasonCode
from include.ingest.scan import chunks_of

# Text packs to a tenth, logs at times to a hundredth; beyond this it is a bomb.
_MOST_GROWTH = 250
_SMALLEST_BOMB = 64 << 20
# A document is read as one piece of JSON.
_LARGEST_DOCUMENT = 64 << 20
_MAGICS = (
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
)
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_BROKEN = "mark-broken-bytes"
codecs.register_error(_BROKEN, lambda error: ("\udcff", error.end))


def is_plain(form: CsvFormat | JsonFormat) -> bool:
    """Whether files of the format are plain UTF-8 as they lie there."""
    is_document = isinstance(form, JsonFormat) and form.shape is JsonShape.DOCUMENT
    return form.packing is Packing.NONE and form.encodings == ("utf-8",) and not is_document


@contextmanager
def open_plain(path: Path, form: CsvFormat | JsonFormat) -> Iterator[BinaryIO]:
    """The file as a stream of plain UTF-8 without a byte order mark.

    Reading raises FileRejected and OSError.
    """
    with ExitStack() as stack:
        if is_plain(form):
            stream = stack.enter_context(path.open("rb"))
        else:
            chunks = stack.enter_context(_plain_chunks(path, form))
            stream = io.BufferedReader(_ChunkStream(chunks), 1 << 16)
        if stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
            stream.read(len(codecs.BOM_UTF8))
        yield stream


def read_plain(path: Path, form: CsvFormat | JsonFormat, most_bytes: int) -> bytes | None:
    """The whole file, or None if it is larger. Raises as `open_plain`."""
    with open_plain(path, form) as stream:
        content = stream.read(most_bytes + 1)
    return content if len(content) <= most_bytes else None


@contextmanager
def _plain_chunks(path: Path, form: CsvFormat | JsonFormat) -> Iterator[Iterator[bytes]]:
    with ExitStack() as stack:
        chunks = _unpacked(path, form, stack)
        if isinstance(form, JsonFormat) and form.shape is JsonShape.DOCUMENT:
            chunks = _document_lines(chunks, form)
        if form.packing is not Packing.EXCEL and form.encodings != ("utf-8",):
            chunks = _as_utf8(chunks, _encoding(path, form))
        yield chunks


def _unpacked(path: Path, form: CsvFormat | JsonFormat, stack: ExitStack) -> Iterator[bytes]:
    size = path.stat().st_size
    if form.packing is Packing.EXCEL and isinstance(form, CsvFormat):
        _check_members(path, size)
        return sheet_as_text(path, form)
    if form.packing is Packing.NONE:
        return chunks_of(stack.enter_context(path.open("rb")))
    return _bounded(_member(path, form.packing, stack), size, form.packing)


def _member(path: Path, packing: Packing, stack: ExitStack) -> BinaryIO:
    """What a packed file holds, unpacked as it is read."""
    try:
        if packing is Packing.GZIP:
            return stack.enter_context(gzip.open(path, "rb"))
        if packing is Packing.ZSTD:
            return stack.enter_context(pa.input_stream(str(path), compression="zstd"))
        archive = stack.enter_context(zipfile.ZipFile(path))
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise _unreadable(f"holds {len(members)} files, and exactly one is read")
        return stack.enter_context(archive.open(members[0]))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, pa.ArrowException) as error:
        # A RuntimeError is a member with a password, the other an unknown method.
        raise _unreadable(f"is no complete {packing.value} file that can be read") from error


def _bounded(stream: BinaryIO, packed_bytes: int, packing: Packing) -> Iterator[bytes]:
    unpacked = 0
    try:
        while chunk := stream.read(1 << 20):
            if not unpacked and chunk.startswith(_MAGICS):
                raise _unreadable("holds another packed file")
            unpacked += len(chunk)
            _check_growth(unpacked, packed_bytes)
            yield bytes(chunk)
    except (
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        lzma.LZMAError,
        NotImplementedError,
        pa.ArrowException,
    ) as error:
        raise _unreadable(f"is no complete {packing.value} file") from error
    except OSError as error:
        if error.errno is not None:
            raise
        # pyarrow's way to say that a frame is damaged.
        raise _unreadable(f"is no complete {packing.value} file") from error


def _check_growth(unpacked: int, packed: int) -> None:
    if unpacked > max(_SMALLEST_BOMB, packed * _MOST_GROWTH):
        raise _unreadable(f"unpacks to more than {_MOST_GROWTH} times its size")


def _check_members(path: Path, size: int) -> None:
    """An Excel file is a zip archive of XML; its own figures say what it unpacks to."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_growth(sum(member.file_size for member in archive.infolist()), size)
    except zipfile.BadZipFile as error:
        raise _unreadable("is no Excel file") from error


def _unreadable(problem: str) -> FileRejected:
    return FileRejected(Reason(ReasonCode.UNREADABLE_COMPRESSION, None, f"the file {problem}"), 0)


def _encoding(path: Path, form: CsvFormat | JsonFormat) -> str:
    """The encoding of the mark at the beginning, else the first in which all can be read."""
    with ExitStack() as stack:
        head = next(_unpacked(path, form, stack), b"")[:4]
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    for encoding in form.encodings[:-1] or form.encodings:
        if len(form.encodings) == 1 or _can_be_read(path, form, encoding):
            return encoding
    last = form.encodings[-1]
    # Where none fits, the first is the contract's word, and its lines say what is wrong.
    return last if _can_be_read(path, form, last) else form.encodings[0]


def _can_be_read(path: Path, form: CsvFormat | JsonFormat, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with ExitStack() as stack:
        try:
            for chunk in _unpacked(path, form, stack):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeError:
            return False
    return True


def _as_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors=_BROKEN)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")


def _document_lines(chunks: Iterable[bytes], form: JsonFormat) -> Iterator[bytes]:
    """The objects of a document, one a line, in the text that they came in."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > _LARGEST_DOCUMENT:
            raise _no_document("is larger than 64 MB; ask for one object a line")
    try:
        items = cut_items(bytes(content), form.items)
    except (ValueError, RecursionError) as error:
        place = f"in its field {form.items}" if form.items else "in it"
        raise _no_document(f"is no JSON with an array {place}") from error
    for item in items:
        yield f"{item}\n".encode("utf-8", "surrogatepass")


def _no_document(problem: str) -> FileRejected:
    return FileRejected(Reason(ReasonCode.MALFORMED_PAGE, None, f"the document {problem}"), 0)


class _ChunkStream(io.RawIOBase):
    """Chunks of bytes as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
