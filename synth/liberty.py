"""Read Liberty (``.lib``) text into a tree of groups, quickly and strictly.

One regular expression recognises a whole statement: a group's head, a simple attribute, a complex
attribute or a closing brace. Values stay unparsed text until someone asks, so the tables of a
20 MB library cost no more than a slice each. Strict means that text which is no statement is an
error with its line; lenient, as real files need it, are only a missing semicolon at the end of a
line, arguments with or without quotes, and comments between any two tokens.
"""

import gzip
import re
import zlib
from pathlib import Path

from ..formats.errors import LibraryError
from .liberty_tree import Group, LibertyFile

MAX_BYTES = 512 * 2**20
MAX_DEPTH = 32
_CHUNK = 2**20

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_COMMENT = r"/\*(?s:.*?)\*/|//[^\n]*+"
_SKIP = re.compile(rf"(?>\s++|\\\r?\n|;|{_COMMENT})*+")
_STATEMENT = re.compile(
    rf"""
    (?P<name>[A-Za-z_][A-Za-z0-9_]*+) [ \t]*+
    (?: \( (?P<args> (?> [^"(){{}};/]++ | {_STRING} | {_COMMENT} | /(?!\*) )*+ ) \)
        (?> \s++ | \\\r?\n | {_COMMENT} )*+ (?P<brace>\{{)?
    | : (?> [ \t]++ | \\\r?\n )*+
        (?P<value> {_STRING} | (?!") (?> [^;\n{{}}"/\\]++ | /(?![*/]) | \\(?!\r?\n) )*+ )
    )
    | (?P<close> \}} )
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def read_liberty(path: Path) -> LibertyFile:
    """Read one Liberty file, gzipped or not.

    Raises :class:`LibraryError`, naming the file and where possible the line, for a file that is
    missing, unreadable, cut short, larger than 512 MiB, or not Liberty.
    """
    return parse_liberty(_read_bytes(path), path.name)


def parse_liberty(data: bytes, name: str) -> LibertyFile:
    """Parse the bytes of a Liberty file; ``name`` stands in errors and in the result.

    Raises :class:`LibraryError` as :func:`read_liberty` does.
    """
    import hashlib  # noqa: PLC0415 - an embedded library needs no hash of a source

    text = _decode(_decompress(data, name), name)
    document = LibertyFile(name=name, sha256=hashlib.sha256(data).hexdigest(), text=text)
    document.library = _parse(document)
    return document


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.exists():
            raise LibraryError(f"The Liberty file {str(path)!r} does not exist.")
        if not path.is_file():
            raise LibraryError(f"{str(path)!r} is not a file; give a Liberty file (.lib, .lib.gz).")
        if path.stat().st_size > MAX_BYTES:
            raise LibraryError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, LibraryError):
            raise
        raise LibraryError(f"The Liberty file {str(path)!r} cannot be read: {error}.") from error


def _decompress(data: bytes, name: str) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    import io  # noqa: PLC0415

    parts: list[bytes] = []
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            while part := stream.read(_CHUNK):
                size += len(part)
                if size > MAX_BYTES:
                    raise LibraryError(f"{name} unpacks to more than {MAX_BYTES // 2**20} MiB.")
                parts.append(part)
    except EOFError as error:
        raise LibraryError(
            f"{name} is a gzip file that is cut short after {size} unpacked bytes; fetch it again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise LibraryError(f"{name} is a damaged gzip file: {error}.") from error
    return b"".join(parts)


def _decode(data: bytes, name: str) -> str:
    if not data.strip():
        raise LibraryError(f"{name} is empty.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # the encoding of a © in older files
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise LibraryError(
            f"{name}, line {line}: the byte 0x{ord(control[0]):02x} does not belong in a Liberty "
            "file; this is a binary file or another encoding than UTF-8 and Latin-1."
        )
    return text


def _parse(document: LibertyFile) -> Group:
    text = document.text
    # What stands at the top of a file goes into this group, and must be one library.
    top = Group(name="", raw_args="", file=document, offset=0)
    stack = [top]
    position = 0
    skip, match_statement = _SKIP.match, _STATEMENT.match
    while True:
        gap = skip(text, position)
        assert gap is not None  # noqa: S101 - the pattern matches the empty string
        position = gap.end()
        match = match_statement(text, position)
        if match is None or (match["close"] and len(stack) == 1):
            break
        word, args, brace, value, close = match.groups()
        if close:
            stack.pop()
        elif len(stack) == 1 and not (brace and word == "library" and not top.groups):
            break
        elif brace:
            group = Group(name=word, raw_args=args, file=document, offset=position)
            stack[-1].groups.append(group)
            stack.append(group)
            if len(stack) > MAX_DEPTH:
                raise LibraryError(f"{group.where}: groups are nested deeper than {MAX_DEPTH}.")
        elif args is None:
            stack[-1].attributes[word] = value
        else:
            stack[-1].complexes.append((word, args))
        position = match.end()
    _check_end(document, position, stack)
    return top.groups[0]


def _check_end(document: LibertyFile, position: int, stack: list[Group]) -> None:
    """Raise the error that fits where the statements ended, if they ended too early."""
    text, name = document.text, document.name
    rest = text[position : position + 30].split("\n")[0]
    line = document.line(position)
    if len(stack) == 1 and position == len(text):
        if stack[0].groups:
            return
        raise LibraryError(f"{name} has no library group, only comments.")
    if len(stack) == 1:
        raise LibraryError(
            f"{name}, line {line}: {rest!r} stands after the end of the library, which closes "
            "before; look for a closing brace too many, or give each library as its own file."
            if stack[0].groups
            else f"{name}, line {line}: this is not a Liberty file: it starts with {rest!r} "
            "instead of 'library (NAME) {'."
        )
    # A string, comment or argument list that runs to the end of the file is the mark of a file
    # that was cut inside a token, rather than of one that has a stray character in its middle.
    tail = text[position:]
    if _is_cut(tail):
        group = stack[-1]
        raise LibraryError(
            f"{name} ends inside the group {group.label} that opens at line {group.line}; the file "
            "is cut short or lacks a closing brace."
        )
    raise LibraryError(
        f"{name}, line {line}: {rest!r} in {stack[-1].label} is neither an attribute nor a group."
    )


_CUT = re.compile(
    rf"""
    (?: /\*(?s:.*) | [A-Za-z_]\w*+ \s*+ (?:
          \( (?> [^"(){{}};/]++ | {_STRING} | {_COMMENT} | /(?!\*) )*+
             (?: "(?> [^"\\]++ | \\. )*+ \\? )?
        | : \s*+ "(?> [^"\\]++ | \\. )*+ \\?
        )?
    )? \Z
    """,
    re.VERBOSE | re.DOTALL,
)


def _is_cut(tail: str) -> bool:
    return _CUT.match(tail) is not None
