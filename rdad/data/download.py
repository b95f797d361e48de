"""A public data set fetched, checked and unpacked: wholly there, or not there at all."""

import logging
import lzma
import shutil
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from rdad.data.samples import Folder
from rdad.data.sources import SOURCES, Source
from rdad.data.store import lock
from rdad.runs.files import explained, write_json
from rdad.runs.names import expanded

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

RECEIPT = ".download.json"  # in the folder of a set: what it was made of
ATTEMPTS = 5  # in a row that bring nothing
PAUSE_S = 2
CHUNK_BYTES = 1 << 18  # what a broken connection loses at most
TIMEOUT_S = (20, 60)  # to be connected, and between two pieces


class DownloadError(OSError):
    """A data set cannot be fetched or used; the message says what to do."""


def source_of(name: str) -> Source:
    """Raises ValueError, with the known names, for another one."""
    if name not in SOURCES:
        raise ValueError(f"no address is known of {name!r}; known are {', '.join(sorted(SOURCES))}")
    return SOURCES[name]


def download(name: str, folder: Folder, *, accept: bool) -> Path:
    """Fetch the set `name` into `folder`, which is made whole or not at all.

    What an attempt fetched stays beside it, and the next attempt goes on from there.

    Args:
        accept: The caller accepts the set's licence.

    Raises:
        DownloadError: the licence is not accepted; the set is not to be had without asking; there
            is a folder already that was not made here; there is not enough space; the connection
            breaks again and again; the archive is not the published one, or not safe to unpack.
        ValueError: no such set.
    """
    source, target = source_of(name), expanded(folder)
    terms = f"{source.title}: licence {source.licence}; cite {source.cite}"
    if (target / RECEIPT).is_file():
        log.info("%s is in %s already", source.title, target)
        return target
    if target.exists():
        raise DownloadError(f"{target} exists and was not downloaded by rdad; name another place")
    if source.url is None:
        raise DownloadError(f"{terms}. Fetch it by hand from {source.page}. Put it in {target}")
    if not accept:
        raise DownloadError(f"{terms}. If you accept that, say accept=true")
    log.info("%s", terms)
    target.parent.mkdir(parents=True, exist_ok=True)
    archive = target.with_name(f".{target.name}.archive")
    with lock(archive.with_suffix(".lock")):
        if not target.exists():  # another process may have been here
            try:
                _unpack(_fetched(source, archive), target, source)
            except OSError as error:
                raise explained(error, archive) from error
            archive.unlink()
    return target


def _fetched(source: Source, archive: Path) -> Path:
    """The archive, once its checksum is the published one."""
    from pooch import retrieve

    def fetch(url: str, output_file: Any, _: Any) -> None:
        """What pooch calls; it checks, and moves, what lies there then."""
        partial, idle = archive.with_suffix(".partial"), 0
        while idle < ATTEMPTS:
            before = _length(partial)
            if _received(url, partial, source):
                partial.replace(output_file)
                return
            idle = 0 if _length(partial) > before else idle + 1
            time.sleep(PAUSE_S * idle)
        raise DownloadError(
            f"{source.title}: nothing more came from {url} in {ATTEMPTS} attempts; "
            f"{_length(partial):,} bytes are kept, and the same command goes on from there"
        )

    assert source.url is not None
    downloader: Any = fetch  # pooch's type of it names arguments that it does not give
    try:
        retrieve(source.url, source.digest, archive.name, archive.parent, downloader=downloader)
    except ValueError as error:  # pooch has removed what it is about
        raise DownloadError(
            f"{source.title}: what {source.url} gave is not the published archive, and was "
            f"removed ({error})"
        ) from error
    return archive


def _received(url: str, partial: Path, source: Source) -> bool:
    """Go on with what is there; gives whether it is whole then."""
    import requests

    have = _length(partial)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
                return True  # nothing is missing, or too much: the checksum will say
            answer.raise_for_status()
            _write(answer, partial, have, source)
        return True
    except requests.RequestException as error:
        refused = error.response is not None and error.response.status_code < 500
        if refused:
            raise DownloadError(f"{source.title}: {error}") from error
        log.warning("%s: %s", source.title, error)
        return False


def _write(answer: "requests.Response", partial: Path, have: int, source: Source) -> None:
    """Append what comes; a server that cannot go on in the middle begins anew."""
    from tqdm import tqdm

    if answer.status_code != 206:
        have = 0
    coming = int(answer.headers.get("Content-Length", 0))
    total = have + coming or source.size
    _check_space(partial, missing=total - have, unpacked=total)
    with (
        partial.open("ab" if have else "wb") as file,
        tqdm(total=total or None, initial=have, unit="B", unit_scale=True) as bar,
    ):
        for chunk in answer.iter_content(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))


def _check_space(place: Path, *, missing: int, unpacked: int) -> None:
    """Images hardly shrink in an archive, so unpacked they take as much again."""
    needed, free = missing + unpacked, shutil.disk_usage(place.parent).free
    if needed > free:
        raise DownloadError(
            f"not enough space in {place.parent.absolute()}: {needed:,} bytes are needed for the "
            f"archive and its content, {free:,} are free"
        )


def _unpack(archive: Path, target: Path, source: Source) -> None:
    """Make the folder of a whole archive's files; links and paths that lead out are refused."""
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    try:
        for name, content in _files(archive):
            path = PurePosixPath(name.replace("\\", "/"))
            if content is None or path.is_absolute() or ".." in path.parts:
                raise DownloadError(f"{source.title}: {name!r} in its archive is not safe")
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as written, content() as read:
                shutil.copyfileobj(read, written, CHUNK_BYTES)
        place = draft
        while len(inside := list(place.iterdir())) == 1 and inside[0].is_dir():
            place = inside[0]  # archives often hold one folder that holds all
        receipt = {"title": source.title, "url": source.url, "digest": source.digest}
        write_json(place / RECEIPT, receipt)
        place.rename(target)
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise DownloadError(f"{source.title}: its archive is damaged ({error})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _files(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]] | None]]:
    """The name of each file in a tar or zip archive, and what opens it: None if it is no file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                link = entry.external_attr >> 16 & 0o170000 == 0o120000
                if not entry.is_dir():
                    yield entry.filename, None if link else lambda entry=entry: packed.open(entry)
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            opened = packed.extractfile(member) if member.isreg() else None
            if not member.isdir():
                yield member.name, None if opened is None else lambda opened=opened: opened


def _length(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
