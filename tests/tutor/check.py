"""Proves that the held-out questions are held out: .venv/bin/python tests/tutor/check.py

No question (of a follow-up: its last turn) is, or is close to, a phrasing that the corpus expands to: the edit distance
divided by the longer length, without case, signs and spaces at the ends, is at least 0.2. And each can be answered: some
answer of the corpus would be judged right. No question of assets/train/unheard is such a phrasing.
"""

import re
import sys
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "assets" / "train"))

from corpus import read_facts, read_unheard  # noqa: E402
from expand import Corpus, Talker, phrasings  # noqa: E402
from questions import KINDS, read_questions  # noqa: E402

LEAST_DISTANCE = 0.2
ROUNDS = 4  # of training that are looked at whole, besides every plain phrasing


def normal(text):
    return " ".join(re.findall(r"\w+", text.lower()))


def asked(corpus, number):
    """What the users of one round's conversations write, slips of the fingers and all."""
    for conversation in Talker(corpus, number).conversations():
        yield from (turn["text"] for turn in conversation.get("turns", []) if turn["role"] == "user")


def main():
    corpus = Corpus()
    known = {normal(phrasing) for phrasing in phrasings(corpus)}
    for number in range(ROUNDS):
        known |= {normal(text) for text in asked(corpus, number)}
    files = sorted((ROOT / "assets" / "train" / "unheard").iterdir())
    heard = [question for path in files for _, _, question in read_unheard(path, read_facts()) if normal(question) in known]
    for question in heard:
        print(f"{question}: is of the text, so not unheard")
    known = sorted(known)
    questions = read_questions()
    close = 0
    for question in questions:
        match, distance, _ = process.extractOne(normal(question.turns[-1]), known, scorer=Levenshtein.normalized_distance)
        if distance < LEAST_DISTANCE:
            close += 1
            print(f"{question.turns[-1]}: {distance:.2f} from: {match}")
    answers = [a for fact in read_facts() for side in fact.sides.values() for a in side.answers]
    hopeless = [question for question in questions if all(question.faults(answer) for answer in answers)]
    for question in hopeless:
        print(f"{question.turns[-1]}: no answer of the corpus is right")
    counts = ", ".join(f"{sum(q.kind == kind for q in questions)} {kind}" for kind in KINDS)
    print(f"{len(questions)} questions ({counts}) against {len(known)} phrasings: {close} too close, "
          f"{len(hopeless)} without an answer; {len(heard)} unheard ones that are of the text")
    return 1 if close or hopeless or heard else 0


if __name__ == "__main__":
    sys.exit(main())
