"""Public data sets fetched from a server on loopback that behaves as badly as real ones."""

import hashlib
import io
import os
import resource
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from rdad import download as command
from rdad.config.build import build, prepared
from rdad.config.checks import check
from rdad.config.compose import load_config
from rdad.data import download as module
from rdad.data.download import DownloadError, download
from rdad.data.sources import SOURCES, Source

FILES = {"set/bolt/train/good/000.png": os.urandom(300_000), "set/licence.txt": b"yours"}


def tar(files: dict[str, bytes] = FILES, links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
        for name, to in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, to
            packed.addfile(entry)
    return buffer.getvalue()


def zipped(files: dict[str, bytes] = FILES) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Server:
    """What it gives, where it breaks off, and what it was asked for."""

    content: bytes = b""
    breaks: list[int] = field(default_factory=list)  # bytes after which each answer ends
    ranges: bool = True
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            start = int(wanted[6:-1]) if wanted and state.ranges else 0
            if state.status != 200:
                self.send_error(state.status)
                return
            if start >= len(state.content):
                self.send_error(416)
                return
            rest = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: state.breaks.pop(0)] if state.breaks else rest)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.url = f"http://127.0.0.1:{running.server_port}/set"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield state
        running.shutdown()


@pytest.fixture
def offer(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Make the server give this archive as the set `small`."""
    monkeypatch.setattr(module, "PAUSE_S", 0)
    monkeypatch.setattr(module, "CHUNK_BYTES", 500)

    def publish(archive: bytes, digest: str | None = None) -> None:
        server.content = archive
        digest = digest or hashlib.sha256(archive).hexdigest()
        small = Source("Small", "CC0", "nobody", url=server.url, digest=f"sha256:{digest}")
        monkeypatch.setitem(SOURCES, "small", small)

    return publish


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_set_is_unpacked_without_the_folder_that_holds_all(
    pack: Callable[[], bytes], offer: Callable[[bytes], None], server: Server, tmp_path: Path
) -> None:
    offer(pack())
    folder = download("small", tmp_path / "data" / "small", accept=True)
    for name, content in FILES.items():
        assert (folder / name.removeprefix("set/")).read_bytes() == content
    assert sorted(path.name for path in folder.parent.iterdir()) == [".small.lock", "small"]
    download("small", folder, accept=True)
    assert len(server.asked) == 1


def test_a_cut_connection_goes_on_where_it_broke(
    offer: Callable[[bytes], None], server: Server, tmp_path: Path
) -> None:
    offer(tar())
    server.breaks = [1000, 2000]
    assert download("small", tmp_path / "small", accept=True).is_dir()
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]


def test_another_attempt_goes_on_where_the_last_one_ended(
    offer: Callable[[bytes], None], server: Server, tmp_path: Path
) -> None:
    offer(tar())
    server.breaks = [1000, *[0] * module.ATTEMPTS]
    with pytest.raises(DownloadError, match=r"1,000 bytes are kept.*goes on from there"):
        download("small", tmp_path / "small", accept=True)
    assert not (tmp_path / "small").exists()
    assert download("small", tmp_path / "small", accept=True).is_dir()
    assert server.asked[-1] == "bytes=1000-"


def test_a_server_that_cannot_go_on_begins_anew(
    offer: Callable[[bytes], None], server: Server, tmp_path: Path
) -> None:
    offer(tar())
    server.breaks, server.ranges = [1000], False
    assert download("small", tmp_path / "small", accept=True).is_dir()


def test_an_archive_with_another_checksum_is_refused_and_removed(
    offer: Callable[..., None], tmp_path: Path
) -> None:
    offer(tar(), digest="0" * 64)
    with pytest.raises(DownloadError, match="is not the published archive"):
        download("small", tmp_path / "small", accept=True)
    assert [path.name for path in tmp_path.iterdir()] == [".small.lock"]


@pytest.mark.parametrize(
    "archive",
    [
        tar({"ok.png": b"1", "../out.png": b"2"}),
        tar({"/out.png": b"2"}),
        tar({"ok.png": b"1"}, links={"link": "/etc/passwd"}),
        zipped({"ok.png": b"1", "../out.png": b"2"}),
        zipped({"..\\out.png": b"2"}),
    ],
    ids=["tar ..", "tar absolute", "tar link", "zip ..", "zip backslash"],
)
def test_an_archive_that_leads_out_is_refused_whole(
    archive: bytes, offer: Callable[[bytes], None], tmp_path: Path
) -> None:
    offer(archive)
    place = tmp_path / "deep"
    with pytest.raises(DownloadError, match="in its archive is not safe"):
        download("small", place / "small", accept=True)
    assert not (place / "small").exists()
    assert {path.name for path in tmp_path.rglob("*")} == {"deep", ".small.lock", ".small.archive"}


def test_a_damaged_archive_is_no_set(offer: Callable[[bytes], None], tmp_path: Path) -> None:
    offer(tar()[:-2000])
    with pytest.raises(DownloadError, match="damaged"):
        download("small", tmp_path / "small", accept=True)
    assert not (tmp_path / "small").exists()


def test_twice_at_once_is_fetched_once(
    offer: Callable[[bytes], None], server: Server, tmp_path: Path
) -> None:
    offer(tar())
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(download, "small", tmp_path / "small", accept=True) for _ in range(2)]
    assert [one.result() for one in both] == [tmp_path / "small"] * 2
    assert len(server.asked) == 1


def test_a_disk_too_small_is_said_before_anything_is_fetched(
    offer: Callable[[bytes], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(tar())
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DownloadError, match=r"not enough space .* 100 are free"):
        download("small", tmp_path / "small", accept=True)
    assert not (tmp_path / ".small.partial").exists()


def test_a_disk_that_fills_leaves_no_set(offer: Callable[[bytes], None], tmp_path: Path) -> None:
    offer(tar())
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            download("small", tmp_path / "small", accept=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not (tmp_path / "small").exists()
    assert (tmp_path / ".small.partial").stat().st_size == 100_000
    assert download("small", tmp_path / "small", accept=True).is_dir()


def test_a_refusing_server_is_named(
    offer: Callable[[bytes], None], server: Server, tmp_path: Path
) -> None:
    offer(tar())
    server.status = 404
    with pytest.raises(DownloadError, match="404"):
        download("small", tmp_path / "small", accept=True)
    assert len(server.asked) == 1


def test_a_licence_is_shown_and_has_to_be_accepted(
    offer: Callable[[bytes], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    offer(tar())
    monkeypatch.setitem(SOURCES, "mvtec_ad", SOURCES["small"])
    root = tmp_path / "my data"
    assert command.main(["mvtec_ad", f"root={root}"]) == 1
    assert "Small: licence CC0; cite nobody. If you accept that, say accept=true" in (
        capsys.readouterr().err
    )
    assert command.main(["mvtec_ad", f"root={root}", "accept=true"]) == 0
    printed = capsys.readouterr().out
    given = f"dataset=mvtec_ad 'dataset.root={root}/mvtec_ad' dataset.category=bolt\n"
    assert printed.endswith(f"  python -m rdad.train {given}")


def test_a_data_set_that_is_not_there_is_fetched_where_that_is_asked_for(
    offer: Callable[[bytes], None], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(picture, "PNG")
    splits = ("train/good", "test/good", "test/hole")
    places = [f"set/{category}/{split}" for category in ("bolt", "nut") for split in splits]
    offer(tar({f"{place}/000.png": picture.getvalue() for place in places}))
    monkeypatch.setitem(SOURCES, "mvtec_ad", SOURCES["small"])
    chosen = ["dataset=mvtec_ad", f"dataset.root={tmp_path}/new", "dataset.category=bolt"]
    check(cfg := load_config(*chosen, "dataset.download=true"))
    images = prepared(build(cfg.dataset))
    assert [one.image.parent for one in images.train_samples] == [tmp_path / "new/bolt/train/good"]
    prepared(build(cfg.dataset))
    assert len(server.asked) == 1


def test_a_set_behind_a_form_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"by hand from https.*Put it in .*real_iad"):
        download("real_iad", tmp_path / "real_iad", accept=True)


def test_a_folder_of_ones_own_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="was not downloaded by rdad"):
        download("visa", tmp_path, accept=True)


def test_an_unknown_set_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known are autovi, btad,"):
        download("visaa", tmp_path / "visaa", accept=True)


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_can_be_checked_or_says_where_to_go(name: str) -> None:
    source = SOURCES[name]
    assert source.title and source.licence and source.cite
    if source.url is None:
        assert "https://" in source.page
    else:
        kind, _, digest = (source.digest or "").partition(":")
        assert len(bytes.fromhex(digest)) == {"sha256": 32, "md5": 16}[kind]


def test_a_home_that_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["btad", "root=~nobody-of-that-name"]) == 1
    assert "no home folder is known" in capsys.readouterr().err
