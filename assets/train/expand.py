"""Conversations from the corpus, seeded: the same seed and round give the same ones.

  python expand.py ROUND [--out FILE]   one round of conversations as JSON Lines
  python expand.py --phrasings          every plain question, one a line: what a held-out question must not be
  python expand.py --check              questions that two facts claim
"""

import argparse
import json
import random
import re
import sys
from dataclasses import dataclass

from corpus import LANGUAGES, bare, read_facts, read_phrasings, read_synonyms, read_words
from phrase import Synonyms, bend, fill, names_of, plain_questions, with_words

SEED = 1
EACH = 1  # how often a round asks each fact in each language outright
OPENINGS = 24  # and how often besides, with no more than the beginning of the answer
OWN = 0.8  # of the questions are a fact's own where it has some, not of a template
WHOLE = 0.5  # of the openings of two turns have the whole first answer, the others a sentence of it
PARAGRAPHS = 12  # of a page
VARIED = 0.35  # of the questions about facts have a word said differently
SYSTEMS = ("You are a helpful assistant.", "You are the tutor.", "Answer shortly.", "你是一个有用的助手。", "Be polite.")
ORDINARY = ("what", "how", "why", "formula", "pro", "con", "who", "models", "size", "cost", "example", "where")
DETAILS = ("formula", "who", "models", "example")  # asked of a subject that has none: said so
MORE, AGAIN, OTHER = "more ...", "again ...", "other ..."


@dataclass(frozen=True)
class Mix:
    """What a round is made of."""

    off_topic: float = 0.25  # of the turns that are asked outright
    pages: float = 0.12  # of the conversations are prose instead
    follow: float = 0.07  # of the openings follow up,
    change: float = 0.04  # of them ask outright about something else after another turn


class Corpus:
    """The corpus with everything that a conversation is made of worked out once."""

    def __init__(self):
        self.facts = read_facts()
        self.by_id = {fact.id: fact for fact in self.facts}
        self.told = [fact for fact in self.facts if fact.kind == "fact"]
        self.phrasings = {language: read_phrasings(language) for language in LANGUAGES}
        self.words = {language: read_words(language) for language in LANGUAGES}
        self.synonyms = {language: Synonyms(read_synonyms(language), language) for language in LANGUAGES}
        self.subjects = {}
        for fact in self.facts:
            self.subjects.setdefault(fact.subject, []).append(fact)
        self.plain, self.follow = {}, {}
        for language in LANGUAGES:
            self.claim_open_intents(language)
            for fact in self.facts:
                self.plain[fact.id, language] = plain_questions(fact.sides[language], self.phrasings[language])
                self.follow[fact.id, language] = self.follow_ups(fact, language)

    def claim_open_intents(self, language):
        """A subject's how and why that no fact claims are its first fact's, whose answer comes closest."""
        for group in self.subjects.values():
            first = group[0].sides[language]
            for intent in ("how", "why"):
                taken = any(intent in fact.sides[language].subjects for fact in group)
                if "what" in first.subjects and not taken and group[0].kind == "fact":
                    first.subjects[intent] = list(first.subjects["what"])

    def names(self, fact, language):
        """What a fact is about; one without names of its own is about its subject's first."""
        side = fact.sides[language]
        return names_of(side, "what") or names_of(side) or names_of(self.subjects[fact.subject][0].sides[language])

    def target(self, fact, intent, language):
        """The fact that answers an intent about what this fact is about, if there is one."""
        names = self.names(fact, language)
        for other in self.subjects[fact.subject]:
            if names & names_of(other.sides[language], intent):
                return other
        return None

    def follow_ups(self, fact, language):
        """What may follow this fact: [(weight, question, fact that answers it)]."""
        table, found = self.phrasings[language], []

        def add(weight, questions, other):
            found.extend((weight / len(questions), question, other) for question in questions)

        for intent in ORDINARY:
            other = self.target(fact, intent, language)
            if other is not None:
                add(0.3 if other is fact else 2.0, table[f"{intent} ..."], other)
            elif intent in DETAILS and fact.kind == "fact":
                add(0.1, table[f"{intent} ..."], self.by_id["chat.unknown_detail"])
        names = self.names(fact, language)
        for other in self.subjects[fact.subject]:
            side = other.sides[language]
            for pair in side.subjects.get("vs", []):
                first, second = pair.split(" ~ ")
                if bare(first) in names:
                    add(0.5, [fill(template, first, second) for template in table["vs ..."]], other)
            if other is not fact and side.follow_ups:
                add(2.5, side.follow_ups, other)
        return found

    def next_of(self, fact):
        """What there is to say after a fact: the next one of its subject, or that there is no more."""
        group = self.subjects[fact.subject]
        at = group.index(fact) + 1
        return group[at] if fact.kind == "fact" and at < len(group) else self.by_id["chat.more_none"]


class Talker:
    """Writes the conversations of one round."""

    def __init__(self, corpus, round_number, seed=SEED, mix=Mix()):
        self.corpus = corpus
        self.rng = random.Random(f"{seed}/{round_number}")
        self.mix = mix
        self.off = [fact for fact in corpus.facts if fact.kind == "off"]
        self.waiting = [(fact, language) for fact in corpus.facts if fact.kind in ("fact", "chat") for language in LANGUAGES
                        for _ in range(EACH)]
        self.rng.shuffle(self.waiting)

    def conversations(self):
        while self.waiting:
            yield self.page() if self.rng.random() < self.mix.pages else self.conversation()

    def openings(self):
        """Questions whose answers are cut after their first words: which answer it is, is decided there."""
        asked = [(fact, language) for fact in self.corpus.facts if fact.kind in ("fact", "chat") for language in LANGUAGES
                 for _ in range(OPENINGS)]
        self.rng.shuffle(asked)
        for fact, language in asked:
            turns = []
            said, kind = self.ask(turns, fact, language), self.rng.random()
            if kind < self.mix.follow + self.mix.change:
                step = self.follow_up(*said) if kind < self.mix.follow and said[0].kind == "fact" else None
                if self.rng.random() >= WHOLE:
                    turns[-1]["text"] = re.split("(?<=[.。]) ?", turns[-1]["text"])[0]
                if step is not None:
                    self.say(turns, *step)
                else:
                    self.ask(turns, *self.rng.choice(asked))
            yield {"turns": turns, "cut": True}

    def ask(self, turns, fact, language):
        """Adds an outright question about a fact, or at times an off-topic one, and its answer; returns what say() does."""
        if self.rng.random() < self.mix.off_topic:
            return self.say(turns, *self.off_topic(language))
        if fact.id == "chat.clarify" and turns:
            return self.say(turns, *self.off_topic(language))  # it would mean the turn before
        return self.say(turns, self.outright(fact, language), fact, language, fact.kind == "fact")

    def page(self):
        """Prose without turns, for writing freely: answers in the corpus' order from some place on. What follows a paragraph is
        always the same, so a model that writes on from its last one does not come back to it."""
        language, facts = self.rng.choice(LANGUAGES), self.corpus.told
        begin = self.rng.randrange(len(facts))
        chosen = [facts[(begin + i) % len(facts)] for i in range(PARAGRAPHS)]
        return {"page": "\n\n".join(self.rng.choice(fact.sides[language].answers) for fact in chosen)}

    def conversation(self):
        rng, turns = self.rng, []
        n_turns = rng.choices((1, 2, 3, 4, 6, 10, 14), (40, 26, 14, 9, 6, 3, 2))[0]
        if rng.random() < 0.04:
            turns.append({"role": "system", "text": rng.choice(SYSTEMS)})
        last = None
        for _ in range(n_turns):
            last = self.turn(turns, last)
            if last is None:
                break
        return {"turns": turns}

    def turn(self, turns, last):
        """Adds a question and its answer; returns (fact, language), or nothing where there is no more to ask."""
        rng = self.rng
        if last is not None and last[0].kind != "reply" and rng.random() < 0.55:
            step = self.follow_up(*last)
            if step is not None:
                return self.say(turns, *step)
        return self.ask(turns, *self.waiting.pop()) if self.waiting else None

    def say(self, turns, question, fact, language, wrap=False, answer=None):
        answers = fact.sides[answer or language].answers
        if fact.kind == "fact" and self.rng.random() < VARIED:
            question = self.corpus.synonyms[language].vary(self.rng, question)
        turns.append({"role": "user", "text": bend(self.rng, question, language, wrap)})
        turns.append({"role": "assistant", "text": self.rng.choice(answers), "fact": fact.id})
        return fact, answer or language

    def outright(self, fact, language):
        """A plain question: by the fact's own words or by a template, each intent as often as another."""
        plain = self.corpus.plain[fact.id, language]
        own = [question for intent, question in plain if intent is None]
        intents = sorted({intent for intent, _ in plain if intent})
        if own and (not intents or self.rng.random() < OWN):
            return self.rng.choice(own)
        intent = self.rng.choice(intents)
        return self.rng.choice([question for kind, question in plain if kind == intent])

    def off_topic(self, language):
        rng, corpus = self.rng, self.corpus
        fact = rng.choices(self.off, [5 if fact.id == "off.general" else 1 for fact in self.off])[0]
        side = fact.sides[language]
        if side.words and rng.random() < 0.5:
            table = corpus.phrasings[language]
            kind = rng.choice(("what", "what", "how", "why", "who", "size", "cost", "pro", "con", "vs", "example", "formula", "do"))
            if kind == "do":
                return self.off_topic(language)
            template = fill(rng.choice(table[kind]), rng.choice(side.words), rng.choice(side.words))
        else:
            template = rng.choice(side.questions)
        return with_words(rng, template, corpus.words[language], language), fact, language, True

    def follow_up(self, fact, language):
        """A question about the turn before: what to say() of it."""
        rng, table = self.rng, self.corpus.phrasings[language]
        other = "zh" if language == "en" else "en"
        kind = rng.random()
        if kind < 0.06:
            return rng.choice(table[AGAIN]), fact, language
        if kind < 0.14 and fact.kind != "off":
            return rng.choice(table[OTHER]), fact, language, False, other
        if kind < 0.24 and fact.kind == "fact":
            return rng.choice(table[MORE]), self.corpus.next_of(fact), language
        found = self.corpus.follow[fact.id, language]
        if not found:
            return None
        _, question, target = rng.choices(found, [weight for weight, _, _ in found])[0]
        return question, target, language


def clashes(corpus):
    """Plain questions that two facts claim, and follow-ups that mean two things."""
    seen = {}
    for (fact, language), questions in corpus.plain.items():
        if corpus.by_id[fact].kind in ("fact", "chat"):
            for _, question in questions:
                seen.setdefault(question.lower(), set()).add(fact)
    for key, found in corpus.follow.items():
        for _, question, target in found:
            seen.setdefault(f"{key[0]} -> {question.lower()}", set()).add(target.id)
    return sorted((question, sorted(facts)) for question, facts in seen.items() if len(facts) > 1)


def phrasings(corpus):
    """Every plain question and follow-up, off-topic templates with their first words."""
    rng = random.Random(0)
    every = {question for questions in corpus.plain.values() for _, question in questions if "{" not in question}
    every |= {question for found in corpus.follow.values() for _, question, _ in found}
    for fact in corpus.facts:
        for language, side in fact.sides.items():
            if fact.kind == "off":
                for template in side.questions:
                    every |= {with_words(rng, template, corpus.words[language], language) for _ in range(60)}
    return sorted(every)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("round", nargs="?", type=int, default=0)
    parser.add_argument("--out", default="-")
    parser.add_argument("--phrasings", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    corpus = Corpus()
    if options.check:
        found = clashes(corpus)
        for question, facts in found:
            print(f"{question}: {', '.join(facts)}")
        return 1 if found else 0
    lines = phrasings(corpus) if options.phrasings else (
        json.dumps(conversation, ensure_ascii=False) for conversation in Talker(corpus, options.round).conversations())
    with open(options.out, "w", encoding="utf-8") if options.out != "-" else sys.stdout as out:
        out.writelines(line + "\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
