"""Bytes and short texts from web servers, whatever breaks on the way said in words.

A transfer goes on where a partial file ends, where the server can do that (RFC 9110, section 14: range requests).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bioplausible.foundation.errors import InputError
from bioplausible.foundation.progress import Progress

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 18


def _say_why(error: Exception) -> str:
    """Put a failed request into some words; the exception's own text runs over several clauses of internals."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_SECONDS} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke before the end of the file"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server, or it broke"
    return str(error) if isinstance(error, _OtherAnswer) else type(error).__name__


class _OtherAnswer(OSError):
    """The server answered something that is not the file."""


def _append(url: str, partial: Path, size: int | None, progress: Progress | None) -> None:
    """Download behind the end of the partial file, or from the start where the server knows no ranges."""
    import requests

    start = partial.stat().st_size
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if start and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing lies behind: whether what is there is right, its checksum says
        answer.raise_for_status()
        goes_on = answer.status_code == requests.codes.partial_content
        if not (answer.headers.get("Content-Range", "").startswith(f"bytes {start}-") if goes_on else answer.status_code == 200):
            raise _OtherAnswer(f"the server answered {answer.status_code} {answer.reason} instead of the file")
        done = start if goes_on else 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = done + length if length else 0
        # a page in the file's stead; of a compressed answer the length says nothing
        if size and total and total != size and not answer.headers.get("Content-Encoding"):
            raise _OtherAnswer(f"the server has {total} bytes, expected {size}")
        with partial.open("ab" if goes_on else "wb") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total, f"bytes of {PurePosixPath(urlsplit(url).path).name}")


def resume(url: str, partial: Path, size: int | None = None, progress: Progress | None = None) -> str | None:
    """Download the rest of a file, again and again while each attempt brings more of it.

    Parameters
    ----------
    url
        its address.
    partial
        an existing file with the first bytes, maybe none; only what comes of the file itself is ever written to it.
    size
        of the whole file in bytes, or None where unknown.
    progress
        called with bytes so far, bytes in all (0 where the server does not say) and a line to show.

    Returns
    -------
    what went wrong, or None.
    """
    import requests

    while True:
        before = partial.stat().st_size
        try:
            _append(url, partial, size, progress)
        except (requests.RequestException, _OtherAnswer) as error:
            if partial.stat().st_size > before:
                continue
            return f"{url}: {_say_why(error)}"
        there = partial.stat().st_size
        if size and there < size:
            if there > before:
                continue
            return f"{url}: the answer ended at {there} of {size} bytes"
        return None


def read_text(url: str) -> str:
    """Read a short text.

    Parameters
    ----------
    url
        its address.

    Returns
    -------
    the text.

    Raises
    ------
    InputError
        when it cannot be had.
    """
    import requests

    try:
        answer = requests.get(url, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise InputError(f"{url} could not be read: {_say_why(error)}; try again later") from error
    return answer.text


__all__ = ["read_text", "resume"]
