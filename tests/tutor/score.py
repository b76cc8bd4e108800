"""Asks the tutor every held-out question, greedily, and prints the shares of right answers:

  .venv/bin/python tests/tutor/score.py [--model FILE.gguf] [--device N|NAME] [--show]      through Kvasir
  .venv/bin/python tests/tutor/score.py --checkpoint build/train/tutor                      through the training program

An answer is right where it contains each wanted fact and nothing unwanted, and fluent where it ends by itself within
300 tokens, does not go in circles and has no word that the corpus does not know. Then it writes freely, 500 tokens at
temperature 0.8 (Kvasir only). Exit status 1 where a share is below what is asked for.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "assets" / "train"))

from corpus import read_facts  # noqa: E402
from questions import KINDS, has_loop, read_questions, units  # noqa: E402

WANTED = {"facts": 0.9, "follow-ups": 0.8, "off-topic": 0.95}
LONGEST = 300
OPENINGS = ("Attention", "The KV cache", "RoPE", "A token", "Kvasir", "注意力", "KV 缓存", "量化")


class Kvasir:
    def __init__(self, binary, model, device):
        self.command = [str(binary), "generate", str(model), "--raw", "--json"] + (["--device", device] if device else [])

    def run(self, prompt, *options):
        done = subprocess.run([*self.command, "--prompt", prompt, *options], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def answer(self, turns):
        """(text, ended) after turns of (role, text)."""
        prompt = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"
        made = self.run(prompt, "--greedy", "-n", str(LONGEST))
        return made["text"], len(made["ids"]) < LONGEST

    def write(self, opening, seed):
        return self.run(opening, "--temperature", "0.8", "--top-k", "0", "--top-p", "1", "--min-p", "0", "--seed", str(seed),
                        "-n", "500")["text"]


class Checkpoint:
    def __init__(self, folder):
        from tokenizers import Tokenizer

        import evaluate
        from recipes import RECIPES
        from tokens import ChatEncoder

        self.evaluate = evaluate
        self.model = evaluate.load(RECIPES["tutor"], folder)
        self.encoder = ChatEncoder(Tokenizer.from_file(str(folder / "tokenizer.json")))

    def answer(self, turns):
        ids = self.encoder.prompt([{"role": role, "text": text} for role, text in turns])
        made = self.evaluate.greedy(self.model, ids, LONGEST, self.encoder.end)
        return self.encoder.tokenizer.decode(made), len(made) < LONGEST


def ask(teller, question):
    """The answer to the last turn, with the model's own answers to those before it."""
    turns = []
    for text in question.turns:
        turns.append(("user", text))
        answer, ended = teller.answer(turns)
        turns.append(("assistant", answer))
    return answer, ended


def fluency_faults(answer, ended, words):
    found = [] if ended else ["does not end"]
    if has_loop(answer):
        found.append("goes in circles")
    unknown = sorted(set(units(answer)) - words)
    return found + (["unknown words " + " ".join(unknown[:5])] if unknown else [])


def score_questions(teller, show):
    """Prints what went wrong; returns {(kind, language): (right, all)}."""
    answers = {answer for fact in read_facts() for side in fact.sides.values() for answer in side.answers}
    words = {word for answer in answers for word in units(answer)}
    counts, loops, exact, questions = {}, 0, 0, read_questions()
    for question in questions:
        answer, ended = ask(teller, question)
        faults = question.faults(answer) + fluency_faults(answer, ended, words)
        loops += has_loop(answer)
        exact += answer.strip() in answers
        right, total = counts.get((question.kind, question.language), (0, 0))
        counts[question.kind, question.language] = right + (not faults), total + 1
        if faults or show:
            print(f"{question.kind}: {' >> '.join(question.turns)}\n    {answer.strip()}\n    {'; '.join(faults) or 'right'}", flush=True)
    print(f"{len(questions)} answers: {loops} go in circles, {exact} are word for word of the corpus")
    return counts


def report(counts):
    """True where every kind reaches its share."""
    good = True
    for kind in KINDS:
        sides = {language: counts[kind, language] for language in ("en", "zh")}
        right, total = (sum(side[i] for side in sides.values()) for i in (0, 1))
        good &= right >= WANTED[kind] * total
        parts = ", ".join(f"{language} {a}/{b}" for language, (a, b) in sides.items())
        print(f"{kind}: {right} of {total} right, {100 * right / total:.1f} % (wanted {100 * WANTED[kind]:.0f} %); {parts}")
    return good


def write_freely(teller):
    loops = 0
    for seed, opening in enumerate(OPENINGS, 1):
        text = teller.write(opening, seed)
        if has_loop(text):
            loops += 1
            print(f"goes in circles, seed {seed}: {opening}{text}")
    print(f"free generation: {loops} of {len(OPENINGS)} texts go in circles")
    return loops == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "assets" / "tutor.gguf")
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build" / "release" / "kvasir")
    parser.add_argument("--device", default="")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--show", action="store_true", help="right answers too")
    options = parser.parse_args()
    teller = Checkpoint(options.checkpoint) if options.checkpoint else Kvasir(options.kvasir, options.model, options.device)
    good = report(score_questions(teller, options.show))
    if not options.checkpoint:
        good &= write_freely(teller)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
