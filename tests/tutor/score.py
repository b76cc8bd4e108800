"""Asks the tutor every held-out question, greedily, and prints the shares of right answers:

  python3 tests/tutor/score.py [--kvasir FILE] [--model MODEL] [--device N|NAME] [--show]     through Kvasir; needs nothing else
  .venv/bin/python tests/tutor/score.py --checkpoint build/train/tutor                        through the training program

An answer is right where it contains each wanted fact and nothing unwanted, and fluent where it ends by itself, does not go
in circles and has no word that the corpus does not know. Then it asks what something is after a turn about something else, and lets
it write freely, 500 tokens at temperature 0.8 (Kvasir only).
It prints what is wanted too. Exit status 1 where a share is below FLOOR, which the committed tutor reaches, or an answer goes in
circles. New subjects are only reported, and what it writes freely too, because another driver's rounding makes other texts of it.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "assets" / "train"))

from corpus import LANGUAGES, read_facts  # noqa: E402
from expand import Corpus  # noqa: E402
from questions import KINDS, has_loop, read_questions, units  # noqa: E402

WANTED = {"facts": 0.9, "follow-ups": 0.8, "off-topic": 0.95}
FLOOR = {"facts": 0.9, "follow-ups": 0.9, "off-topic": 0.95}  # the committed tutor has 0.930, 0.938 and 0.958
LONGEST = 300  # tokens, of the training program; Kvasir goes on until the context is full
OPENINGS = ("Attention", "The KV cache", "RoPE", "A token", "Kvasir", "注意力", "KV 缓存", "量化")


class Kvasir:
    """The program, as people use it: `kvasir chat`, one for all conversations, and `kvasir generate`."""

    def __init__(self, binary, model, device):
        self.binary, self.options = str(binary), [model] + (["--device", device] if device else [])

    def run(self, command, *options, text=""):
        done = subprocess.run([self.binary, command, *self.options, *options], input=text, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"kvasir {command}: status {done.returncode}, {done.stderr.strip()[-600:]}")
        return done

    def answers(self, conversations):
        """(text, ended) of the last answer of each conversation, given what the user says in it."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{i}.json" for i in range(len(conversations))]
            lines = [line for turns, file in zip(conversations, files) for line in ("/new", *turns, f"/save {file}")]
            notices = self.run("chat", "--greedy", text="\n".join(lines) + "\n").stderr
            for turns, file in zip(conversations, files):
                heard, _, notices = notices.partition(f"saved in {file}")
                saved = json.loads(file.read_text(encoding="utf-8"))["turns"]
                whole = len(saved) == 2 * len(turns)  # otherwise a message was not sent: no room was left
                yield (saved[-1]["text"] if whole else ""), whole and "the context is full" not in heard

    def write(self, opening, seed):
        """(text, tokens)"""
        done = self.run("generate", "--raw", "--json", "--prompt", opening, "--temperature", "0.8", "--top-k", "0", "--top-p", "1",
                        "--min-p", "0", "--seed", str(seed), "-n", "500")
        made = json.loads(done.stdout)
        return made["text"], len(made["ids"])


class Checkpoint:
    def __init__(self, folder):
        from tokenizers import Tokenizer

        import evaluate
        from recipes import RECIPES
        from tokens import ChatEncoder

        self.evaluate = evaluate
        self.model = evaluate.load(RECIPES["tutor"], folder)
        self.encoder = ChatEncoder(Tokenizer.from_file(str(folder / "tokenizer.json")))

    def answers(self, conversations):
        for said in conversations:
            turns = []
            for text in said:
                turns.append({"role": "user", "text": text})
                made = self.evaluate.greedy(self.model, self.encoder.prompt(turns), LONGEST, self.encoder.end)
                turns.append({"role": "assistant", "text": self.encoder.tokenizer.decode(made).strip()})
            yield turns[-1]["text"], len(made) < LONGEST


def fluency_faults(answer, ended, words):
    found = [] if ended else ["does not end"]
    if has_loop(answer):
        found.append("goes in circles")
    unknown = sorted(set(units(answer)) - words)
    return found + (["unknown words " + " ".join(unknown[:5])] if unknown else [])


def score_questions(teller, show):
    """Prints what went wrong; returns {(kind, language): (right, all)} and how many answers go in circles."""
    answers = {answer for fact in read_facts() for side in fact.sides.values() for answer in side.answers}
    words = {word for answer in answers for word in units(answer)}
    counts, loops, exact, questions = {}, 0, 0, read_questions()
    for question, (answer, ended) in zip(questions, teller.answers([question.turns for question in questions])):
        faults = question.faults(answer) + fluency_faults(answer, ended, words)
        loops += has_loop(answer)
        exact += answer.strip() in answers
        right, total = counts.get((question.kind, question.language), (0, 0))
        counts[question.kind, question.language] = right + (not faults), total + 1
        if faults or show:
            print(f"{question.kind}: {' >> '.join(question.turns)}\n    {answer.strip()}\n    {'; '.join(faults) or 'right'}", flush=True)
    print(f"{len(questions)} answers: {loops} go in circles, {exact} are word for word of the corpus")
    return counts, loops


def report(counts):
    """True where every kind reaches its floor."""
    good = True
    for kind in KINDS:
        sides = {language: counts[kind, language] for language in ("en", "zh")}
        right, total = (sum(side[i] for side in sides.values()) for i in (0, 1))
        good &= right >= FLOOR[kind] * total
        parts = ", ".join(f"{language} {a}/{b}" for language, (a, b) in sides.items())
        print(f"{kind}: {right} of {total} right, {100 * right / total:.1f} % (wanted {100 * WANTED[kind]:.0f} %); {parts}")
    return good


def change_subjects(teller, n=40):
    """Prints how often "what is X" after a turn about something else is answered with what X is, word for word."""
    corpus, rng = Corpus(), random.Random(1)
    for language in LANGUAGES:
        known = [(question, fact) for fact in corpus.facts if fact.kind == "fact"
                 for question in [question for intent, question in corpus.plain[fact.id, language] if intent == "what"][:1]]
        pairs = [rng.sample(known, 2) for _ in range(n)]
        answers = teller.answers([[question + "?" for question, _ in pair] for pair in pairs])
        right = sum(answer.strip() in fact.sides[language].answers for (_, (_, fact)), (answer, _) in zip(pairs, answers))
        print(f"what something is, after a turn about something else, {language}: {right} of {n} right")


def write_freely(teller):
    loops, lengths = 0, []
    for seed, opening in enumerate(OPENINGS, 1):
        text, length = teller.write(opening, seed)
        lengths.append(length)
        if has_loop(text):
            loops += 1
            print(f"goes in circles, seed {seed}: {opening}{text}")
    print(f"free generation: {loops} of {len(OPENINGS)} texts go in circles (wanted none); tokens until the model ended or 500: "
          + ", ".join(map(str, lengths)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tutor", help="a built-in model's name, or a path")
    parser.add_argument("--kvasir", type=Path, default=ROOT / "build" / "release" / "kvasir")
    parser.add_argument("--device", default="")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--show", action="store_true", help="right answers too")
    options = parser.parse_args()
    teller = Checkpoint(options.checkpoint) if options.checkpoint else Kvasir(options.kvasir, options.model, options.device)
    counts, loops = score_questions(teller, options.show)
    good = report(counts)
    change_subjects(teller)
    if not options.checkpoint:
        write_freely(teller)
    return 0 if good and not loops else 1


if __name__ == "__main__":
    sys.exit(main())
