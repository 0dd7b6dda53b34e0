"""How findings look: what is worst comes first, and no list is longer than 20 lines."""

from collections.abc import Callable, Sequence

from pipeline.cli.show.results import Value
from pipeline.system.units import counted

MAX_LISTED = 20
MAX_NAMED = 4


def checked(value: Value) -> None:
    """Say what is in the data; first what spoils figures, then what spoils learning."""
    _overview(value)
    for note in value["notes"]:
        print(f"beware: {note}")
    _leaks(value)
    duplicates = value["duplicates"]
    contradictory = [group for group in duplicates if group["contradictory"]]
    _listed(
        "group",
        "of the same or nearly the same picture with different labels",
        contradictory,
        _group,
    )
    _suspects(value)
    _listed("picture", "that cannot be used", value["unreadable"], _failure)
    rest = [group for group in duplicates if not group["contradictory"]]
    _listed("group", "of byte-identical pictures", [g for g in rest if g["exact"]], _group)
    _listed("group", "of near-duplicates", [g for g in rest if not g["exact"]], _group)
    if value["near"] is not None:
        print(f"near-duplicates have a {value['near']['rule']}")
    if not any(value[name] for name in ("leaks", "duplicates", "suspects", "unreadable")):
        print("nothing suspicious was found")


def learned(value: Value) -> None:
    """Print a learning curve, and whether more pictures would help."""
    for point in value["points"]:
        low, high = point["ci95"]
        print(f"{point['n']:>8} pictures  {point['accuracy']:.4f} ({low:.3f} – {high:.3f})")
    print(value["sentence"])


def mistaken(pairs: Sequence[Value], surest: Sequence[Value]) -> None:
    """Print the most confused pairs of classes, and the surest mistakes."""
    for title, rows, line in (
        ("most often confused", pairs, _pair),
        ("surest mistakes", surest, _mistake),
    ):
        if rows:
            print(f"{title}:")
            _lines(rows, line)


def _overview(value: Value) -> None:
    splits = ", ".join(f"{name} {count}" for name, count in value["splits"].items())
    print(f"{value['images']} pictures of {len(value['classes'])} classes: {splits}")
    smallest_first = sorted(value["classes"].items(), key=lambda pair: sum(pair[1].values()))
    for name, counts in smallest_first[:MAX_LISTED]:
        print(f"  {name}: {', '.join(f'{split} {count}' for split, count in counts.items())}")
    _more(len(smallest_first) - MAX_LISTED)
    print(value["imbalance"]["sentence"])
    if value["unused"]:
        listed = ", ".join(value["unused"][:MAX_NAMED])
        more = ", …" if len(value["unused"]) > MAX_NAMED else ""
        print(f"{len(value['unused'])} files or folders are not used: {listed}{more}")


def _leaks(value: Value) -> None:
    _listed("picture", "to judge by, given away by one of another split", value["leaks"], _leak)
    test = value["test"]
    if test is None or test["leaked"] is None:
        return
    without = test["without_leaks"]
    rest = "none is left without them"
    if without is not None:
        rest = f"{_accuracy(without)} on the {without['n']} that are not given away"
    print(
        f"accuracy of {test['head']} on {test['split']}: {_accuracy(test['all'])} on all "
        f"{test['all']['n']}, {rest}"
    )


def _suspects(value: Value) -> None:
    agreement = value["label_agreement"]
    if agreement is not None:
        what = f"that look wrong to heads that call {agreement:.1%} of unseen pictures alike"
        _listed("label", what, value["suspects"], _suspect)


def _accuracy(judged: Value) -> str:
    low, high = judged["ci95"]
    return f"{judged['accuracy']:.4f} ({low:.3f} – {high:.3f})"


def _listed(one: str, what: str, rows: Sequence[Value], line: Callable[[Value], str]) -> None:
    if not rows:
        return
    print(f"{counted(len(rows), one)} {what}:")
    _lines(rows, line)


def _lines(rows: Sequence[Value], line: Callable[[Value], str]) -> None:
    for row in rows[:MAX_LISTED]:
        print(f"  {line(row)}")
    _more(len(rows) - MAX_LISTED)


def _more(n_more: int) -> None:
    if n_more > 0:
        print(f"  … and {n_more} more (--json lists all)")


def _leak(row: Value) -> str:
    likeness = "the same bytes as" if row["exact"] else f"{row['similarity']:.3f} like"
    other = row["other"]
    label = "" if other["label"] == row["label"] else f", which is labelled {other['label']}"
    more = f" and {row['n_others'] - 1} more" if row["n_others"] > 1 else ""
    return f"{row['path']} is {likeness} {other['path']}{more}{label}"


def _group(group: Value) -> str:
    pictures = group["pictures"]
    named = [_picture(picture, group["contradictory"]) for picture in pictures[:MAX_NAMED]]
    more = f" and {len(pictures) - MAX_NAMED} more" if len(pictures) > MAX_NAMED else ""
    likeness = "" if group["exact"] else f" ({group['similarity']:.3f})"
    return f"{', '.join(named)}{more}{likeness}"


def _picture(picture: Value, with_label: bool) -> str:
    return f"{picture['path']} ({picture['label']})" if with_label else str(picture["path"])


def _suspect(row: Value) -> str:
    return (
        f"{row['path']}: labelled {row['label']} ({row['probability']:.3f}), looks like "
        f"{row['suggested']} ({row['suggested_probability']:.3f})"
    )


def _failure(row: Value) -> str:
    return f"{row['path']}: {row['reason']}"


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
