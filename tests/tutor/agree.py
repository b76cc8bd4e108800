"""Logits of the training program (float32) and of Kvasir, for a model and its checkpoint:

  .venv/bin/python tests/tutor/agree.py NAME [--folder FOLDER] [--model FILE.gguf] [--ids FILE] [--n N]

The relative error is |a - b| / |b| over all logits of the ids (seeded ones without --ids); above 1e-3 the exit status is 1.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "assets" / "train"))

from evaluate import load  # noqa: E402
from recipes import BUILT_IN, RECIPES  # noqa: E402

LIMIT = 1e-3


def kvasir_logits(binary, model, ids, n_vocab):
    with tempfile.TemporaryDirectory() as folder:
        ids_file, out = Path(folder) / "ids.txt", Path(folder) / "logits.f32"
        ids_file.write_text(" ".join(map(str, ids)))
        subprocess.run([binary, "score", model, "--ids", ids_file, "--logits", out, "--kv", "f32", "--json",
                        "--context", str(len(ids))], check=True, stdout=subprocess.DEVNULL)
        return np.fromfile(out, "<f4").reshape(len(ids), n_vocab)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=BUILT_IN)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--ids", type=Path)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build" / "release" / "kvasir")
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    folder = options.folder or ROOT / "build" / "train" / recipe.name
    model = options.model or ROOT / "assets" / f"{recipe.name}.gguf"
    if options.ids:
        ids = [int(word) for word in options.ids.read_text().replace(",", " ").split()]
    else:
        rng = random.Random(1)
        ids = [rng.randrange(recipe.shape.n_vocab) for _ in range(options.n)]
    with torch.no_grad():
        network = load(recipe, folder, rounded=True)
        expected = network.head(network(torch.tensor([ids])))[0].numpy()
    found = kvasir_logits(options.kvasir, model, ids, recipe.shape.n_vocab)
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    worst = float(np.abs(found - expected).max())
    same = int((found.argmax(1) == expected.argmax(1)).sum())
    print(f"{recipe.name}: relative error {error:.2e}, largest difference {worst:.2e}, standard deviation {expected.std():.3f}, "
          f"equal best token at {same} of {len(ids)} positions")
    return 0 if error < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
