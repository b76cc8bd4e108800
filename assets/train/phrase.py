"""Questions from templates: every plain phrasing of a fact, and the ways people bend one when they type."""

import re
import string

from corpus import bare

PLURAL = {"{is}": "are", "{does}": "do", "{s}": "", "{was}": "were"}
SINGULAR = {"{is}": "is", "{does}": "does", "{s}": "s", "{was}": "was"}
SMALL_WORDS = {"the", "a", "an", "is", "are", "does", "do", "of", "me", "please", "exactly", "to", "can", "you", "it"}
SYLLABLES = ("bla", "fro", "zim", "ka", "lo", "tri", "vex", "mu", "dor", "pli", "gra", "nok", "ster", "wu", "fen", "qua", "rib")
SYLLABLES_ZH = "咕噜呜哒嘟嘎啵叽喵哇唧噗"

WRAPPERS = {
    "en": ["hi, {}", "hello! {}", "hello, {}", "hey, {}", "please, {}", "{}, please", "{} please", "sorry, {}", "quick question: {}",
           "i have a question: {}", "a question: {}", "ok, {}", "okay, and {}", "so, {}", "well, {}", "and {}", "but {}", "now {}",
           "thanks! {}", "thank you. {}", "great. {}", "one more: {}", "another question: {}", "next question: {}", "tell me: {}",
           "i wonder, {}", "just curious: {}", "{}, in short", "briefly, {}", "in one or two sentences, {}", "{} i am new to this",
           "good morning, {}", "dear tutor, {}", "tutor, {}", "you said something before, but {}", "let me ask: {}", "hm, {}",
           "for my homework: {}", "my teacher asks: {}", "i am a student. {}", "i forgot, {}", "remind me, {}", "once again, {}"],
    "zh": ["你好，{}", "您好，{}", "请问{}", "请问，{}", "麻烦问一下，{}", "那{}", "那么{}", "好的，{}", "谢谢，{}", "还有一个问题：{}", "再问一下，{}",
           "我想问{}", "我想问一下，{}", "问一下{}", "老师，{}", "导师，{}", "简单说，{}", "我是初学者，{}", "不好意思，{}", "顺便问一下，{}",
           "另外，{}", "想请教一下，{}", "我忘了，{}", "一个问题：{}"],
}


def fill(template, name, other=""):
    """A template with a name put in; a leading + of the name says that it is plural."""
    words = PLURAL if name.startswith("+") else SINGULAR
    for mark, word in words.items():
        template = template.replace(mark, word)
    plain = re.sub(r"^(the|an?) ", "", name.lstrip("+"), flags=re.IGNORECASE)
    return template.replace("{x}", name.lstrip("+")).replace("{b}", plain).replace("{y}", other.lstrip("+"))


def plain_questions(side, phrasings):
    """Every question about a fact that needs no turn before it, as the templates have it."""
    questions = [(None, question) for question in side.questions]
    for intent, names in side.subjects.items():
        for name in names:
            first, _, second = name.partition(" ~ ")
            questions += [(intent, fill(template, first, second)) for template in phrasings[intent]]
    return questions


def names_of(side, intent=None):
    """The bare names that a fact is about, all or those of one intent; of a comparison the first."""
    lists = side.subjects.values() if intent is None else [side.subjects.get(intent, [])]
    return {bare(name.partition(" ~ ")[0]) for names in lists for name in names}


def nonsense(rng, language):
    """A word that no language has."""
    if language == "zh":
        return "".join(rng.choice(SYLLABLES_ZH) for _ in range(rng.randint(2, 4)))
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))


def number(rng):
    return str(rng.choice((rng.randint(1, 20), rng.randint(10, 999), rng.randint(1000, 99999))))


def with_words(rng, template, words, language):
    """A template of an off-topic question with words drawn for its braces."""

    def draw(match):
        kind = match.group(1)
        if kind == "nonsense":
            return nonsense(rng, language)
        return number(rng) if kind == "number" else rng.choice(words[kind])

    return re.sub(r"\{(\w+)\}", draw, template)


class Synonyms:
    """Puts one word for another of its group."""

    def __init__(self, groups, language):
        self.language = language
        self.others = {}
        for group in groups:
            for word in group:
                self.others.setdefault(word.lower(), []).extend(other for other in group if other != word)
        words = "|".join(re.escape(word) for word in sorted(self.others, key=len, reverse=True))
        self.word = re.compile(rf"\b({words})\b" if language == "en" else f"({words})", re.IGNORECASE)

    def vary(self, rng, text):
        """The text with one of its words, or two, said differently."""
        for _ in range(rng.choice((1, 1, 2))):
            found = list(self.word.finditer(text))
            if not found:
                return text
            match = rng.choice(found)
            text = text[:match.start()] + rng.choice(self.others[match.group().lower()]) + text[match.end():]
        return text


def misspell(rng, text):
    """One slip of the fingers: two letters swapped, one lost, doubled or hit beside its key."""
    spots = [i for i, c in enumerate(text) if c in string.ascii_letters and i > 0]
    if not spots:
        return text
    i = rng.choice(spots)
    kind = rng.randrange(4)
    if kind == 0 and i + 1 < len(text):
        return text[:i] + text[i + 1] + text[i] + text[i + 2:]
    if kind == 1:
        return text[:i] + text[i + 1:]
    if kind == 2:
        return text[:i] + text[i] + text[i:]
    return text[:i] + rng.choice(string.ascii_lowercase) + text[i + 1:]


def hurry(rng, text):
    """A text with some of its small words left out, as in a search box."""
    kept = [word for word in text.split(" ") if word.lower() not in SMALL_WORDS or rng.random() < 0.4]
    return " ".join(kept) or text


def bend_en(rng, text, wrap):
    if rng.random() < 0.08:
        text = hurry(rng, text)
    if wrap and rng.random() < 0.22:
        text = rng.choice(WRAPPERS["en"]).format(text)
    if rng.random() < 0.14:
        for _ in range(rng.choice((1, 1, 2))):
            text = misspell(rng, text)
    style = rng.random()
    if style < 0.5:
        text = text[:1].upper() + text[1:]
    elif style < 0.7:
        text = text.lower()
    if text[-1:] in ".?!":
        return text
    return text + rng.choice(("?", "?", "?", "?", "", "", "", ".", " ?", "??"))


def bend_zh(rng, text, wrap):
    if wrap and rng.random() < 0.22:
        text = rng.choice(WRAPPERS["zh"]).format(text)
    if rng.random() < 0.06 and len(text) > 5:
        i = rng.randrange(len(text))
        text = text[:i] + text[i + 1:]
    if rng.random() < 0.15:
        text = text.lower()
    if rng.random() < 0.08:  # a space between scripts, as many people type
        text = re.sub(r"(?<=[\u4e00-\u9fff])(?=[A-Za-z])|(?<=[A-Za-z])(?=[\u4e00-\u9fff])", " ", text)
    if text[-1:] in "。？！?":
        return text
    return text + rng.choice(("？", "？", "？", "？", "", "", "", "?", "。", "呢？"))


def bend(rng, text, language, wrap=True):
    """A question as somebody might really type it."""
    return bend_en(rng, text, wrap) if language == "en" else bend_zh(rng, text, wrap)
