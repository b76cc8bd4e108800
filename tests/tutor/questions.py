"""The held-out questions of questions.txt, and how an answer is judged."""

import re
from dataclasses import dataclass
from pathlib import Path

DECLINED = ("only know about transformers and this program", "只懂 transformer 和这个程序")
KINDS = ("facts", "follow-ups", "off-topic")


def says(text, wording):
    """True where the wording stands in the text by itself: "low" is no part of "below"."""
    begin = r"(?<![a-z0-9])" if re.match(r"[A-Za-z0-9]", wording) else ""
    end = r"(?![a-z0-9])" if re.search(r"[A-Za-z0-9]$", wording) else ""
    return re.search(begin + re.escape(wording.lower()) + end, text) is not None


@dataclass
class Question:
    kind: str
    language: str
    turns: list  # what the user says, in order
    must: list  # of each fact the wordings, any of which will do
    must_not: list

    def faults(self, answer):
        """Why an answer is wrong; nothing: it is right."""
        text = answer.lower()
        declined = any(phrase in text for phrase in DECLINED)
        if self.kind == "off-topic":
            return [] if declined else ["not declined"]
        found = ["declined"] if declined and not any("only" in w or "只" in w for words in self.must for w in words) else []
        found += ["misses " + " or ".join(words) for words in self.must if not any(says(text, word) for word in words)]
        return found + ["says " + word for word in self.must_not if says(text, word)]


def split(text, mark):
    return [part.strip() for part in text.split(mark) if part.strip()]


def read_questions(path=Path(__file__).parent / "questions.txt"):
    questions, kind = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("["):
            kind = line.strip("[]")
        elif line and not line.startswith("#"):
            parts = [part.strip() for part in line.split("|")]
            if len(parts) != 4 or kind not in KINDS or parts[0] not in ("en", "zh"):
                raise ValueError(f"{path.name}:{number}: not 'language | question | must | must not'")
            must = [split(fact, " or ") for fact in split(parts[2], " & ")]
            questions.append(Question(kind, parts[0], split(parts[1], ">>"), must, split(parts[3], "&")))
    return questions


def units(text):
    """Words of alphabetic scripts and single Chinese characters, in lower case."""
    return re.findall(r"[a-z0-9_']+|[\u4e00-\u9fff]", text.lower())


def has_loop(text):
    """True where the text goes in circles: a stretch three times in a row (shorter than three units: six times), or a
    stretch of 16 units three times anywhere."""
    items = units(text)
    for period in range(1, len(items) // 3 + 1):
        times = 6 if period < 3 else 3
        run = 0  # how many units in a row equal the one a period before
        for at in range(period, len(items)):
            run = run + 1 if items[at] == items[at - period] else 0
            if run >= period * (times - 1):
                return True
    seen = {}
    for at in range(len(items) - 15):
        piece = tuple(items[at:at + 16])
        seen[piece] = seen.get(piece, 0) + 1
        if seen[piece] == 3:
            return True
    return False
