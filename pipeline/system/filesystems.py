"""What the file systems behind fsspec raise: each package has exceptions of its own."""

import re
import sys

PASSWORD = re.compile(r"(://[^/:@]*):([^/]*)@")


def failures() -> tuple[type[Exception], ...]:
    """Return what file systems let out when they fail: not all of it is OSError."""
    foreign = (kind for place in _FOREIGN_ERRORS for kind in _errors_of(*place))
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


def _errors_of(module: str, name: str) -> tuple[type[Exception], ...]:
    """Return an exception type of a package that is in use, without importing it."""
    kind = getattr(sys.modules.get(module), name, None)
    return (kind,) if isinstance(kind, type) and issubclass(kind, Exception) else ()


def without_password(url: str) -> str:
    """Return a URL as it may be shown and saved: sftp://me@host of sftp://me:secret@host."""
    return PASSWORD.sub(r"\1@", url)
