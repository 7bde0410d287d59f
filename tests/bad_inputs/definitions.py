"""Sweep files that are none, and command-line parameters."""

from tests.bad_inputs import Case
from tests.bad_inputs.things import BYTES, NO_FILES, put


def _grid(*names):
    return f"grid: {{{', '.join(f'{name}: {list(range(1, 101))}' for name in names)}}}"


MILLION = _grid("seed", "epochs", "hidden_size")
YAML = {  # after "name: bad", unless there is a name
    "a tab": "base:\n\tepochs: 1",
    "an open bracket": "grid: {seed: [1, 2",
    "an open quote": 'select: "validation',
    "a list": "- 1\n- 2\nname: x",
    "two documents": "---\nname: a\n---\nname: b",
    "an unknown entry": "girds: {seed: [1]}",
    "an entry twice": "base: {epochs: 1}\nbase: {epochs: 2}",
    "a parameter twice": "base: {epochs: 1, epochs: 2}",
    "a name of no text": "name: 1",
    "a name of dots": "name: ../../x",
    "a name with an escape": 'name: "\\e[31mred"',
    "a name of a thousand letters": f"name: {'x' * 1000}",
    "an empty grid": "grid: {seed: []}",
    "a grid of no list": "grid: {seed: 1}",
    "a grid that is a list": "grid: [1, 2]",
    "a grid of lists of lists": "grid: {seed: [[1], [2]]}",
    "points that are no list": "points: {seed: 1}",
    "points of numbers": "points: [1, 2]",
    "a point of null": "points: [null]",
    "a base that is text": "base: epochs",
    "a null base": "base: null",
    "an unknown parameter": "base: {epoch: 1}",
    "a value out of range": "base: {dropout_rate: 1.5}",
    "a value of a wrong type": "base: {epochs: many}",
    "a value of null": "base: {epochs: null}",
    "a value that is true": "base: {epochs: true}",
    "a value that is a map": "base: {epochs: {a: 1}}",
    "a value that is NaN": "base: {learning_rate: .nan}",
    "a value that is infinite": "grid: {learning_rate: [.inf]}",
    "a run_dir": "base: {run_dir: x}",
    "a test metric": "select: test_accuracy",
    "a metric that is no metric": "select: 7",
    "a month 13": "base: {seed: 2024-13-01}",
    "a day 45": "grid: {seed: [2024-02-45]}",
    "a date": "base: {seed: 2024-02-03}",
    "an hour 99": "base: {seed: 2024-02-03T99:00:00Z}",
    "a number of 5,000 digits": f"base: {{seed: {'9' * 5000}}}",
    "a float of 5,000 digits": f"base: {{learning_rate: {'9' * 5000}.5}}",
    "a hexadecimal number of 5,000 digits": f"base: {{seed: 0x{'f' * 5000}}}",
    "a metric of 5,000 digits": f"select: 0x{'f' * 5000}",
    "a binary": "base: {seed: !!binary '%%%'}",
    "a wrong tag": "base: {seed: !!int x}",
    "a tag that does not fit": "base: {epochs: !!bool 1}",
    "an escape of no character": 'base: {source: "\\UFFFFFFFF"}',
    "a date for a source": "base: {source: 2024-02-03}",
    "nine thousand unknown parameters": f"base: {{{', '.join(f'k{n}: 1' for n in range(9000))}}}",
    "an empty tagged number": "base: {seed: !!int ''}",
    "a wrong timestamp": "base: {seed: !!timestamp x}",
    "a float of letters": "base: {learning_rate: !!float x}",
    "a Python object": "base: !!python/object/apply:os.system ['touch pwned']",
    "a set": "grid: !!set {a, b}",
    "an ordered map": "grid: !!omap [a: 1]",
    "a key that is a list": "base: {? [a, b] : 1}",
    "a key that is a number": "base: {1: 1}",
    "a key that is null": "base: {null: 1}",
    "deep lists": f"grid: {{seed: {'[' * 5000}{']' * 5000}}}",
    "deep lists that are cut": f"grid: {'[' * 20000}",
    "deep maps": f"base: {'{a: ' * 5000}1{'}' * 5000}",
    "deep blocks": "base:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 600)),
    "an alias that nothing defines": "base: *b",
    "an anchor in itself": "base: &a {epochs: *a}",
    "a list in itself": "grid: {seed: &a [*a]}",
    "aliases that expand": "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    + "grid: {seed: *a11}",
    "aliases that expand in the base": "base:\n  a0: &a0 [1, 1]\n"
    + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
    "a merge of no map": "base: {<<: 1}",
    "10**12 points": _grid("seed", "epochs", "hidden_size", "num_samples", "batch_size", "num_validation"),
    "a million points": MILLION,
    "a control character": "base: {source: 'a\x07b'}",
    "an escape in a value": 'base: {source: "\\e]0;title\\a.txt"}',
    "a bidi mark in a value": 'base: {source: "\\u202etxt.npz"}',
    "no validation to select by": "base: {num_validation: 0}",
    "a megabyte of points": "points:\n" + "- {seed: 1}\n" * 100_000,
    "ten megabytes of comments": "# comment\n" * 1_000_000,
}
VALUES = {
    "epochs": [
        "",
        "0",
        "-1",
        "1.5",
        "1e3",
        "x",
        "NaN",
        "9" * 5000,
        "\u0661" * 3 + "x",
        "1\x1b[31m",
        "0x10",
        "[1]",
        "True ",
    ],
    "learning_rate": ["0", "-1", "nan", "inf", "1e999", "1,5", "=1+1", "\u202e1", "1\n2"],
    "dropout_rate": ["1", "-0.1", "nan", "half", "1e-400x", "</script>"],
    "relu_grad_inactive": ["2", "-1", "0.5", "{{ 7 * 7 }}"],
    "seed": ["-1", "4294967296", "1.0.0", "9" * 400],
    "source": [
        "",
        "sampel",
        "x.png",
        "nowhere.npz",
        "a\x1b[2J.npz",
        "\u202e.npz",
        "x" * 300 + ".npz",
        "/dev/null",
        "a\udcff.npz",
        "\n.npz",
        "=cmd|'/c calc'!A1.npz",
    ],
    "num_validation": ["10000000000", "9" * 4000],
    "normalisation": ["0", "-255", "1e-999", "inf"],
}
COMMANDS = {
    "no command at all that exists": (["frobnicate"], "frobnicate"),
    "an option with an escape": (["run", "--\x1b[31m"], "No such option"),
    "a parameter that is none": (["run", "-p", "epoch", "1"], "epoch"),
    "a parameter with an escape": (["run", "-p", "\x1b]0;x\x07", "1"], "no parameter"),
    "a parameter with bidi marks": (["run", "-p", "\u202eabc", "1"], "no parameter"),
    "a parameter twice": (["run", "-p", "seed", "1", "-p", "seed", "2"], "seed"),
    "a parameter of another notebook": (["run", "-p", "repeat", "1"], "repeat"),
    "a pair that is cut": (["run", "-p", "epochs"], "-p"),
    "a very long name": (["run", "-p", "x" * 100_000, "1"], "no parameter"),
    "no run to compare": (["compare"], "0"),
    "one run to compare": (["compare", "runs/x"], "1"),
    "seven runs to compare": (["compare", *"abcdefg"], "7"),
    "a time limit of 0": (["sweep", "x.yaml", "--time-limit", "0"], "time-limit"),
    "a connection without end": (["sweep", "x.yaml", "--connect-timeout", "1e300"], "connect-timeout"),
    "a connection of no time": (["sweep", "x.yaml", "--connect-timeout", "nan"], "connect-timeout"),
    "data in a folder": (["data", "sample", "-p", "run_dir", "x"], "no parameter"),
    "workers of text": (["sweep", "x.yaml", "--workers", "many"], "workers"),
    "workers and a scheduler": (["sweep", "x.yaml", "--workers", "1", "--scheduler", "x"], "--workers"),
}


def cases():
    for name, content in (NO_FILES | BYTES).items():
        yield Case("sweep YAML", name, lambda folder, content=content: _sweep(folder, content), "bad.yaml")
    for name, text in YAML.items():
        whole = text if text.startswith(("name:", "---")) or "\nname:" in text else f"name: bad\n{text}\n"
        says = "source" if name in ("a bidi mark in a value", "an escape in a value") else "bad.yaml"
        yield Case("sweep YAML", name, lambda folder, whole=whole: _sweep(folder, whole), says)
    for name, text, says in (
        ("a wrong value in 10**6 points", f"base: {{dropout_rate: 2}}\n{MILLION}", "dropout_rate"),
        ("10**12 points", YAML["10**12 points"], "1,000,000"),
    ):
        whole = f"name: bad\n{text}\n"
        yield Case("sweep YAML, --many", name, lambda folder, whole=whole: [*_sweep(folder, whole), "--many"], says)
    for name, values in VALUES.items():
        for value in values:
            label = f"{name} {value[:20]!r} of {len(value)}"
            yield Case(
                "parameters",
                label,
                lambda folder, pair=(name, value): _run(folder, *pair),
                name if name != "source" else "",
            )
    for name, (arguments, says) in COMMANDS.items():
        yield Case("parameters", name, lambda folder, arguments=arguments: arguments, says)


def _sweep(folder, content):
    put(folder / "bad.yaml", content)
    return ["sweep", folder / "bad.yaml", "--sweep-dir", folder / "new"]


def _run(folder, name, value):
    return ["run", "--run-dir", folder / "new", "-p", name, value]
