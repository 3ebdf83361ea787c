"""True values of sin, cos, acos, exp, log and tanh, from mpmath at 300 bits. Writes ../vectors/libm.json.

Each row is x, the nearest f64 to f(x), and the nearest f64 to what is left of f(x).
"""

import json
import pathlib
import random

from mpmath import mp, mpf, pi

mp.prec = 300
random.seed(20)
COUNT = 160


def sign():
    return random.choice([-1, 1])


def turn():
    return random.choice([
        random.uniform(-7, 7),
        random.uniform(-(2**20), 2**20),
        sign() * 2 ** random.uniform(-40, 20),
        float(random.randint(-20, 20) * pi / 2),  # where most of x cancels
        float(random.randint(-600000, 600000) * pi / 2),
        sign() * 0.7853981633974483 * (1 + random.randint(-4, 4) * 2**-52),
    ])


def cosine():
    return random.choice([
        random.uniform(-1, 1),
        sign() * (1 - 2 ** random.uniform(-53, -1)),
        sign() * 2 ** random.uniform(-60, 0),
        sign() * 0.5 * (1 + random.randint(-4, 4) * 2**-52),
    ])


def exponent():
    return random.choice([
        random.uniform(-708, 709.7),
        random.uniform(-2, 2),
        sign() * 2 ** random.uniform(-60, 9),
        (random.randint(-40, 40) + 0.5) * 0.6931471805599453,  # between two powers of two
    ])


def positive():
    return random.choice([
        2 ** random.uniform(-1074, 1023),
        random.uniform(0.6, 1.5),
        1 + sign() * 2 ** random.uniform(-52, -1),
        1.4142135623730951 * (1 + random.randint(-4, 4) * 2**-52),
    ])


def any_size():
    return random.choice([
        random.uniform(-1, 1),
        random.uniform(-24, 24),
        sign() * 2 ** random.uniform(-60, 4),
        sign() * 0.5625 * (1 + random.randint(-4, 4) * 2**-52),
    ])


def row(name, x):
    true = getattr(mp, name)(mpf(x))
    near = float(true)
    return [x, near, float(true - mpf(near))]


draws = {"sin": turn, "cos": turn, "acos": cosine, "exp": exponent, "log": positive, "tanh": any_size}
rows = {name: [row(name, draw()) for _ in range(COUNT)] for name, draw in draws.items()}
text = ",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(r) for r in rs) + "\n]" for name, rs in rows.items())
path = pathlib.Path(__file__).parent.parent / "vectors" / "libm.json"
path.write_text("{\n" + text + "\n}\n")
