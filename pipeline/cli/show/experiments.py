"""How experiments look: what was tried, what is best, how sure that is, and what goes wrong."""

from collections.abc import Sequence

from pipeline.cli.show.check import learned, mistaken
from pipeline.cli.show.results import Value, data, interval, left_out, print_table, say, table

MAX_PAIRS = 5


def classification(value: Value) -> None:
    """Print one row per experiment, best first, the best run, and what it gets wrong."""
    data(value["data"])
    if value["bases"]:
        _bases(value["bases"])
    rows = sorted(value["results"], key=_standing)
    several = len(value["bases"]) > 1
    headers = ("head", "layers", "selection", "95 % interval", "test", "95 % interval", "log loss")
    listed = table(*(("base", *headers) if several else headers), "seconds")
    for row in rows:
        test = row["test"]
        listed.add_row(
            *([row["backbone"]] if several else []),
            row["head"],
            "+".join(row["layers"]),
            figure(row["selection_accuracy"]),
            interval(row["selection_ci95"]),
            figure(test["accuracy"]),
            interval(test["ci95"]),
            figure(test["log_loss"]),
            "from disk" if row["reused"] else f"{row['seconds']:.1f}",
        )
    print_table(listed)
    best = next(row for row in rows if row["run"] == value["best"])
    _best(best)
    for count, what in (
        (value["leaked"], "test pictures that are byte-identical to training pictures"),
        (value["contradictory"], "pictures that are byte-identical to one of another class"),
    ):
        if count:
            say(f"beware of {count} {what}")
    mistaken(best["test"]["confused"][:MAX_PAIRS], best["test"]["mistakes"][:MAX_PAIRS])
    if value["learning_curve"] is not None:
        learned(value["learning_curve"])
    if (typical := best["typical"]) is not None:
        say(
            f"less typical of train than {typical['least']:g}: {typical['below']} of "
            f"{typical['n']} test pictures, {typical['share']['value']:.1%}, 95 % interval "
            f"{interval(typical['share']['ci95'])}"
        )
    if value.get("before") is not None:
        before, after = (figure(value[name]["accuracy"]) for name in ("before", "after"))
        say(
            f"selection accuracy by the corrected labels, on the {value['before']['n']} pictures "
            f"that both have: {before} learnt from the labels as they were, {after} corrected"
        )
    left_out(value["failed"], value["data"]["found"])
    tuned = ", or pipeline finetune" if value["can_finetune"] else ""
    say(f"next: pipeline predict {value['best']} PICTURES{tuned}")


def _bases(rows: Sequence[Value]) -> None:
    """Print a row per base that was compared: how good, how fast, how large, and why it went."""
    headers = (
        "base",
        "on a sample",
        "95 % interval",
        "on all",
        "pictures/s",
        "bytes",
        "parameters",
        "test, against the chosen",
    )
    listed = table(*headers, "")
    for row in rows:
        rate, n_parameters = row["images_per_second"], row["n_parameters"]
        fate = "dropped" if row["dropped"] else "chosen" if row["chosen"] else ""
        listed.add_row(
            row["backbone"],
            figure(row["sample_accuracy"]),
            interval(row["sample_ci95"]),
            figure(row["accuracy"]),
            "" if rate is None else f"{rate:,.0f}",
            f"{row['bytes_per_image']:,}",
            "" if n_parameters is None else f"{n_parameters:,}",
            difference(row["difference"]) if row["difference"] else "",
            ", ".join(filter(None, (fate, "best of its speed" if row["pareto"] else ""))),
        )
    n = rows[0]["sample"]
    say(f"bases, by the same ridge regression on up to {n} training pictures of each class:")
    print_table(listed)
    for row in rows:
        if row["dropped"]:
            say(f"{row['backbone']} was dropped {row['dropped']}")


def _standing(row: Value) -> tuple[float, float]:
    """Sort key: best selection first; what nothing was chosen by comes last."""
    if row["selection_accuracy"] is None:
        return 1.0, 0.0
    return -row["selection_accuracy"], row["selection_log_loss"]


def _best(row: Value) -> None:
    test = row["test"]
    say(f"best by {row['selected_by']}: {row['run']}")
    say(
        f"accuracy on {test['n']} {test['split']} pictures: {test['accuracy']:.4f}, 95 % interval "
        f"{interval(test['ci95'])}"
    )
    if (answered := test["answered"]) is not None:
        error = answered["error"]
        wrong = "" if error is None else f", {error['value']:.1%} of these wrongly"
        say(
            f"with its threshold it answers {answered['answered']} of {answered['n']} "
            f"{test['split']} pictures{wrong}"
        )


def leaderboard(value: Value) -> None:
    """Print one table per data set, best run first, and which of them are not told apart."""
    for root in dict.fromkeys(row["data"] for row in value["runs"]):
        rows = [row for row in value["runs"] if row["data"] == root]
        listed = table("run", "selection", "test", "95 % interval", "against the first")
        for row in rows:
            listed.add_row(
                row["run"],
                figure(row["selection_accuracy"]),
                figure(row["test"]["accuracy"]),
                interval(row["test"]["ci95"]),
                difference(row["difference"]),
            )
        say(f"{rows[0]['data_root']}: {rows[0]['test']['n']} {rows[0]['test']['split']} pictures")
        print_table(listed)
        _not_told_apart(rows)


def _not_told_apart(rows: Sequence[Value]) -> None:
    compared = [row for row in rows if row["difference"] is not None]
    if compared:
        together = sum(row["with_leader"] for row in compared)
        others = "other is" if len(compared) == 1 else "others are"
        say(
            f"{together} of the {len(compared)} {others} not distinguishable from the first on "
            f"these pictures ({compared[0]['difference']['test']}): to choose among them by their "
            f"test accuracy would be luck"
        )


def figure(value: float | None) -> str:
    """Write a share or a loss; nothing where there is none."""
    return "" if value is None else f"{value:.4f}"


def difference(value: Value | None) -> str:
    """Write a paired difference of test accuracies, or why there is none."""
    if value is None:
        return ""
    if not value["distinguishable"]:
        return "not distinguishable"
    return f"{value['value']:+.4f} ({value['ci95'][0]:+.3f} to {value['ci95'][1]:+.3f})"
