"""How findings look: what is worst comes first, and no list is longer than 20 lines."""

from collections.abc import Sequence

from pipeline.cli.show.results import (
    Value,
    failure,
    left_out,
    lines,
    listed,
    not_used,
    pictures,
    say,
)
from pipeline.system.units import counted

MAX_NAMED = 4


def checked(value: Value) -> None:
    """Say what is in the data; first what spoils figures, then what spoils learning."""
    _overview(value)
    for note in value["notes"]:
        say(f"beware: {note}")
    _leaks(value)
    groups = value["duplicates"]
    contradictory = [group for group in groups if group["contradictory"]]
    alike = "of the same or nearly the same picture with different labels"
    listed("group", alike, contradictory, _group)
    if (agreement := value["label_agreement"]) is not None:
        what = f"that look wrong to heads that call {agreement:.1%} of unseen pictures alike"
        listed("label", what, value["suspects"], _suspect)
    left_out(value["unreadable"], value["found"], each=True)
    listed("picture", "of which something is lost or hardly seen", value["remarks"], failure)
    rest = [group for group in groups if not group["contradictory"]]
    listed("group", "of byte-identical pictures", [g for g in rest if g["exact"]], _group)
    listed("group", "of near-duplicates", [g for g in rest if not g["exact"]], _group)
    if value["near"] is not None:
        say(f"near-duplicates have a {value['near']['rule']}")
    kinds = ("notes", "leaks", "duplicates", "suspects", "unreadable", "remarks")
    if not any(value[name] for name in kinds):
        say("nothing suspicious was found")


def learned(value: Value) -> None:
    """Print a learning curve, and whether more pictures would help."""
    for point in value["points"]:
        say(f"{point['n']:>8} pictures  {_accuracy(point)}")
    say(value["sentence"])


def mistaken(pairs: Sequence[Value], surest: Sequence[Value]) -> None:
    """Print the most confused pairs of classes, and the surest mistakes."""
    for title, rows, line in (
        ("most often confused", pairs, _pair),
        ("surest mistakes", surest, _mistake),
    ):
        if rows:
            say(f"{title}:")
            lines(rows, line)


def _overview(value: Value) -> None:
    splits = ", ".join(f"{name} {count}" for name, count in value["splits"].items())
    say(f"{pictures(value)} of {len(value['classes'])} classes: {splits}")
    classes = [{"name": name, "counts": counts} for name, counts in value["classes"].items()]
    lines(sorted(classes, key=lambda one: sum(one["counts"].values())), _class)
    say(f"read so: {value['reading']['sentence']}")
    _tree(value["tree"]["folders"], 1)
    say(value["imbalance"]["sentence"])
    not_used(value["unused"], MAX_NAMED)


def _tree(folders: Sequence[Value], depth: int) -> None:
    """Print folders with their pictures, those of one folder on few lines."""
    indent = "  " * depth
    for folder in folders[:MAX_NAMED]:
        role = "" if folder["is"] == "all" else f" ({folder['is']})"
        say(f"{indent}{folder['name']}{role}: {counted(folder['pictures'], 'picture')}")
        _tree(folder["folders"], depth + 1)
    if rest := folders[MAX_NAMED:]:
        n_pictures = sum(folder["pictures"] for folder in rest)
        say(f"{indent}and {len(rest)} more: {counted(n_pictures, 'picture')}")


def _class(one: Value) -> str:
    counts = ", ".join(f"{split} {count}" for split, count in one["counts"].items())
    return f"{one['name']}: {counts}"


def _leaks(value: Value) -> None:
    listed("picture", "to judge by, given away by one of another split", value["leaks"], _leak)
    test = value["test"]
    if test is None or test["leaked"] is None:
        return
    without = test["without_leaks"]
    rest = "none is left without them"
    if without is not None:
        rest = f"{_accuracy(without)} on the {without['n']} that are not given away"
    say(
        f"accuracy of {test['head']} on {test['split']}: {_accuracy(test['all'])} on all "
        f"{test['all']['n']}, {rest}"
    )


def _accuracy(judged: Value) -> str:
    low, high = judged["ci95"]
    return f"{judged['accuracy']:.4f} ({low:.3f} – {high:.3f})"


def _leak(row: Value) -> str:
    likeness = "the same bytes as" if row["exact"] else f"{row['similarity']:.3f} like"
    other = row["other"]
    label = "" if other["label"] == row["label"] else f", which is labelled {other['label']}"
    more = f" and {row['n_others'] - 1} more" if row["n_others"] > 1 else ""
    return f"{row['path']} is {likeness} {other['path']}{more}{label}"


def _group(group: Value) -> str:
    pictures = group["pictures"]
    form = "{path} ({label})" if group["contradictory"] else "{path}"
    named = [form.format_map(picture) for picture in pictures[:MAX_NAMED]]
    more = f" and {len(pictures) - MAX_NAMED} more" if len(pictures) > MAX_NAMED else ""
    likeness = "" if group["exact"] else f" ({group['similarity']:.3f})"
    return f"{', '.join(named)}{more}{likeness}"


def _suspect(row: Value) -> str:
    return (
        f"{row['path']}: labelled {row['label']} ({row['probability']:.3f}), looks like "
        f"{row['suggested']} ({row['suggested_probability']:.3f})"
    )


def _pair(row: Value) -> str:
    return (
        f"{row['class']} called {row['called']}: {row['count']} ({row['share']:.1%}), e.g. "
        f"{', '.join(row['paths'])}"
    )


def _mistake(row: Value) -> str:
    return (
        f"{row['path']}: {row['label']} ({row['given_probability']:.3f}), called "
        f"{row['prediction']} ({row['probability']:.3f})"
    )
