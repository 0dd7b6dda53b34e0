"""Pictures behind URLs, in fsspec's memory file system and on a web server of our own."""

import functools
import http.server
import io
import sys
import threading

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, remote, resolve_location, scan
from tests.images.test_archives import make_tar, make_zip
from tests.images.test_patterns import KAGGLE
from tests.images.test_sources import PLAIN, SPLIT, make

fsspec = pytest.importorskip("fsspec")
aiohttp = pytest.importorskip("aiohttp")


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True) if system.ls("/") else None
    yield system
    system.rm("/", recursive=True) if system.ls("/") else None


def put(system, names, root="/pets"):
    for name in names:
        system.pipe_file(f"{root}/{name}", name.encode())


@pytest.mark.parametrize("names", [PLAIN, SPLIT])
def test_a_remote_folder(memory, names):
    put(memory, (*names, ".hidden/1.jpg", "notes.txt"))
    dataset = index("memory://pets/")
    assert dataset.paths == tuple(sorted(names))
    assert dataset.location == "memory://pets"
    assert dataset.name == "pets"
    assert dataset.read(0) == dataset.paths[0].encode()
    assert dataset.ignored == ("notes.txt",)


def test_a_remote_folder_of_numbered_names(memory):
    put(memory, KAGGLE)
    assert scan("memory://pets").labels == ("cat",) * 4 + ("dog",) * 4
    assert (
        scan("memory://pets", DataConfig(label_pattern="{label}.{}")).labels
        == ("cat",) * 4 + ("dog",) * 4
    )


@pytest.mark.parametrize(("name", "maker"), [("pets.zip", make_zip), ("pets.tar", make_tar)])
def test_a_remote_archive(memory, tmp_path, name, maker):
    names = [f"wrapped/{inner}" for inner in PLAIN]
    memory.pipe_file(f"/{name}", maker(tmp_path / name, names).read_bytes())
    dataset = index(f"memory://{name}")
    assert dataset.paths == tuple(names)
    assert dataset.name == "pets"
    assert [dataset.read(row) for row in range(4)] == [path.encode() * 50 for path in names]


def test_a_remote_manifest(memory):
    put(memory, PLAIN)
    rows = "cats/1.jpg,a\nmemory://pets/cats/2.jpg,a\ndogs/1.jpg,b\n/pets/dogs/2.jpg,b\ngone.jpg,b"
    memory.pipe_file("/pets/t.csv", f"path,label\n{rows}".encode())
    dataset = index("memory://pets/t.csv")
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert sorted(dataset.read(row) for row in range(4)) == sorted(p.encode() for p in PLAIN)
    assert [path for path, _ in dataset.unreadable] == ["gone.jpg"]


def test_an_empty_remote_folder(memory):
    with pytest.raises(InputError, match=r"cannot read memory://nothing: .*; check the URL"):
        scan("memory://nothing")
    put(memory, ["notes.txt"])
    with pytest.raises(DataError, match="expected pictures in class folders in memory://pets"):
        scan("memory://pets")


@pytest.mark.parametrize("name", ["gone.zip", "gone.csv"])
def test_a_remote_file_that_is_not_there(memory, name):
    with pytest.raises(InputError, match=f"cannot read memory://{name}: .*check the URL and the"):
        scan(f"memory://{name}")


def test_a_remote_file_that_vanishes(memory):
    put(memory, PLAIN)
    dataset = index("memory://pets")
    memory.rm("/pets/cats/1.jpg")
    with pytest.raises(OSError, match=r".+"):
        dataset.read(0)


def test_an_unknown_protocol():
    with pytest.raises(
        InputError,
        match=r"with one of http, .* received nix://pets: fetch",
    ):
        scan("nix://pets")


def test_a_protocol_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(InputError, match=r"cannot read s3:.*s3fs.*; pip install s3fs"):
        scan("s3://bucket/pets")


def test_urls_without_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(InputError, match="expected the package fsspec for memory://pets, which is"):
        scan("memory://pets")


def test_passwords_are_kept_out_of_what_is_written():
    assert resolve_location("ftp://me:secret@host:21/a/b/") == "ftp://me@host:21/a/b"
    assert resolve_location("s3://bucket/pets") == "s3://bucket/pets"
    assert resolve_location("https://host/a.zip?signature=1") == "https://host/a.zip"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and parts of files if asked for."""

    parts = True

    def log_message(self, *arguments):
        pass

    def send_head(self):
        wanted = self.headers.get("Range") if self.parts else None
        if wanted is None:
            return super().send_head()
        with open(self.translate_path(self.path), "rb") as file:
            content = file.read()
        first, last = wanted.removeprefix("bytes=").split("-")
        stop = min(int(last or len(content)) + 1, len(content))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - int(first)))
        self.end_headers()
        self.wfile.write(content[int(first) : stop])
        return None


class WholeFilesOnly(Handler):
    parts = False


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # so that closing it waits for its answers, and what they print is seen

    def handle_error(self, request, client_address):
        """A client that has read enough is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def serve(tmp_path, capfd):
    """Serve a folder; gives its URL. What breaks in the server itself is seen at the end."""
    pytest.importorskip("aiohttp")
    servers = []

    def start(handler=Handler):
        handler = functools.partial(handler, directory=str(tmp_path))
        server = Server(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "Traceback" not in capfd.readouterr().err


def test_a_folder_on_the_web(tmp_path, serve):
    names = tuple(path.replace("cats", "big cats") for path in PLAIN)
    make(tmp_path / "pets", *names, "notes.txt")
    dataset = index(f"{serve()}/pets")
    assert dataset.paths == names
    assert dataset.classes == ("big cats", "dogs")
    assert dataset.read(0) == names[0].encode()


@pytest.mark.parametrize(("name", "maker"), [("pets.zip", make_zip), ("pets.tar", make_tar)])
def test_an_archive_on_the_web(tmp_path, serve, name, maker):
    maker(tmp_path / name, PLAIN)
    dataset = index(f"{serve()}/{name}")
    assert dataset.read(3) == PLAIN[3].encode() * 50


def test_a_manifest_on_the_web(tmp_path, serve):
    make(tmp_path, *PLAIN)
    rows = "".join(f"{path},{path[:3]}\n" for path in PLAIN)
    (tmp_path / "t.csv").write_text(f"path,label\n{rows}gone.jpg,cat\n")
    dataset = index(f"{serve()}/t.csv")
    assert dataset.paths == PLAIN
    assert [path for path, _ in dataset.unreadable] == ["gone.jpg"]


def test_a_server_that_is_not_there(serve):
    with pytest.raises(InputError, match=r"cannot read http:.*onnect.*check the URL"):
        scan("http://127.0.0.1:1/pets")
    url = serve()
    with pytest.raises(InputError, match=r"cannot read .*/gone.*check the URL"):
        scan(f"{url}/gone")


def test_a_server_that_sends_files_only_whole(tmp_path, serve):
    make_zip(tmp_path / "pets.zip", [f"{label}/{i}.jpg" for label in "ab" for i in range(9)])
    with (tmp_path / "pets.zip").open("r+b") as file:  # a small one comes whole with its start
        content = file.read()
        file.seek(0)
        file.write(bytes(12 << 20) + content)
    with pytest.raises(InputError, match=r"pets.zip"):
        scan(f"{serve(WholeFilesOnly)}/pets.zip")


def test_the_web_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
    for protocol in ("http", "https"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, protocol, raising=False)
    with pytest.raises(InputError, match=r"cannot read http://host/pets: .*; pip install aiohttp"):
        scan("http://host/pets")


class Dropped(io.BytesIO):
    """Stands for a connection that is lost while a file is read."""

    def read(self, size=-1):
        raise aiohttp.ServerDisconnectedError("gone")


@pytest.mark.parametrize(("name", "maker"), [("pets.zip", make_zip), ("pets.tar", make_tar)])
def test_lost_connection_costs_the_files_that_were_being_read(memory, tmp_path, name, maker):
    memory.pipe_file(f"/{name}", maker(tmp_path / name, PLAIN).read_bytes())
    dataset = index(f"memory://{name}")
    broken = io.BufferedReader(remote._RemoteFile(Dropped(b"0" * 100)))
    with pytest.raises(OSError, match="gone"):
        broken.read(10)
    assert dataset.read(0) == dataset.paths[0].encode() * 50
