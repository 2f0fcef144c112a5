"""Reading a config together with what it extends."""

import pytest
import yaml
from support.configs import SMALL, put, small, smallest
from support.workflow import ROOT

from promptmix.config.loading import load, merge, read_yaml, source_of
from promptmix.config.validation import read
from promptmix.errors import InputError


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a config by its content, a text or a section, and returns its path."""

    def written(name, content):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return file

    return written


# --- extends ---


def test_a_config_alone_is_what_it_says(write):
    file = write("config.yaml", SMALL)
    assert load([file]) == (small(), {str(file): small()})


def test_a_config_counts_before_what_it_extends_along_the_whole_chain(write):
    write("design.yaml", {"a": 1, "b": 1, "c": 1})
    write("middle.yaml", {"extends": "design.yaml", "b": 2, "c": 2})
    file = write("top.yaml", {"extends": "middle.yaml", "c": 3})
    config, said = load([file])
    assert config == {"a": 1, "b": 2, "c": 3}
    assert [name.rsplit("/", 1)[1] for name in said] == ["design.yaml", "middle.yaml", "top.yaml"]


def test_what_is_extended_is_looked_for_beside_the_file_that_says_so(write, monkeypatch, tmp_path):
    write("design.yaml", {"a": 1})
    write("sub/middle.yaml", {"extends": "../design.yaml"})
    write("sub/top.yaml", {"extends": "middle.yaml"})
    monkeypatch.chdir(tmp_path)
    assert load(["sub/top.yaml"])[0] == {"a": 1}


def test_a_later_file_counts_before_an_earlier_one_and_the_command_line_before_all(write):
    files = [write("one.yaml", {"a": 1, "b": 1, "c": 1}), write("two.yaml", {"b": 2, "c": 2})]
    assert load(files, {"c": 3})[0] == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("below", "above", "found"),
    [
        ({"s": {"a": 1, "b": 1}}, {"s": {"b": 2}}, {"s": {"a": 1, "b": 2}}),
        ({"s": {"t": {"a": 1}}}, {"s": {"t": {"b": 2}}}, {"s": {"t": {"a": 1, "b": 2}}}),
        ({"l": [1, 2]}, {"l": [3]}, {"l": [3]}),
        ({"s": {"a": 1}}, {"s": 7}, {"s": 7}),
        ({"s": 7}, {"s": {"a": 1}}, {"s": {"a": 1}}),
    ],
)
def test_sections_are_merged_and_lists_and_values_replaced(below, above, found):
    assert merge(below, above) == found


@pytest.mark.parametrize(
    ("below", "above", "found"),
    [
        ({"s": {"a": 1, "b": 1}}, {"s": {"a": None}}, {"s": {"b": 1}}),
        ({"s": {"a": 1}, "t": 1}, {"s": None}, {"t": 1}),
        # With nothing to take away it stays, and is a value or a mistake
        ({"t": 1}, {"s": None, "u": {"a": None}}, {"t": 1, "s": None, "u": {"a": None}}),
        ({"l": [1]}, {"l": [None, 1]}, {"l": [None, 1]}),
        # Without faces restored, where `promptmix` or what is extended says otherwise
        ({}, {"row": {"restorer": None}}, {"row": {"restorer": None}}),
        ({"row": {"restorer": "gfpgan"}}, {"row": {"restorer": None}}, {"row": {"restorer": None}}),
    ],
)
def test_null_takes_away(write, below, above, found):
    write("below.yaml", below)
    assert load([write("above.yaml", {"extends": "below.yaml", **above})])[0] == found


def test_what_null_has_taken_away_can_be_said_anew(write):
    write("design.yaml", {"s": {"a": 1, "b": 1}})
    write("middle.yaml", {"extends": "design.yaml", "s": None})
    assert load([write("top.yaml", {"extends": "middle.yaml", "s": {"c": 3}})])[0] == {"s": {"c": 3}}


def test_what_a_later_file_extends_counts_before_an_earlier_file(write):
    write("design.yaml", {"a": 2, "b": 2})
    files = [write("one.yaml", {"a": 1}), write("two.yaml", {"extends": "design.yaml", "c": 3})]
    config, said = load(files, {"a": 1, "c": 3, "extends": "design.yaml", "b": 4})  # as Snakemake has it
    assert config == {"a": 2, "b": 4, "c": 3}
    assert said["--config"] == {"b": 4}


def test_null_on_the_command_line_takes_away(write):
    assert load([write("config.yaml", {"a": 1, "b": 1})], {"a": None})[0] == {"b": 1}


def test_what_the_command_line_says_inside_a_section_or_a_list_is_read_as_yaml(write):
    """Snakemake passes it on as text."""
    file = write("config.yaml", {"plan": {"gpus": 1}, "pools": {"it": {"k": 2}}, "captioners": {"old": {}, "new": {}}})
    over = {
        "plan": {"calibrate": "true", "gpus": "4", "watts": "0.5"},
        "rates": ["1e-3", "2.0e-3", "3"],
        "scale": "007",
    }
    over |= {"captioners": {"old": "null"}, "prompts": {"prefix": "large crowd", "when": "2026-01-02", "how": "a: b"}}
    config, _ = load([file], over)
    assert config["plan"] == {"calibrate": True, "gpus": 4, "watts": 0.5} and config["rates"] == ["1e-3", 0.002, 3]
    assert config["prompts"] == over["prompts"] and config["scale"] == "007"
    assert config["captioners"] == {"new": {}} and config["pools"] == {"it": {"k": 2}}


def test_nothing_is_shared_between_a_config_and_its_files(write):
    config, said = load([file := write("config.yaml", {"s": {"l": [{"a": 1}]}})])
    config["s"]["l"][0]["a"] = 2
    assert said[str(file)] == {"s": {"l": [{"a": 1}]}}


def test_an_empty_file_says_nothing(write):
    assert load([write("config.yaml", "# nothing\n")])[0] == {}


# --- What is wrong with files ---


@pytest.mark.parametrize("names", [["a.yaml"], ["a.yaml", "b.yaml"], ["a.yaml", "b.yaml", "c.yaml"]])
def test_a_circle_of_configs(write, names):
    for name, other in zip(names, [*names[1:], names[0]]):
        write(name, {"extends": other})
    with pytest.raises(InputError, match=rf"{names[-1]}: extends a\.yaml.*leave one"):
        load([write(names[0], {"extends": names[1 % len(names)]})])


def test_a_config_that_is_extended_twice_is_not_a_circle(write):
    write("design.yaml", {"a": 1})
    files = [write(name, {"extends": "design.yaml", name[0]: 2}) for name in ("b.yaml", "c.yaml")]
    assert load(files)[0] == {"a": 1, "b": 2, "c": 2}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"extends": "desing.yaml"}, r"config\.yaml: extends: 'desing\.yaml'.*no .*/desing\.yaml.*beside config\.yaml"),
        ({"extends": ["design.yaml"]}, r"config\.yaml: extends: \['design\.yaml'\] is not the path of a config"),
        ({"extends": "."}, r"config\.yaml: extends: '\.'"),
        ("- a\n- b\n", r"config\.yaml: holds a list; expected a section"),
        ("a: [1\n", r"(?s)config\.yaml is not YAML.*line"),
        ("a: \t- b", r"config\.yaml is not YAML"),
        ("? [a, b]\n: c\n", r"config\.yaml is not YAML"),
        ("tables: &a {x: *a}\n", r"config\.yaml: an alias \(\*\) is within what it stands for"),
        ("tables: &a [*a]\n", r"config\.yaml: an alias \(\*\) is within what it stands for"),
    ],
)
def test_a_file_that_cannot_be_a_config(write, content, problem):
    with pytest.raises(InputError, match=problem):
        load([write("config.yaml", content)])


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"mine\.yaml: cannot be read .*Check the path"):
        read_yaml(tmp_path / "mine.yaml")


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(InputError, match=r"mine\.yaml is not YAML"):
        read_yaml(tmp_path / "mine.yaml")


# --- Which file says it ---


DESIGN = """
seed: 1
scale: a
datasets:
  shtb: &shtb
    title: B
  nyu:
    <<: *shtb
    unit: 1
tables:
  t:
    rows:
      - 1
      - {k: 2}
"""

MINE = """
scale: b
datasets:
  shtb: {path: p}
tables:
  u: {rows: [1]}
promptmix: {shtb: {k: 3}}
"""


@pytest.mark.parametrize(
    ("problem", "source"),
    [
        ("seed: 1 is not", "design.yaml:2"),
        ("scale: b is not", "mine.yaml:2"),
        ("datasets.shtb.path: p", "mine.yaml:4"),
        ("datasets.shtb.title: B", "design.yaml:6"),
        ("datasets.nyu.title: B", "design.yaml:6"),  # which it has from the other one
        ("datasets.nyu.unit: 1", "design.yaml:9"),
        ("datasets.shtb.splt is not a key. Known keys: split", "mine.yaml:4"),
        ("datasets.shtb.split is missing: shares", "mine.yaml:4"),  # in the section that both say something of
        ("datasets.nyu.path is missing: folder", "design.yaml:7"),
        ("tables.t.rows[1].k: 2", "design.yaml:14"),
        ("tables.u.rows[0]: 1", "mine.yaml:6"),
        ("the top level: it is not", "mine.yaml"),
        ("training is missing: how networks are trained", "mine.yaml"),
        ("tables.t.rows[1]: promptmix.shtb.r_mix: 9 images, but promptmix.shtb.k (3) are made", "mine.yaml:7"),
    ],
)
@pytest.mark.parametrize("laid_over", [False, True])
def test_the_source_of_a_problem_is_the_line_that_says_it_last(
    write, monkeypatch, tmp_path, problem, source, laid_over
):
    monkeypatch.chdir(tmp_path)
    write("design.yaml", DESIGN)
    write("mine.yaml", f"extends: design.yaml{MINE}".replace("\n", " # line 1\n", 1))
    write("over.yaml", "extends: mine.yaml\nevaluation: {crop: full}\n")
    given = ["mine.yaml", "over.yaml"] if laid_over else ["mine.yaml"]
    _, said = load(given, {"more": 1})
    assert source_of(problem, said, given) == source


def test_what_is_wrong_on_the_command_line_has_no_line(write):
    file = write("mine.yaml", MINE)
    _, said = load([file], {"scale": "c"})
    assert source_of("scale: c is not", said, [str(file)]) == "--config"


@pytest.mark.parametrize(
    ("path", "value", "mine", "line"),
    [
        ("seed", -1, {}, "design.yaml:{seed}: seed: -1"),
        ("seed", -1, {"seed": -2}, "mine.yaml:2: seed: -2"),
        ("datasets.shtb.split", {"val": 400}, {"scale": "mine"}, "design.yaml:{split}: datasets.shtb.split"),
        (
            "seed",
            1,
            {"networks": {"rescrsnet": {"task": "counting"}}},
            "mine.yaml:3: networks.rescrsnet.class is missing",
        ),
        ("seed", 1, {"seed": None}, "mine.yaml:2: seed is missing"),
    ],
)
def test_messages_name_the_file_that_says_the_wrong_thing(write, path, value, mine, line):
    config = smallest()
    put(config, path, value)
    text = write("design.yaml", config).read_text().splitlines()
    lines = {
        key: next(i for i, said in enumerate(text, 1) if said.strip().startswith(key)) for key in ("seed", "split")
    }
    with pytest.raises(InputError) as raised:
        read([write("mine.yaml", {"extends": "design.yaml", **mine})])
    (found,) = str(raised.value).splitlines()
    assert line.format(**lines) in found


@pytest.mark.parametrize("scale", ["copied", "laid over", "--config"])
def test_a_config_works_with_another_scale_and_nothing_else(write, scale):
    source = ROOT / "config/config.yaml"
    write("design.yaml", (ROOT / "config/design.yaml").read_text())
    copied = write("mine.yaml", source.read_text().replace("scale: miniature", "scale: mine"))
    small_one = write("small.yaml", {"scale": "mine"})
    files, over = {
        "copied": ([copied], {}),
        "laid over": ([source, small_one], {}),
        "--config": ([source], read_yaml(source) | {"scale": "mine"}),
    }[scale]
    config = read(files, over)
    assert config["scale"] == "mine"
    assert {entry["path"].split("/rendered/")[0] for entry in config["datasets"].values()} == {"results/mine"}
    assert config["datasets"].keys() == config["render"].keys()


def test_messages_name_the_command_line(write):
    """Snakemake hands over what the files say together with it."""
    config = small()
    with pytest.raises(InputError) as raised:
        read([write("mine.yaml", config | {"seed": -1})], config | {"seed": -2, "scale": "A"})
    assert [line.split(" ")[:2] for line in str(raised.value).splitlines()] == [
        ["--config:", "scale:"],
        ["--config:", "seed:"],
    ]


def test_what_snakemake_hands_over_besides_changes_nothing(write):
    write("design.yaml", small())
    mine = {"extends": "design.yaml", "tables": {"named": None}, "seed": 7}
    file = write("mine.yaml", mine)
    assert read([file], mine) == read([file])
    assert "named" not in read([file])["tables"]


# --- The shipped configs ---


@pytest.mark.parametrize(
    ("name", "scale", "chain"),
    [
        ("config", "miniature", ["design", "config"]),
        ("paper", "paper", ["design", "paper"]),
        ("study", "study", ["design", "config", "study"]),
    ],
)
def test_the_shipped_configs_extend_the_design(name, scale, chain):
    config, said = load([ROOT / f"config/{name}.yaml"])
    assert config["scale"] == scale
    assert [file.rsplit("/", 1)[1] for file in said] == [f"{each}.yaml" for each in chain]
