"""The held-out perplexity of the Shakespeare models through Kvasir, as the table of assets/README.md:

  python3 assets/train/perplexity.py [--kvasir FILE] [--device N|NAME]

The last tenth of the text in windows of N tokens that each begin anew: `kvasir score MODEL --text FILE --window N`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = ROOT.parent / "shared" / "data" / "text" / "tinyshakespeare.txt"
LENGTHS = (256, 384, 512, 1024, 2048)
NAMES = {"shakespeare-learned": "learned positions", "shakespeare-rope": "RoPE", "shakespeare-alibi": "ALiBi"}


def perplexity(kvasir, model, text, window):
    """None where the model cannot see that far."""
    command = [*kvasir, model, "--text", str(text), "--window", str(window), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 1 and "position" in done.stderr:
        return None
    done.check_returncode()
    return json.loads(done.stdout)["perplexity"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build" / "release" / "kvasir")
    parser.add_argument("--device", default="")
    options = parser.parse_args()
    kvasir = [str(options.kvasir), "score"] + (["--device", options.device] if options.device else [])
    text = TEXT.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        held_out = Path(folder) / "held_out.txt"
        held_out.write_text(text[len(text) * 9 // 10:], encoding="utf-8")
        print("| tokens a window | " + " | ".join(map(str, LENGTHS)) + " |\n|---|" + "---|" * len(LENGTHS))
        for model, name in NAMES.items():
            values = [perplexity(kvasir, model, held_out, window) for window in LENGTHS]
            print(f"| {name} | " + " | ".join("cannot" if v is None else f"{v:.2f}" for v in values) + " |", flush=True)


if __name__ == "__main__":
    main()
