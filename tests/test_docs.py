"""The documentation says what is: its commands and examples are run, its links lead somewhere.

Blocks of a page are run in their order, in a folder with ``pictures/`` (drawn here) and
``digits/`` (a few of them). What a block is, its fence says:

    console     lines that begin with ``$`` are run; ``<!-- exit 2 -->`` before it says that this
                is what they return, ``<!-- with --epochs 1 -->`` what is added to be quick here
    python      is executed; names last as long as the page
    sh          is not run, and ``<!-- not run: why -->`` before it says why; commands of ours in
                it are parsed all the same
"""

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pipeline
from pipeline.cli import app, run
from pipeline.cli.listings import TABLES, settings_of
from pipeline.heads import HEADS
from pipeline.heads.streamed import STREAMABLE
from pipeline.images import write_digits
from tests import reference

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GOLDEN = ROOT / "tests" / "data" / "golden" / "store-v1"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
ALL_PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "data" / "README.md"])
PROGRAMS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("tests/**/*.py")])
FENCE = re.compile(
    r"(?:^<!-- *(?P<mark>.*?) *-->\n\n?)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
KINDS = {"console", "python", "sh", "text", "json", "toml"}
EXIT, WITH = re.compile(r"exit (\d+)"), re.compile(r"with (--.+)")
NOT_RUN = re.compile(r"not run: \S.+", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADS_PAGE = "reference/heads.md"
# Lines that commands print whatever the pictures are: a page that shows one must be right.
STEADY = (
    *("recipe ", "accuracy on ", "best by ", "kept epoch ", "before training,", "next: "),
    *("head ", "run ", "epoch  0:", "nothing to compute", "pipeline: "),
)
SHELL = set("|<>;&*$`#")


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind, its text, what the comment before it says, and its line."""

    page: str
    kind: str
    text: str
    mark: str
    line: int

    @property
    def exit_code(self):
        found = EXIT.fullmatch(self.mark)
        return int(found[1]) if found else 0

    def commands(self):
        """Yield each command with the output that is shown below it."""
        added = WITH.fullmatch(self.mark)
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.replace("\\\n", " ").partition("\n")
            yield f"{command} {added[1]}" if added else command, shown


def text_of(page):
    return (DOCS / page).read_text("utf-8")


def blocks_of(page):
    text = text_of(page)
    return [
        Block(
            page,
            found["kind"],
            found["text"],
            found["mark"] or "",
            text.count("\n", 0, found.start("text")),
        )
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUN = [page for page in PAGES if any(b.kind in ("console", "python") for b in blocks_of(page))]


# What stands on a page


def test_every_block_says_what_it_is():
    assert len(BLOCKS) == sum(text_of(page).count("\n```") for page in PAGES) / 2
    for block in BLOCKS:
        where = (block.page, block.line)
        assert block.kind in KINDS, where
        assert bool(NOT_RUN.fullmatch(block.mark)) == (block.kind == "sh"), where
        assert block.kind != "console" or list(block.commands()), where
        known = NOT_RUN if block.kind == "sh" else EXIT if EXIT.fullmatch(block.mark) else WITH
        assert not block.mark or known.fullmatch(block.mark), where


def own_commands():
    """Return every command of ours in a block that is not run."""
    lines = [
        line.removeprefix("$ ")
        for block in BLOCKS
        if block.kind == "sh"
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    # Variables of the environment before it, and what the shell does with its output.
    found = (re.match(r"(?:\w+=\S+ )*pipeline ([^|#>&]+)", line) for line in lines)
    return [match[1] for match in found if match]


@pytest.mark.parametrize("command", own_commands())
def test_commands_that_are_not_run_parse(command):
    words = shlex.split(command.replace("--labels", "--corrections"))  # as the launcher does
    app.parse_args(words, exit_on_error=False, print_error=False)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for target in LINK.findall(FENCE.sub("", text)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), target
        assert found.resolve().is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(found.read_text("utf-8")), target


# A path of the repository in a text: what begins with one of its folders.
NAMED_PATH = re.compile(r"(?<![\w./-])(?:pipeline|tests|docs|benchmarks)/[\w./*-]*[\w*/]")


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_paths_that_are_named_exist(page):
    for path in NAMED_PATH.findall(page.read_text("utf-8")):
        assert list(ROOT.glob(path.rstrip("/"))), path


def anchors(text):
    """Return the anchors of a page's headings, as GitHub and most others make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_knows_every_page():
    listed = {target for target in LINK.findall(text_of("README.md")) if target.endswith(".md")}
    assert set(PAGES) - {"README.md"} <= listed


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_no_page_names_a_folder_of_some_machine(page):
    text = page.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(work|home|root|tmp|Users|mnt|opt|var)/", text)


# What the reference says, and the code


@pytest.mark.parametrize("name", reference.WRITTEN)
def test_tables_are_as_the_code_writes_them(name):
    path, text = reference.page(name)
    assert path.read_text("utf-8") == text, "python -m tests.reference writes it anew"


def rows_of(page, first_cell):
    """Return the cells of the table whose first row begins so, without that and the line below."""
    table = text_of(page).split(f"\n| {first_cell} |", 1)[1].split("\n\n", 1)[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_heads_are_the_catalogs():
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows_of(HEADS_PAGE, "head")}
    assert documented == {
        head.name: ", ".join(f"{key}={value!r}" for key, value in head.defaults.items())
        for head in HEADS.values()
    }


def test_what_heads_can_is_what_the_code_lets_them():
    table = text_of(HEADS_PAGE).split("| | heads |", 1)[1].split("\n\n", 1)[0]
    can = {row.split("|")[1].strip(): row.split("|")[2] for row in table.splitlines()[2:]}
    named = [set(re.findall(r"`([\w-]+)`", heads)) for heads in can.values()]
    assert named == [
        {head.name for head in HEADS.values() if head.kind != "sklearn"},
        set(STREAMABLE),
        {head.name for head in HEADS.values() if not head.weighs},
    ]


def test_every_command_is_on_its_page():
    commands = " ".join(row[0] for row in rows_of("reference/commands.md", "command"))
    named = set(re.findall(r"`pipeline ([\w-]+)", commands))
    assert named == {name for name in app if not name.startswith("-")}


def test_every_flag_is_in_the_reference():
    """Settings in the tables that the code writes, all others beside the commands."""
    page = text_of("reference/commands.md")
    seen = set()
    for name in (name for name in app if not name.startswith("-")):
        alike = "features" if name in ("explain", "export-features") else name
        listed = {one.name for one in settings_of(alike)} if alike in TABLES else set()
        for one in app[name].assemble_argument_collection():
            flag = one.names[0].removeprefix("--") if one.names else ""
            own = one.field_info.is_keyword_only and not one.children
            if own and flag not in listed:
                assert f"`--{flag}" in page, (name, flag)
                seen.add(flag)
    assert {"out", "overwrite", "unlabelled", "json", "quiet"} <= seen


def test_exit_codes_are_those_of_the_program():
    returned = set()
    for path, name in (("cli/launch.py", "run"), ("__main__.py", "_code_of")):
        tree = ast.parse((ROOT / "pipeline" / path).read_text("utf-8"))
        (function,) = (
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
        )
        returned |= {
            part.value
            for node in ast.walk(function)
            if isinstance(node, ast.Return)
            for part in ast.walk(node)
            if isinstance(part, ast.Constant)
        }
    assert {int(row[0]) for row in rows_of("reference/commands.md", "code")} == returned


def test_the_version_is_the_one_that_is_cited_and_explained():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)[1]
    explained = re.search(r"^## ([\d.]+) ", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1]
    assert cited == explained == pipeline.__version__


def test_rooms_are_the_packages():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(\w+)(?:\.py|/)`", text, re.MULTILINE))
    present = {
        path.stem
        for path in (ROOT / "pipeline").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert documented == present - {"__init__"}


# Imports of ours, also in programs that are texts in a module.
IMPORTS = re.compile(
    r"^ *(?:from (pipeline[\w.]*) import ([^(\n]+|\([^)]+\))|import (pipeline[\w.]+))", re.M
)


@pytest.mark.parametrize("module", PROGRAMS, ids=name_of)
def test_what_is_imported_is_there(module):
    for name, imported, alone in IMPORTS.findall(module.read_text("utf-8")):
        assert importlib.util.find_spec(name or alone), name or alone
        for attribute in re.findall(r"\w+", imported) if module.parent.name == "benchmarks" else ():
            found = importlib.import_module(name)
            assert hasattr(found, attribute) or importlib.util.find_spec(f"{name}.{attribute}")


# What is run


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Pictures of two classes, a few digits, and a base that is converted already."""
    root = tmp_path_factory.mktemp("docs")
    for split, numbers in (("train", range(16)), ("test", range(390, 398))):
        for name in ("cats", "dogs"):
            for i in numbers:
                draw(root / "pictures" / split / name / f"{name[:3]}.{i}.jpg", name, i)
    write_digits(root / "all")
    for split, count in (("train", 12), ("test", 4)):
        for digit in "0123":
            (root / "digits" / split / digit).mkdir(parents=True)
            for path in sorted((root / "all" / split / digit).iterdir())[:count]:
                shutil.copy(path, root / "digits" / split / digit)
    shutil.rmtree(root / "all")
    features = ["features", str(root / "pictures"), "--layers", "top,blocks", "--quiet"]
    assert run([*features, "--cache", str(root / "features")]) == 0
    return root


def draw(path, name, seed):
    """Draw a circle, or a square, somewhere in noise."""
    rng = np.random.default_rng([seed, len(name), ord(name[0])])
    image = Image.fromarray(rng.integers(90, 160, (96, 128, 3), np.uint8))
    x, y, side = rng.integers(5, 60), rng.integers(5, 40), rng.integers(30, 50)
    box = [int(x), int(y), int(x + side), int(y + side)]
    shape = ImageDraw.Draw(image)
    (shape.ellipse if name == "cats" else shape.rectangle)(box, fill=(230, int(x), 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=90)


@pytest.fixture
def folder(workshop, tmp_path, monkeypatch):
    """A folder as a page's reader has it, without the base being converted anew each time."""
    for name in ("pictures", "digits"):
        shutil.copytree(workshop / name, tmp_path / name)
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "models").symlink_to(workshop / "features" / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("page", RUN)
def test_commands_and_examples_run(page, folder, capfd):
    names = {"__name__": "docs"}
    for block in blocks_of(page):
        if block.kind == "python":
            exec(compile(block.text, f"docs/{page}:{block.line}", "exec"), names)
        elif block.kind == "console":
            for command, shown in block.commands():
                capfd.readouterr()
                code = call(command)
                said = "".join(capfd.readouterr())
                assert code == block.exit_code, (page, block.line, command, said)
                check_steady(said, shown, (page, block.line, command))


def call(command):
    """Run a command of ours in this process, where TensorFlow is imported but once."""
    if command.startswith("pipeline ") and not SHELL & set(re.sub(r'"[^"]*"', "", command)):
        return run(shlex.split(command)[1:])
    return subprocess.run(["bash", "-c", command]).returncode


def check_steady(said, shown, where):
    lines = said.splitlines()
    for line in shown.splitlines():
        for start in STEADY:
            if line.startswith(start):
                assert any(other.startswith(start) for other in lines), (where, start, said)


def test_files_of_runs_are_on_their_page(folder):
    rows = [
        (name, row[2])
        for row in rows_of("reference/files.md", "file of a run")
        for name in re.findall(r"`(.+?)`", row[0])
    ]
    always = {name for name, when in rows if when == "always"}
    heads = ["--heads", "logistic,knn", "--layers", "top", "--learning-curve", "--quiet"]
    assert run(["classify", "pictures", *heads]) == 0
    found = [
        {path.relative_to(one).as_posix() for path in one.rglob("*") if path.is_file()}
        for one in Path("runs").iterdir()
        if not one.name.startswith(".")
    ]
    assert len(found) == 2
    for files in found:
        assert always <= files <= {name for name, _ in rows}


# The reader on the page about the format, on a cache that nobody here has just written


def test_the_reader_of_the_format_reads_the_golden_files():
    names = {}
    for block in blocks_of("reference/store-format.md"):
        if block.kind == "python" and "def " in block.text:
            exec(block.text, names)
    clean, viewed = sorted(GOLDEN.iterdir(), key=lambda path: "db644b" in path.name)
    pooled = names["read_features"](clean, "block4", "avg")
    assert {key: values.tolist() for key, values in pooled.items()} == {
        (bytes([n] * 32).hex(), 0): [n, n + 0.25, n + 0.5] for n in (1, 2, 3, 250)
    }
    maps = names["read_features"](clean, "top", "none")
    assert maps[bytes([2] * 32).hex(), 0].tolist() == [[[2, -2]] * 2] * 2
    views = names["read_features"](viewed, "block4", "avg")
    assert views[bytes([1] * 32).hex(), 2].tolist() == [1.25, 1.5, 1.75]
    assert views[bytes([1] * 32).hex(), 2].dtype == np.float16
    assert len(views) == 3
