"""The tutor's text as it is written in corpus/: facts, phrasings and words, read strictly."""

import re
from dataclasses import dataclass, field
from pathlib import Path

LANGUAGES = ("en", "zh")
INTENTS = ("what", "how", "why", "formula", "vs", "pro", "con", "who", "models", "size", "cost", "example", "where", "do")
FOLDER = Path(__file__).parent / "corpus"
ARTICLE = re.compile(r"^\+?(?:the |an? )?", re.IGNORECASE)


class CorpusError(Exception):
    """A line of the corpus that does not say what it should: file, line and what was found."""


@dataclass
class Side:
    """A fact in one language."""

    subjects: dict = field(default_factory=dict)  # intent -> names of what is asked about, "A ~ B" for vs
    questions: list = field(default_factory=list)  # whole questions
    follow_ups: list = field(default_factory=list)  # questions that need a turn about the same subject before
    words: list = field(default_factory=list)  # templates of a name, for off-topic subjects
    answers: list = field(default_factory=list)


@dataclass
class Fact:
    """One thing to know: how it is asked, and its answer, in both languages.

    kind: fact; chat (asked bare, as small talk is); off (off topic, declined); reply (answers a turn only after another).
    """

    id: str
    subject: str
    kind: str = "fact"
    sides: dict = field(default_factory=lambda: {language: Side() for language in LANGUAGES})


def bare(name):
    """A name without its article and its mark of the plural, in lower case: what two names are compared by."""
    return ARTICLE.sub("", name).lower()


def read_facts(folder=FOLDER):
    """Every fact of the corpus, in the order of files and lines."""
    facts = []
    for path in sorted(folder.glob("[0-9]*.txt")):
        read_file(path, facts)
    ids = [fact.id for fact in facts]
    for fact in facts:
        if ids.count(fact.id) > 1:
            raise CorpusError(f"two facts are called {fact.id}")
        for language, side in fact.sides.items():
            if not side.answers:
                raise CorpusError(f"{fact.id} has no answer in {language}")
    return facts


def read_file(path, facts):
    current = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            name = line[3:].strip()
            facts.append(Fact(name, name.split(".")[0]))
            current = facts[-1]
            continue
        if line.startswith("+ "):  # more about a fact of an earlier file
            current = next((fact for fact in facts if fact.id == line[2:].strip()), None)
            if current is None:
                raise CorpusError(f"{path.name}:{number}: there is no fact {line[2:].strip()!r}")
            continue
        key, colon, text = line.partition(": ")
        if not colon or current is None:
            raise CorpusError(f"{path.name}:{number}: not a 'key: text' line of a fact: {line[:60]}")
        if not add(current, key, text.strip()):
            raise CorpusError(f"{path.name}:{number}: unknown key {key!r}")


def read_unheard(path, facts):
    """[(fact, language, question)] of a file of questions that are in no training text."""
    asked = [Fact(fact.id, fact.subject) for fact in facts]
    read_file(path, asked)
    return [(fact, language, question) for fact, by_itself in zip(facts, asked) for language in LANGUAGES
            for question in by_itself.sides[language].questions]


def add(fact, key, text):
    """Puts one line into the fact; false where the key is unknown."""
    if key in ("subject", "kind"):
        setattr(fact, key, text)
        return True
    language, space, key = key.partition(" ")
    if language not in LANGUAGES or not space:
        return False
    side = fact.sides[language]
    parts = [part.strip() for part in text.split(" | ")]
    if key in INTENTS:
        side.subjects.setdefault(key, []).extend(parts)
    elif key == "q":
        side.questions += parts
    elif key == "f":
        side.follow_ups += parts
    elif key == "x":
        side.words += parts
    elif key == "a":
        side.answers.append(text)
    else:
        return False
    return True


def read_phrasings(language, folder=FOLDER):
    """The templates of each intent: {"what": [...], "what ...": [...] for follow-ups, ...}."""
    table, section = {}, None
    for line in (folder / f"phrasings.{language}").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = table.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section.append(line)
    return table


def read_words(language, folder=FOLDER):
    """Words for the braces of off-topic questions, by kind."""
    table = {}
    for line in (folder / f"words.{language}").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, _, text = line.partition(": ")
            table[kind] = [word.strip() for word in text.split(" | ")]
    return table


def read_synonyms(language, folder=FOLDER):
    """Groups of words of which one may stand for another."""
    lines = (folder / f"synonyms.{language}").read_text(encoding="utf-8").splitlines()
    return [line.split(" | ") for line in lines if line and not line.startswith("#")]
