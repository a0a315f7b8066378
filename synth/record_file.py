"""A JSON record in a file that tells whether it is whole: its SHA-256, a newline, the JSON.

A file is written beside its place and renamed, so that a killed run leaves no half of one, and
several processes and machines may share a folder.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ..formats.files import write_bytes

# Records have a megabyte at most; what is larger is none of ours, and JSON takes ten times that.
MAX_BYTES = 2**25


def record_text(record: Mapping[str, object]) -> str:
    """Return a record of JSON types as a file's text."""
    body = json.dumps(record, sort_keys=True)
    return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}"


def parse_record(text: str) -> object:
    """Return the record of a file's text; raises ValueError where the text is damaged."""
    checksum, _, body = text.partition("\n")
    if hashlib.sha256(body.encode()).hexdigest() != checksum:
        raise ValueError("its checksum is wrong")
    try:
        record: object = json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return record


def read_record(path: Path) -> object:
    """Read a record; raises OSError where there is none, and ValueError where it is damaged."""
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return parse_record(data.decode())


def write_record(path: Path, record: Mapping[str, object]) -> None:
    """Write a record, in a folder that is made where it is missing; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, record_text(record).encode())
