"""Picks a small subset of the oracle's cases that still shows every method, option, count and special case.

    python3 test/golden/generate/oracle_subset.py VECTORS_FOLDER

The oracle's values were computed by running mergekit (a6e4028, CPU, f32) and crdt-merge (0.9.8, NumPy f64) themselves.
Writes mergekit.json and crdt-merge.json to test/golden/vectors/.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(sys.argv[1])
TARGET = pathlib.Path(__file__).resolve().parent.parent / "vectors"
FILES = {
    "mergekit": "linear task_arithmetic ties ties_count slerp dare_linear dare_ties".split(),
    "crdt_merge": "weight_average task_arithmetic".split(),
}
KEPT = """id inputs base params tensor_params weights weights_ignored expected_error f64_max_abs_diff in_max_abs
out_max_abs ill_conditioned nonfinite note""".split()


def features(case, size):
    yield "count", len(case["inputs"])
    yield "size", size
    params = case["params"] if isinstance(case["params"], dict) else {}
    for name, value in params.items():
        yield name, value, len(case["inputs"]) > 2
    for own in case.get("tensor_params", []):
        yield "density", own.get("density")
        yield "negative", own.get("weight", 1) < 0
    for name in ("note", "nonfinite", "ill_conditioned"):
        if name in case:
            yield name, case[name]


inputs = {name: it["f32_hex"] for name, it in json.loads((FOLDER / "inputs.json").read_text()).items()}
for family, methods in FILES.items():
    chosen, used, total = {}, set(), 0
    for method in methods:
        cases = json.loads((FOLDER / family / f"{method}.json").read_text())["cases"]
        seen, picked = set(), []
        for case in sorted(cases, key=lambda it: len(inputs[it["inputs"][0]])):
            size = len(inputs[case["inputs"][0]]) // 8
            new = set(features(case, size)) - seen
            if size > 600 or not new:
                continue
            seen |= new
            picked.append(case)
        chosen[f"{family}/{method}"] = []
        for case in picked:
            used |= {*case["inputs"], *([case["base"]] if case["base"] else [])}
            slim = {name: case[name] for name in KEPT if name in case}
            if "expected" in case:
                # f64 where the oracle gives it, f32 elsewhere
                best = "f64_hex" if family == "crdt_merge" and "f64_hex" in case["expected"] else "f32_hex"
                slim["expected"] = {best: case["expected"][best]}
            chosen[f"{family}/{method}"].append(slim)
    out = {"inputs": {name: inputs[name] for name in sorted(used)}, "cases": chosen}
    if family == "mergekit":
        out["statistics"] = {}
        for method in ("dare_linear", "dare_ties"):
            cases = json.loads((FOLDER / "statistics" / f"{method}.json").read_text())["cases"]
            small = [case for case in cases if len(case["mean"]) < 16]
            fields = "inputs base params tensor_params n mean var".split()
            out["statistics"][f"mergekit/{method}"] = [{name: case[name] for name in fields} for case in small]
            for case in small:
                for name in [*case["inputs"], case["base"]]:
                    out["inputs"][name] = inputs[name]
    text = json.dumps(out, separators=(",", ":"))
    name = family.replace("_", "-")
    (TARGET / f"{name}.json").write_text(text + "\n")
    print(name, len(text), {file: len(cases) for file, cases in chosen.items()})
