"""A connection to workers: opened within a stated time, or refused in one sentence."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Any

from pipeline.cluster.guard import main_for_workers
from pipeline.cluster.local import local_cluster, restore, silence
from pipeline.errors import ClusterError, InputError

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
CONNECT_SECONDS = 20
"""For a scheduler to answer, and to come back after it was lost."""
WORKERS_SECONDS = 120
"""For the first worker to appear."""
POLL_SECONDS = 0.02
STAYS = "what is finished stays, start again and it goes on from there"


@dataclass(frozen=True)
class Workers:
    """Workers that were found, as the user called them, and their scheduler's connection."""

    client: "Client"
    name: str

    def known(self) -> Mapping[str, Any]:
        """Return what the scheduler says of each worker, by address; raises ClusterError."""
        try:
            found: Mapping[str, Any] = self.client.scheduler_info(n_workers=-1)["workers"]
        except OSError as error:  # timeouts and broken connections alike
            raise self.gone() from error
        return found

    @property
    def is_running(self) -> bool:
        """Whether the scheduler is connected."""
        return bool(self.client.status == "running")

    def check(self) -> None:
        """Raise `ClusterError` if the scheduler is gone for good."""
        if self.client.status in ("closed", "closing"):
            raise self.gone()

    def wait(self) -> None:
        """Wait for the scheduler to be back; raise `ClusterError` if it is gone for good."""
        while not self.is_running:
            self.check()
            sleep(POLL_SECONDS)

    def gone(self) -> ClusterError:
        """Return the error that says that the scheduler is gone."""
        return ClusterError(
            f"expected the scheduler of --cluster {self.name} to stay, received no answer for "
            f"{CONNECT_SECONDS} seconds: it ended or cannot be reached; {STAYS}"
        )


@contextmanager
def connected(cluster: str, n_local: int | None = None) -> Iterator[Workers]:
    """Yield workers, and let go of them afterwards; those of this machine end with it.

    ``local``, ``local:N`` or the address of a Dask scheduler says which; ``n_local`` workers are
    what ``local`` means, None for one a GPU or by the cores.

    Raises:
        InputError: Dask is not installed.
        ClusterError: The scheduler does not answer, or has no workers; or workers of this machine
            would start the program again.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise InputError(
            "expected the packages dask and distributed for --cluster, received neither: "
            "pip install 'bottleneck-pipeline[cluster]'"
        ) from error
    levels = silence()
    with ExitStack() as stack:
        stack.callback(restore, levels)
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"distributed\.")
        scheduler: Any = cluster
        if cluster.startswith(LOCAL):
            stack.enter_context(main_for_workers(cluster))
            number = cluster.partition(":")[2]
            scheduler = stack.enter_context(local_cluster(int(number) if number else n_local))
        yield Workers(stack.enter_context(_client(scheduler, cluster)), cluster)


@contextmanager
def _client(scheduler: Any, cluster: str) -> Iterator["Client"]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"expected a Dask scheduler at {cluster}, received no answer within "
            f"{CONNECT_SECONDS} seconds; start one with `dask scheduler`, check host and port, or "
            f"use --cluster local"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except OSError as error:
            raise ClusterError(
                f"expected workers at {cluster}, received none within {WORKERS_SECONDS} seconds; "
                f"start some with `dask worker {cluster} --nthreads 1`"
            ) from error
        yield client
