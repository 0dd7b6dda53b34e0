"""How the cache looks: what was checked, what is missing and why, what was exported."""

from typing import Any

from pipeline.cli.show.results import Value, left_out, pictures, say
from pipeline.system.units import counted, size_text


def verification(value: Value) -> None:
    """Say what was checked, and list what is bad."""
    for recipe in value["recipes"]:
        say(f"{recipe['id']}: {recipe['rows']} rows, {size_text(recipe['bytes'])}")
    say(
        f"sound: {counted(value['shards'], 'shard')} with {counted(value['rows'], 'row')} "
        f"({size_text(value['bytes'])}), {counted(value['models'], 'converted model')}"
    )
    for problem in value["bad"]:
        done = f"set aside as {problem['set_aside']}" if problem["set_aside"] else "still there"
        say(f"bad, {done}: {problem['reason']}")
    for problem in (*value["newer"], *value["strays"]):
        say(f"left alone: {problem['reason']}")
    for path in value["mended"]:
        say(f"written again: {path}")
    if value["leftovers_removed"]:
        say(f"{value['leftovers_removed']} unfinished files of killed processes removed")
    if any(problem["set_aside"] for problem in value["bad"]):
        say("run `pipeline features DATA` as before: what was set aside is computed again")


def explanation(value: Value) -> None:
    """Say what the cache has of a data set; what differs from what it has; what is missing."""
    copies = value["images"] - value["cached"] - value["missing"]
    say(
        f"{pictures(value)}{f', {copies} of them copies' if copies else ''}: "
        f"{value['cached']} cached, {value['missing']} missing, {value['quarantined']} cannot be "
        f"decoded"
    )
    say(f"recipe {value['recipe']}")
    for recipe in value["served_by"]:
        if recipe != value["recipe"]:
            say(f"read from {recipe}, which holds the same and more")
    if value["older_decoder"]:
        say(
            "decoder version 1, with which this cache was begun; version 2 takes about half the "
            "time, and changes pixels by a grey level or two: another --cache begins with it"
        )
    if value["views"] is not None:
        say(f"views: {value['views']['cached']} cached, {value['views']['missing']} missing")
    if value["nearest"]:
        say(f"nearest: {value['nearest']}; what differs from it:")
        for name, change in value["changed"].items():
            say(f"  {name}: cached {_text(change['cached'])}, wanted {_text(change['wanted'])}")
    for path in value["missing_paths"]:
        say(f"missing: {path}")
    more = value["missing"] - len(value["missing_paths"])
    if more:
        say(f"… and {more} more")
    for problem in value["unreadable"]:
        say(f"not looked into: {problem['reason']}")
    left_out(value["failed"], value["found"])


def exported(value: Value) -> None:
    """Say what was written, and what was left out."""
    layers = ", ".join(
        f"X/{name} {'×'.join(map(str, shape))}" for name, shape in value["layers"].items()
    )
    more = "y, classes, path, split and digest" if value["labelled"] else "path and digest"
    say(
        f"{value['path']}: {value['rows']} rows of {layers} {value['dtype']}, with {more}, "
        f"{size_text(value['bytes'])}"
    )
    left_out(value["left_out"], value["found"])


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
