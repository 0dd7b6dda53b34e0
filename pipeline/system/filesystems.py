"""The file systems behind fsspec: which are used, and what they raise.

fsspec knows some that run code of whom they reach (``dask``), or start programs. So what can be
read is a list, and chains of several are not read at all.
"""

import sys
from urllib.parse import unquote

from pipeline.errors import PASSWORD, InputError, without_secrets

PACKAGES = {
    **{"http": "aiohttp", "https": "aiohttp"},
    **{"s3": "s3fs", "s3a": "s3fs"},
    **{"gs": "gcsfs", "gcs": "gcsfs"},
    **{"az": "adlfs", "abfs": "adlfs"},
    **{"file": "fsspec", "memory": "fsspec"},
}
"""Protocols by which data are read, and the package of each."""


def check_url(url: str) -> str:
    """Return the protocol of a URL that may be read.

    Raises:
        InputError: It is another's, or the URL is a chain, of which every link opens the next.
    """
    protocol = url.partition("://")[0]
    if protocol not in PACKAGES or "::" in url:
        chain = " and no :: in it" if protocol in PACKAGES else ""
        raise InputError(
            f"expected a URL with one of {', '.join(PACKAGES)} before ://{chain}, received {url}: "
            f"fetch the pictures and give their folder, or give the URL of a .zip or .tar file"
        )
    return protocol


def failures() -> tuple[type[Exception], ...]:
    """Return what file systems let out when they fail: not all of it is OSError."""
    # Of packages that are in use, without importing any.
    found = (getattr(sys.modules.get(module), name, None) for module, name in _FOREIGN_ERRORS)
    foreign = (kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))
    return (OSError, ValueError, EOFError, *foreign)


_FOREIGN_ERRORS = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko", "SSHException"),
    ("smbprotocol.exceptions", "SMBException"),
)


def reason_of(error: BaseException, url: str) -> str:
    """Return what was behind it all, as file systems often only repeat the URL; no secret of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    found = PASSWORD.search(url)
    if found is not None and (secret := found[2]):
        # Not encoded, a slash seems to end it.
        for one in (secret, unquote(secret), f":{secret.partition('/')[0]}"):
            text = text.replace(one, "***")
    return without_secrets(text)[:200] if text else type(error).__name__
