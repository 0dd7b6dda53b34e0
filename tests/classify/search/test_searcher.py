import json
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipeline.classify.search import Pool, Unit
from pipeline.classify.search.ahead import Ahead, pieces_of
from pipeline.classify.search.choose import choose
from pipeline.classify.search.grids import GRIDS, grid, preparations
from pipeline.classify.search.local import ThisMachine
from pipeline.classify.search.memory import SearchedHead, SearchMemory, TriedHead
from pipeline.classify.search.searcher import SCREENED_ROWS, UnitRunner, search
from pipeline.classify.search.trial import Trial, measure, stratified_rows
from pipeline.heads import parse_head, parse_heads
from pipeline.heads.fit import fit_head, out_of_fold_scores
from pipeline.heads.grid import grid_scores
from pipeline.heads.sample import Sample, make_folds
from pipeline.system.progress import SILENT, Reporter

N, K = 90, 3


class Forgetful:
    """Remembers nothing, and counts what it was told."""

    def __init__(self):
        self.put_units = []

    def get(self, unit, n_rows):
        return None

    def put(self, unit, n_rows, trials):
        self.put_units.append((unit, n_rows))


def made_pool(n=N, seed=0, views=0, repeats=1):
    """Cut 0 is noise, cut 1 tells class 0, cut 2 tells class 1 from 2."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % K
    parts = []
    for told in (None, (4, 0, 0), (0, 4, -4)):
        rows = [rng.normal(size=(n, 6)) for _ in range(1 + views)]
        if told is not None:
            for some in rows:
                some[:, 0] += np.array(told)[labels]
        parts.append(np.concatenate(rows).astype(np.float32))
    folds = [fold for at in range(repeats) for fold in make_folds(labels, 5, seed + at)]
    return Pool(tuple(parts), labels, K, folds, None, seed, views)


def searched(pool, inputs, specs, memory, n_jobs=1, reporter=SILENT, **more):
    """What a search finds on this machine."""
    runner = UnitRunner(pool, memory, ThisMachine(n_jobs), reporter)
    return search(runner, inputs, specs, **more)


@pytest.mark.parametrize("name", ["logistic", "ridge", "lda", "knn", "dense"])
@pytest.mark.parametrize("views", [0, 2])
def test_scores_of_a_grid_are_those_of_each_head_alone(name, views):
    pool = made_pool(views=views)
    sample = pool.sample((1, 2))
    texts = {
        "logistic": ["logistic(C=0.1)", "logistic(C=0.01)"],
        "ridge": ["ridge(alpha=1.0)", "ridge(alpha=1000.0)"],
        "lda": ["lda", "lda(shrinkage=0.5)"],
        "knn": ["knn(k=1)", "knn"],
        "dense": ["dense(epochs=2)", "dense(epochs=2, dropout=0.2)"],
    }[name]
    specs = [parse_head(text) for text in texts]
    folds = pool.folds[:2]
    found = {}
    for place, held_out, scores in grid_scores(specs, sample, folds):
        found.setdefault(place, []).append((held_out, scores))
    for place, spec in enumerate(specs):
        for (fit, held_out), (rows, scores) in zip(folds, found[place], strict=True):
            alone = fit_head(spec, sample.only(fit)).scores(sample.features[held_out])
            np.testing.assert_array_equal(rows, held_out)
            np.testing.assert_allclose(scores, alone, atol=1e-4)


def noisy(n_rows=600, width=200):
    """Return a pool whose classes a strongly regularised head tells apart best, by far."""
    rng, labels = np.random.default_rng(0), np.arange(n_rows) % 2
    features = rng.normal(size=(n_rows, width)) + 0.08 * np.sign(labels - 0.5)[:, None]
    return Pool((features.astype(np.float32),), labels, 2, make_folds(labels, 3, 0))


STRENGTHS = tuple(parse_head(f"logistic(C={c})") for c in (100.0, 1e-4, 10.0))


def test_strengths_beyond_a_clearly_worse_one_are_not_tried():
    pool = noisy()
    tried = [trial.spec for trial in measure(Unit((0,), STRENGTHS), pool)]
    assert tried == [STRENGTHS[1], STRENGTHS[2]]
    needed = measure(Unit((0,), STRENGTHS, needed=STRENGTHS[0]), pool)
    assert [trial.spec for trial in needed] == list(STRENGTHS)


def test_what_was_not_tried_is_remembered_as_such(tmp_path):
    memory, unit, pool = SearchMemory(tmp_path, unit_key), Unit((0,), STRENGTHS), noisy()
    trials = measure(unit, pool)
    memory.put(unit, len(pool.labels), trials)
    kept = memory.get(unit, len(pool.labels))
    assert [trial.spec for trial in kept] == [trial.spec for trial in trials]
    wanted = replace(unit, needed=STRENGTHS[0])
    assert memory.get(wanted, len(pool.labels)) is None


@pytest.mark.parametrize("threads", [1, 2])
def test_a_search_rates_logistic_regression_as_a_fit_of_its_own_is(threads):
    pool = made_pool()
    specs = tuple(parse_heads("logistic(C=0.01),logistic,logistic(C=100.0)"))
    with threadpool_limits(threads):
        trials = measure(Unit((1, 2), specs, needed=specs[2]), pool)
    for trial in trials:
        scores = out_of_fold_scores(trial.spec, pool.sample((1, 2)), pool.folds)
        assert trial.accuracy == pytest.approx(np.mean(scores.argmax(1) == pool.labels))


def test_a_class_that_a_fold_has_not_seen_scores_lowest():
    pool = made_pool()
    sample = Sample(pool.features[1], pool.labels, K + 1)
    specs = [parse_head("logistic")]
    (_, _, scores), *_ = grid_scores(specs, sample, pool.folds)
    assert scores.shape[1] == K + 1
    assert (scores.argmin(1) == K).all()


def test_measured_trials_are_out_of_fold():
    pool = made_pool(repeats=2)
    specs = (parse_head("lda"), parse_head("lda(shrinkage=0.5)"))
    trials = measure(Unit((1, 2), specs), pool)
    for trial, spec in zip(trials, specs, strict=True):
        right = np.zeros(N)
        for fit, held_out in pool.folds:
            sample = pool.sample((1, 2))
            scores = fit_head(spec, sample.only(fit)).scores(sample.features[held_out])
            right[held_out] += (scores.argmax(1) == pool.labels[held_out]) / 2
        np.testing.assert_allclose(trial.right, right)
        assert trial.accuracy == pytest.approx(right.mean())


def test_the_search_joins_the_cuts_that_help():
    found = searched(
        made_pool(), [(0,), (1,), (2,)], parse_heads("logistic,lda"), Forgetful(), n_jobs=1
    )
    for one in found:
        assert {1, 2} <= set(one.chosen.cuts)
        assert one.chosen.accuracy > 0.9
        assert one.trials[0].cuts == (0,)
        assert one.choice.accuracy.value <= one.choice.uncorrected


def test_the_default_is_always_a_candidate():
    found = searched(made_pool(), [(0,)], parse_heads("logistic"), Forgetful())
    texts = [str(trial.spec) for trial in found[0].trials if trial.cuts == (0,)]
    assert "logistic" in texts


def test_layers_alone_leave_the_head_as_it_is():
    heads = parse_heads("logistic(C=0.3)")
    found = searched(made_pool(), [(0,), (1,), (2,)], heads, Forgetful(), whole=False)
    trials = found[0].trials
    assert {str(trial.spec) for trial in trials} == {"logistic(C=0.3)"}
    assert {trial.cuts for trial in trials} == {(0,), (1,), (2,)}


def test_what_was_given_stays():
    spec = parse_head("logistic(C=0.3, prepare='l2')")
    assert [str(one) for one in grid(spec)] == [str(spec)]
    assert [str(way) for way in preparations(spec)] == ["l2"]


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_every_grid_can_be_parsed_and_holds_the_default(name):
    spec = parse_head(name)
    texts = [str(one) for one in grid(spec)]
    assert name in texts
    assert len(set(texts)) == len(texts)
    assert [str(parse_head(text)) for text in texts] == texts


def test_same_seed_same_search():
    one, other = (
        searched(made_pool(), [(0,), (1,)], parse_heads("lda"), Forgetful()) for _ in range(2)
    )
    assert one[0].choice == other[0].choice


def test_processes_find_the_same_as_one_alone():
    alone, together = (
        searched(made_pool(), [(0,), (1,)], parse_heads("lda"), Forgetful(), n_jobs=jobs)
        for jobs in (1, 2)
    )
    assert [t.accuracy for t in alone[0].trials] == [t.accuracy for t in together[0].trials]
    assert alone[0].choice == together[0].choice


class Told(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def advance(self, part, done, total, unit="pictures", where=""):
        self.told.append((part, done, total, unit))


class Interrupting(SearchMemory):
    """Keeps trials, and is interrupted after some."""

    def __init__(self, folder, unit_key, after):
        super().__init__(folder, unit_key)
        self.left = after

    def put(self, unit, n_rows, trials):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        super().put(unit, n_rows, trials)


def unit_key(cuts, specs, n_rows):
    return {"cuts": list(cuts), "heads": [str(spec) for spec in specs], "rows": n_rows}


def test_an_interrupted_search_goes_on(tmp_path):
    given = (made_pool(), [(0,), (1,), (2,)], parse_heads("lda,knn"))
    with pytest.raises(KeyboardInterrupt):
        searched(*given, Interrupting(tmp_path, unit_key, after=4))
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 4
    went_on = searched(*given, SearchMemory(tmp_path, unit_key))
    undisturbed = searched(*given, Forgetful())
    for name, time in kept.items():
        assert (tmp_path / name).stat().st_mtime_ns == time
    assert [one.choice for one in went_on] == [one.choice for one in undisturbed]


def test_what_was_measured_is_not_measured_again(tmp_path):
    given = (made_pool(), [(0,), (1,)], parse_heads("lda"))
    searched(*given, SearchMemory(tmp_path, unit_key))
    reporter = Told()
    memory = Interrupting(tmp_path, unit_key, after=0)
    found = searched(*given, memory, reporter=reporter)
    assert found[0].chosen.accuracy > 0.5
    assert reporter.told == []


def test_progress_counts_what_is_measured_and_starts_its_clock(tmp_path):
    pool, inputs = made_pool(), [(0,), (1,)]
    searched(pool, inputs, parse_heads("lda"), SearchMemory(tmp_path, unit_key))
    reporter, memory = Told(), SearchMemory(tmp_path, unit_key)
    searched(pool, inputs, parse_heads("lda,centroid"), memory, reporter=reporter)
    done, totals = zip(*(told[1:3] for told in reporter.told), strict=True)
    assert done[0] == 0
    assert done[-1] == totals[-1] > 0  # of the second head alone
    assert list(done) == sorted(done)
    assert list(totals) == sorted(totals, reverse=True)  # what is left out is no longer counted


class Left(Reporter):
    def __init__(self):
        self.left = []

    def advance_unlike(self, part, done, total, unit, seconds_left):
        self.left.append(seconds_left)


def test_what_is_left_is_told_from_the_first_round_on():
    """Each head begins with the default there, and rounds to come are foreseen."""
    reporter = Left()
    searched(made_pool(), [(0,), (1,), (2,)], parse_heads("knn,lda"), Forgetful(), 1, reporter)
    n_screened, n_heads = 3 * 3, 2
    known = [left is not None for left in reporter.left]
    assert not any(known[: n_heads + 1])
    assert all(known[n_screened + n_heads :])
    assert reporter.left[-1] == 0.0


def test_rounds_that_may_follow_are_foreseen_at_most():
    ahead = Ahead((10, 20, 30), parse_heads("ridge,knn"), whole=True)
    joined = [size for kind, size in ahead.after(1, 10) if kind == ("ridge",)]
    # Two inputs of 30 columns, 10 of them in both; then one of 50; each in two preparations.
    assert joined == [(20 + 10 / 2) * 30] * 4 + [(20 + 30) * 50] * 2
    heads = [piece for piece in ahead.after(1, 10) if piece[0] != ("ridge",)]
    assert heads == [(("ridge", "pca"), 50 * 50), (("knn", "pca"), 10), *[(("knn",), 10)] * 5]
    assert Ahead((10, 20), parse_heads("lda"), whole=False).after(1, 10) == [(("lda",), 45.0)]


def test_pieces_that_share_are_as_large_as_what_they_do_not():
    widths = (10, 20, 30)
    ridge, lda = (grid(parse_head(text)) for text in ("ridge", "lda"))
    joins = [Unit((0, 1), ridge), Unit((0, 2), ridge)]
    assert pieces_of(joins, widths) == [(("ridge",), 25 * 30), (("ridge",), 35 * 40)]
    assert pieces_of([Unit((1,), ridge)], widths) == [(("ridge",), 20 * 20)]
    assert pieces_of([Unit((1,), lda), *joins], widths)[0] == (("lda",), 20 + 60)
    (kind, size), (_, other) = pieces_of([Unit((0,), STRENGTHS), Unit((1,), STRENGTHS)], widths)
    assert (kind, size, other) == (("logistic",), 3 * 10 * 1010, 3 * 20 * 1020)


def test_damaged_memory_is_measured_again(tmp_path):
    given = (made_pool(), [(1,)], parse_heads("lda"))
    searched(*given, SearchMemory(tmp_path, unit_key))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:40])
    found = searched(*given, SearchMemory(tmp_path, unit_key))
    assert found[0].chosen.accuracy > 0.5


@pytest.mark.parametrize("kept", ["one array", "fewer heads", "an array", "other bytes"])
def test_memory_of_another_shape_is_measured_again(tmp_path, kept):
    memory = SearchMemory(tmp_path, unit_key)
    unit = Unit((1,), tuple(parse_heads("lda,centroid")))
    trials = measure(unit, made_pool())
    memory.put(unit, N, trials)
    assert [trial.accuracy for trial in memory.get(unit, N)] == [one.accuracy for one in trials]
    (path,) = tmp_path.iterdir()
    with path.open("wb") as file:
        if kept == "one array":
            np.savez(file, right=np.zeros((2, N)))
        elif kept == "fewer heads":
            arrays = {name: np.zeros((1, N)) for name in ("right", "losses")}
            np.savez(file, **arrays, factor=np.ones(1), seconds=np.ones(1))
        elif kept == "an array":
            np.save(file, np.zeros(3))
        else:
            file.write(b"PK\x03\x04 but no archive")
    assert memory.get(unit, N) is None


SEARCHED = SearchedHead(
    "5ea4c4",
    (1, 0),
    parse_head("lda(prepare='l2')"),
    0.01,
    (TriedHead(("top", "block2"), "l2", "lda(prepare='l2')", 0.9, 0.3, 0.125),),
)


def test_a_searched_head_comes_back_as_it_was(tmp_path):
    memory = SearchMemory(tmp_path, unit_key)
    assert memory.searched("5ea4c4", 2) is None
    memory.keep(SEARCHED)
    assert memory.searched("5ea4c4", 2) == SEARCHED


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "no JSON",
        *(
            json.dumps({**SEARCHED.to_dict(), **changed})
            for changed in (
                {"cuts": [2]},
                {"cuts": "01"},
                {"head": "spline"},
                {"head": 3},
                {"optimism": None},
                {"candidates": [{}]},
                {"candidates": [{"layers": ["top"], "more": 1}]},
            )
        ),
    ],
)
def test_a_searched_head_without_what_it_takes_is_searched_again(tmp_path, text):
    memory = SearchMemory(tmp_path, unit_key)
    (tmp_path / "5ea4c4.json").write_text(text)
    assert memory.searched("5ea4c4", 2) is None


def made_trial(right, losses=None):
    right = np.asarray(right, np.float32)
    losses = 1 - right if losses is None else np.asarray(losses, np.float32)
    return Trial((0,), parse_head("lda"), right, losses, 1.0, 0.0)


def test_being_the_best_of_many_is_taken_off():
    rng = np.random.default_rng(0)
    coins = [made_trial(rng.random(60) < 0.5) for _ in range(300)]
    choice = choose(coins)
    assert choice.uncorrected > 0.6
    assert abs(choice.accuracy.value - 0.5) < 0.06
    assert choice.optimism > 0.05


def test_one_candidate_needs_no_correction():
    right = np.arange(200) % 10 != 0
    choice = choose([made_trial(right)])
    assert choice.uncorrected == pytest.approx(0.9)
    assert choice.accuracy.value == pytest.approx(0.9, abs=0.01)
    low, high = choice.accuracy.ci95
    assert low < 0.9 < high


def test_groups_are_drawn_together():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 10)
    right = np.repeat(rng.random(20) < 0.7, 10)
    wide = choose([made_trial(right)], groups=groups).accuracy.ci95
    narrow = choose([made_trial(right)]).accuracy.ci95
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_large_data_are_screened_on_a_part():
    pool = made_pool(n=2 * SCREENED_ROWS)
    memory = Forgetful()
    searched(pool, [(1,), (2,)], parse_heads("centroid"), memory)
    ridge = {n for unit, n in memory.put_units if unit.specs[0].head.name == "ridge"}
    others = {n for unit, n in memory.put_units if unit.specs[0].head.name != "ridge"}
    assert max(ridge) <= SCREENED_ROWS + K * 10
    assert others == {2 * SCREENED_ROWS}


def test_a_stratified_part_keeps_rare_classes():
    labels = np.repeat([0, 1], [1000, 12])
    rows = stratified_rows(labels, 100, seed=0)
    assert np.bincount(labels[rows]).tolist() == [99, 10]
    np.testing.assert_array_equal(rows, np.unique(rows))
