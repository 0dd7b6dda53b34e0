"""Which URLs are read at all, and what is told of those that fail."""

import pytest

from pipeline.errors import InputError, without_secrets
from pipeline.system.filesystems import check_url, reason_of

READ = (
    "http://h/x",
    "https://h/x",
    "s3://b/x",
    "gs://b/x",
    "gcs://b/x",
    "az://c/x",
    "abfs://c@a/x",
)
REFUSED = (
    "dask://h/x",
    "reference://x",
    "github://o:r@/x",
    "git://x",
    "ssh://h/x",
    "sftp://h/x",
    "ftp://h/x",
    "smb://h/x",
    "simplecache::https://h/x",
    "filecache://x",
    "memory://x::dask://h",
    "zip://a.jpg::https://h/a.zip",
    "HTTP://h/x",
    " http://h/x",
    "://x",
)


@pytest.mark.parametrize("url", READ)
def test_these_are_read(url):
    assert check_url(url) == url.partition("://")[0]


@pytest.mark.parametrize("url", REFUSED)
def test_others_are_one_sentence(url):
    with pytest.raises(InputError, match=r"with one of http, .*, or give the URL of a"):
        check_url(url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("read https://me:pw@host/a: no", "read https://me@host/a: no"),
        ("s3://key:se/cret@bucket/x", "s3://key@bucket/x"),
        ("ftp://me:p@ss@host", "ftp://me@host"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("memory://x: me@home", "memory://x: me@home"),
        ("https://host/a.zip?sig=1; try", "https://host/a.zip; try"),
        ("url='https://host/a?sig=1'", "url='https://host/a'"),
        ("1.jpg?w=3", "1.jpg?w=3"),
    ],
)
def test_secrets_are_left_out(text, shown):
    assert without_secrets(text) == shown
    assert str(InputError(text)) == shown


def test_reasons_repeat_no_password():
    url = "sftp://me:p%40ss@host/x"
    error = OSError("login of me with p@ss at sftp://me:p%40ss@host failed")
    assert reason_of(error, url) == "login of me with *** at sftp://me@host failed"
    assert reason_of(OSError(), url) == "OSError"
