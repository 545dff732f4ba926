"""What happened, one JSON object a line, in order.

Every interval ends with a ``commit`` line that holds the SHA-256 of every byte before it, and the manifest of the run holds
the SHA-256 of the whole file.  A changed byte therefore shows, and shows in which interval; cutting the tail shows against
the manifest.  The journal holds nothing that depends on the machine or on the hour of the run.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, BinaryIO

import msgspec

from sim.wire.core import ErrorBody

MESSAGE_LINE = b'{"kind":"message"'
"""How the line of a message begins, and no other: whoever looks for messages need not read the rest."""

EVENT_LINE = b'{"event":'
"""How the line of a contract event begins, and no other: keys stand in alphabetical order."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Journal:
    """Append-only writer of a journal.

    sink: where the bytes go; written once per commit.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self._pending: list[bytes] = []
        self._messages = 0
        self.size = 0
        """Bytes written so far."""

    @property
    def head(self) -> str:
        """SHA-256 over everything written so far, hexadecimal."""
        return self._digest.hexdigest()

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record of this kind."""
        self._pending.append(_encode({"kind": kind, **fields}))

    def message(
        self,
        seconds: int,
        action: str,
        raw: bytes,
        error: ErrorBody | None = None,
        signature: str | None = None,
        note: str = "",
    ) -> None:
        """Append one message as it came to the endpoint of an action, byte for byte, with ACK or the reason of its NACK.

        signature: its header, where it had one.  note: what else there is to say of it.
        """
        self._messages += 1
        verdict = b'"ACK"' if error is None else b'"NACK","error":' + _encode(error)
        if signature is not None:
            verdict += b',"signature":' + _encode(signature if signature.isascii() else ascii(signature))
        if note:
            verdict += b',"note":' + _encode(note)
        if not _is_a_line_of_json(raw, error):
            verdict += b',"encoding":"base64"'
            raw = _encode(base64.b64encode(raw).decode())
        self._pending.append(
            b'%b,"seq":%d,"t":%d,"action":%b,"ack":%b,"body":%b}'
            % (MESSAGE_LINE, self._messages, seconds, _encode(action), verdict, raw)
        )

    def commit(self, interval: int) -> None:
        """Write what is pending, then a line that seals it."""
        self._flush()
        self.record("commit", interval=interval, head=self.head)
        self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        block = b"\n".join(self._pending) + b"\n"
        self._pending.clear()
        self._digest.update(block)
        self._sink.write(block)
        self.size += len(block)


def _is_a_line_of_json(raw: bytes, error: ErrorBody | None) -> bool:
    """Whether bytes can stand in a line as they are; what was accepted is known to be JSON."""
    if b"\n" in raw or b"\r" in raw:
        return False
    if error is None:
        return True
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True
