"""Resolved recipes, merge ids and seeds, worked out by hand and hashed by hashlib and json alone.

    python3 test/golden/generate/recipes_merge.py > test/golden/vectors/recipes_merge.json

Each case gives the recipe as a person writes it and the models it may mean; the records beside it were written by hand
from the rules, in the order they are hashed; the ids follow from them.
"""

import hashlib
import json
import struct


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha(data):
    return hashlib.sha256(data).digest()


def digest(domain, value):
    return sha(b"tributary/" + domain + b"/v1\0" + canonical(value)).hex()


def head(leaves):
    """RFC 9162, 2.1.1."""
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + head(leaves[:k]) + head(leaves[k:]))


def content(name):
    return sha(name.encode()).hex()


def in_order(inputs):
    bits = lambda w: struct.unpack("<I", struct.pack("<f", float(w)))[0]
    return sorted(inputs, key=lambda i: (bytes.fromhex(i["content"]), bits(i["weight"]), canonical(i)))


def case(name, document, candidates, recipe, inputs, base=None):
    inputs = in_order(inputs)
    recipe_id = digest(b"recipe", recipe)
    merge = {"inputs": inputs, "recipe": recipe_id, "numeric_profile": "exact-f64/1"}
    if base:
        merge["base"] = content(base)
    if recipe["seed"] == "inputs":
        seed = head([bytes.fromhex(i["content"]) for i in inputs])
    else:
        seed = sha(b"tributary/seed-int/v1\0" + str(recipe["seed"]).encode())
    return {
        "name": name,
        "document": document,
        "candidates": candidates,
        **({"base": base} if base else {}),
        "recipe": recipe,
        "inputs": inputs,
        "recipe_id": recipe_id,
        "merge_id": digest(b"merge", merge),
        "seed": seed.hex(),
    }


def file_of(model, path):
    return [path, sha(f"{model} {path}".encode()).hex()]


def first(names):
    return min(names, key=content)


OUT = {"dtype": "auto", "shard_bytes": 5000000000}

cases = [
    case(
        "the least recipe",
        {"strategy": "weight_average"},
        [{"name": "a"}, {"name": "b", "weight": "0.1"}],
        {
            "strategy": "weight_average",
            "version": 1,
            "params": {"normalize": True},
            "overrides": [],
            "pre": [],
            "post": [],
            "mismatch": "error",
            "seed": "inputs",
            "out": {**OUT, "files": [file_of(first(["a", "b"]), "config.json")]},
        },
        [
            {"content": content("a"), "kind": "full", "weight": "1", "params": {}},
            {"content": content("b"), "kind": "full", "weight": "0.1", "params": {}},
        ],
    ),
    case(
        "one content twice, in order of the weights' bits",
        {"strategy": "linear", "weights": [["lab/a", -1], ["lab/twin", 2]], "seed": 7},
        [{"name": "a"}, {"name": "twin", "content": "a"}],
        {
            "strategy": "weight_average",
            "version": 1,
            "params": {"normalize": True},
            "overrides": [],
            "pre": [],
            "post": [],
            "mismatch": "error",
            "seed": 7,
            "out": {**OUT, "files": [file_of("twin", "config.json")]},
        },
        [
            {"content": content("a"), "kind": "full", "weight": "-1", "params": {}},
            {"content": content("a"), "kind": "full", "weight": "2", "params": {}},
        ],
    ),
    case(
        "ties with everything said",
        {
            "tributary": 1,
            "strategy": {"id": "ties", "params": {"density": "0.2", "lambda": "1e-1", "rounds": "3", "levels": [1, "0.50"]}},
            "weights": [["lab/b", 0.30000000000000004]],
            "params_for": [["lab/a", {"density": 0.5}]],
            "overrides": [
                {"match": "*norm*", "strategy": {"id": "task_arithmetic", "params": {"lambda": 2}}},
                {"match": "*mlp*", "params": {"density": 0.75, "consensus": "count"}},
            ],
            "overrides_for": [["lab/b", [{"match": "*embed*", "weight": 0, "params": {"density": 1}}]]],
            "mismatch": "skip",
            "out": {"dtype": "bfloat16", "shard_bytes": "512MiB"},
        },
        [{"name": "a", "weight": 16777217}, {"name": "b"}, {"name": "base"}],
        {
            "strategy": "ties",
            "version": 3,
            "params": {
                "lambda": "0.1",
                "rounds": 3,
                "consensus": "sum",
                "normalize": True,
                "levels": ["1", "0.5"],
            },
            "overrides": [
                ["*norm*", {"strategy": "task_arithmetic", "version": 1, "params": {"lambda": "2", "normalize": False}}],
                ["*mlp*", {"params": {"density": "0.75", "consensus": "count"}}],
            ],
            "pre": [],
            "post": [],
            "mismatch": "skip",
            "seed": "inputs",
            "out": {"dtype": "BF16", "shard_bytes": 536870912, "files": [file_of("base", "config.json")]},
        },
        [
            {"content": content("a"), "kind": "full", "weight": "16777216", "params": {"density": "0.5"}},
            {
                "content": content("b"),
                "kind": "full",
                "weight": "0.3",
                "params": {"density": "0.2"},
                "overrides": [["*embed*", {"weight": "0", "params": {"density": "1"}}]],
            },
        ],
        base="base",
    ),
    case(
        "slerp from x0",
        {"strategy": {"id": "slerp", "params": {"t": 0.25}}, "roles": [["x0", "lab/b"]]},
        [{"name": "a"}, {"name": "b"}],
        {
            "strategy": "slerp",
            "version": 1,
            "params": {"t": "0.25"},
            "overrides": [],
            "pre": [],
            "post": [],
            "mismatch": "error",
            "reduce": "fold",
            "seed": "inputs",
            "out": {**OUT, "files": [file_of(first(["a", "b"]), "config.json")]},
        },
        [
            {"content": content("a"), "kind": "full", "weight": "1", "params": {}},
            {"content": content("b"), "kind": "full", "weight": "1", "params": {}, "role": "x0"},
        ],
    ),
]

print(json.dumps({"cases": cases}, indent=1, ensure_ascii=False))
