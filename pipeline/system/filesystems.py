"""What the file systems behind fsspec raise: each package has exceptions of its own."""

import re
import sys

PASSWORD = re.compile(r"(://[^/:@]*):([^/]*)@")


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


def without_password(url: str) -> str:
    """Return a URL as it may be shown and saved: sftp://me@host of sftp://me:secret@host."""
    return PASSWORD.sub(r"\1@", url)
