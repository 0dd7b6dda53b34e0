"""How it looks what is like what, what to label next, and where."""

from pipeline.cli.show.results import Value, left_out, lines, say
from pipeline.images.leftout import why
from pipeline.system.shell import command
from pipeline.system.units import counted


def similar(value: Value) -> None:
    """Print the neighbours of each picture, the nearest first."""
    for one in value["queries"]:
        copies = f", which is {one['copies']} times in the pool" if one["copies"] > 1 else ""
        there = ", which is in the pool" if one["copies"] == 1 else copies
        say(f"{one['path']}{there}:")
        for each in one["neighbours"]:
            more = f" and {len(each['folded'])} like it" if each["folded"] else ""
            say(f"  {each['similarity']:.4f} {each['path']}{more}")
    if value["out"] is not None:
        say(f"contact sheet: {value['out']}")
    left_out(value["left_out"], value["found"], pool=True)
    left_out(value["failed"], len(value["queries"]) + len(value["failed"]), each=True)


def suggested(value: Value) -> None:
    """Print what to label next, and why."""
    rows, known = value["suggestions"], value["labelled"]
    more = f"; {known} have a label" if known else ""
    say(f"{counted(len(rows), 'picture')} of {value['candidates']}, by {value['strategy']}{more}:")
    lines(rows, _suggestion)
    left_out(value["failed"], value["found"], pool=True)
    out, labelled = value["out"], rows[0]["prediction"] is not None
    page = command("pipeline", "label", "--suggestions", out, "--out", "label.html")
    learn = command("pipeline", "classify", *(["DATA", "--labels", out] if labelled else [out]))
    say(f"next: {page}; or fill in the column label, then {learn}")


def label_page(value: Value) -> None:
    """Print what is on the page, and what to do with it."""
    counts = [f"{title[0].lower()}{title[1:]} {n}" for title, n in value["sections"].items() if n]
    more = f" of {value['found']}" if value["found"] > value["asked"] else ""
    asked = counted(value["asked"], "picture")
    say(f"{value['out']}: {asked}{more} to ask about: {', '.join(counts)}")
    if value["known"]:
        say(f"{counted(value['known'], 'row')} that were given are saved with what is new")
    for note in value["notes"]:
        say(f"note: {note}")
    if value["failed"]:
        say(f"{counted(len(value['failed']), 'picture')} cannot be shown: {why(value['failed'])}")
    given = [value["table"]] if value["whole"] else ["DATA", "--labels", value["table"]]
    say(f"open it in a browser; what it saves is for {command('pipeline', 'classify', *given)}")


def _suggestion(row: Value) -> str:
    called = f": {row['prediction']} {row['probability']:.3f}" if row["prediction"] else ""
    return f"{row['path']}{called} ({row['reason']})"
