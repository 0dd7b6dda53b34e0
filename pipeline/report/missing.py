"""What a report could not show: why, and the command that would make it."""

from dataclasses import asdict, dataclass, field

from pipeline.evaluate.plots.names import visible


@dataclass(frozen=True)
class Missing:
    """One thing that is not there.

    Args:
        section: What it is.
        about: The run or data set.
        reason: Why it is not there.
        command: What would make it; empty where no command would.
    """

    section: str
    about: str
    reason: str
    command: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass
class Notes:
    """Collects what is missing while the sections are made."""

    missing: list[Missing] = field(default_factory=list)

    def add(self, section: str, about: str, reason: str, command: str = "") -> Missing:
        """Note one thing, and return it for its section."""
        one = Missing(section, visible(about), visible(reason), command)
        self.missing.append(one)
        return one
