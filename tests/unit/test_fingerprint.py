"""The fingerprint of a rule's code: it changes with what the rule computes, and with nothing else."""

import ast
from pathlib import Path

import pytest

from promptmix.errors import InputError
from promptmix.running import fingerprint as module
from promptmix.running.fingerprint import WITHOUT_EFFECT, fingerprint

SOURCES = {
    "bake.py": """
        '''Bake.'''

        from promptmix.running import job

        with job.start(snakemake):
            from promptmix.oven import heat

            heat()  # until done
    """,
    "promptmix/__init__.py": "'''The library.'''",
    "promptmix/running/job.py": "def start(snakemake): ...",
    "promptmix/running/devices.py": "HOTTEST = 250",
    "promptmix/oven.py": """
        import numpy as np

        LIMIT = 250
        '''Degrees.'''

        def heat():
            '''Heat the oven.'''
            import promptmix.fuel.gas as gas
            return gas.burn() + np.ones(1)
    """,
    "promptmix/fuel/__init__.py": "from promptmix.fuel.wood import chop",
    "promptmix/fuel/gas.py": "def burn():\n    return 1",
    "promptmix/fuel/wood.py": "def chop():\n    return 1",
    "promptmix/fridge.py": "def cool():\n    return 1",
}


@pytest.fixture(autouse=True)
def code(monkeypatch, tmp_path):
    """Sources of a script and a library, in a temporary folder."""
    monkeypatch.setattr(module, "SCRIPTS", tmp_path)
    for name, source in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source.replace("\n        ", "\n") if source.startswith("\n") else source)
    yield tmp_path
    forget()


def forget():
    for cached in (module.fingerprint, module._tree, module._code, module._imports):
        cached.cache_clear()


def changed(code, name, old, new, *modules):
    """Tell whether the fingerprint changes if, in a file, `old` becomes `new`."""
    forget()
    before = fingerprint("bake", *modules)
    source = (code / name).read_text()
    assert old in source
    (code / name).write_text(source.replace(old, new))
    forget()
    return fingerprint("bake", *modules) != before


def test_a_fingerprint_is_16_hexadecimal_digits():
    assert len(fingerprint("bake")) == 16
    int(fingerprint("bake"), 16)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("bake.py", "# until done", "# until brown"),
        ("bake.py", "'''Bake.'''", ""),
        ("promptmix/oven.py", "'''Heat the oven.'''", '"""Make it hot.\n\n    Very.\n    """'),
        ("promptmix/oven.py", "'''Degrees.'''", "'''Of Celsius.'''"),
        ("promptmix/oven.py", "gas.burn() + np.ones(1)", "(\n        gas.burn()\n        + np.ones( 1 )\n    )"),
        ("promptmix/__init__.py", "'''The library.'''", "'''Our library.'''"),
        ("promptmix/fuel/wood.py", "def chop():", "\n\n# Axes.\ndef chop():"),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(code, name, old, new):
    assert not changed(code, name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("bake.py", "heat()", "heat(), heat()"),
        ("promptmix/oven.py", "250", "240"),
        ("promptmix/oven.py", "import numpy as np", "import numpy as np, scipy"),
        ("promptmix/fuel/gas.py", "return 1", "return 2"),
        ("promptmix/fuel/wood.py", "return 1", "return 'oak'"),
        ("promptmix/fuel/wood.py", "return 1", "return '''oak'''"),
        ("promptmix/__init__.py", "'''The library.'''", "import os"),
    ],
    ids=[
        "script",
        "imported inside a block",
        "import",
        "imported inside a function",
        "by a package",
        "text",
        "package",
    ],
)
def test_a_real_change_of_what_is_imported_directly_or_not_is_seen(code, name, old, new):
    assert changed(code, name, old, new)


def test_code_is_the_same_under_all_versions_of_python():
    text = module._text(ast.parse("def f(x: int = None):\n    return f'{x!r:>{3}} {x[\"a\"]}', u'b'"))
    annotated = "arg(arg='x', annotation=Name(id='int', ctx=Load()))"
    width = "JoinedStr(values=[Constant(value='>'), FormattedValue(value=Constant(value=3), conversion=-1)])"
    shown = f"FormattedValue(value=Name(id='x', ctx=Load()), conversion=114, format_spec={width})"
    item = "Subscript(value=Name(id='x', ctx=Load()), slice=Constant(value='a'), ctx=Load())"
    joined = f"JoinedStr(values=[{shown}, Constant(value=' '), FormattedValue(value={item}, conversion=-1)])"
    returned = f"Return(value=Tuple(elts=[{joined}, Constant(value='b')], ctx=Load()))"
    arguments = f"arguments(args=[{annotated}], defaults=[Constant()])"
    assert text == f"Module(body=[FunctionDef(name='f', args={arguments}, body=[{returned}])])"


def test_a_new_module_is_seen_as_soon_as_it_is_imported(code):
    (code / "promptmix" / "salt.py").write_text("GRAMS = 3")
    assert changed(code, "promptmix/oven.py", "import numpy as np", "import numpy as np\nfrom promptmix import salt")
    assert changed(code, "promptmix/salt.py", "3", "4")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("promptmix/fridge.py", "return 1", "return 2"),
        ("promptmix/running/job.py", "...", "return 1"),
        ("promptmix/running/devices.py", "250", "300"),
    ],
)
def test_modules_that_are_not_imported_or_have_no_effect_change_nothing(code, name, old, new):
    assert not changed(code, name, old, new)


def test_modules_known_by_name_only_can_be_added(code):
    assert fingerprint("bake") != fingerprint("bake", "promptmix.fridge")
    assert changed(code, "promptmix/fridge.py", "return 1", "return 2", "promptmix.fridge")
    assert fingerprint("bake", "promptmix.fridge", "promptmix.fuel.gas") == fingerprint(
        "bake", "promptmix.fuel.gas", "promptmix.fridge"
    )


def test_imports_in_a_circle_come_to_an_end(code):
    (code / "promptmix" / "fuel" / "gas.py").write_text("import promptmix.oven\n\ndef burn():\n    return 1")
    assert changed(code, "promptmix/fuel/gas.py", "return 1", "return 2")


USERS = {
    "my_network.py": "import helper\nfrom promptmix import fridge\n\n\nclass Net:\n    '''Mine.'''\n    depth = 3\n",
    "helper.py": "from blocks import conv\n",
    "blocks/__init__.py": "",
    "blocks/conv.py": "from . import norm\n\nSIZE = 3\n",
    "blocks/norm.py": "EPSILON = 1\n",
    "other.py": "SIZE = 3\n",
}
NET = "users/my_network.py:Net"


@pytest.fixture
def users(code, monkeypatch):
    """Code of a user's own, beside this project."""
    monkeypatch.chdir(code)
    for name, source in USERS.items():
        (code / "users" / name).parent.mkdir(parents=True, exist_ok=True)
        (code / "users" / name).write_text(source)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("users/my_network.py", "depth = 3", "depth = 4"),
        ("users/helper.py", "conv", "conv, norm"),
        ("users/blocks/conv.py", "3", "4"),
        ("users/blocks/norm.py", "1", "2"),
        ("promptmix/fridge.py", "return 1", "return 2"),
    ],
    ids=["file", "beside it", "package", "relative import", "of this project"],
)
def test_a_real_change_of_a_users_own_code_is_seen(code, users, name, old, new):
    assert changed(code, name, old, new, NET)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("users/my_network.py", "'''Mine.'''", "'''My first.'''"),
        ("users/my_network.py", "depth = 3", "depth  =  3  # layers"),
        ("users/other.py", "3", "4"),
        ("promptmix/fuel/gas.py", "def", "# Methane\ndef"),
    ],
)
def test_of_a_users_own_code_too_nothing_else_is_seen(code, users, name, old, new):
    assert not changed(code, name, old, new, NET)


def test_a_users_module_is_the_same_code_as_its_file(code, users, monkeypatch):
    monkeypatch.syspath_prepend(code / "users")
    assert fingerprint("bake", "my_network:Net") == fingerprint("bake", NET) != fingerprint("bake")


def test_code_that_is_not_there_or_not_python_is_the_users_to_mend(code, users):
    with pytest.raises(InputError, match="users/my_net.py: no such file"):
        fingerprint("bake", "users/my_net.py:Net")
    (code / "users/helper.py").write_text("import blocks\nimport\n")
    with pytest.raises(InputError, match="users/helper.py, line 2: not Python: "):
        fingerprint("bake", NET)


def test_the_projects_own_code_has_only_imports_that_are_understood():
    scripts = Path(module.__file__).parents[2]
    for file in scripts.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}: a relative import"
    assert (scripts / WITHOUT_EFFECT.replace(".", "/") / "__init__.py").is_file()
