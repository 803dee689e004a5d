"""What citations are held against: the text that they point into, the documents that they name and the gold.

Nothing here was taken from the server: its sentences, words and thresholds are others, so that an error
of the server's is not repeated by its judge. Needs the standard library alone.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

ENOUGH = 0.5
"""Share of a span's words that a passage must hold to support it."""
PASSAGE = 3
"""Sentences of a passage."""
STEM = 5
"""Letters of a word that are compared: `founded` is `founder`, and `plants` is `plant`."""


@dataclass(frozen=True)
class Document:
    title: str
    url: str
    site: str
    text: str


class Corpus:
    """Documents by their addresses, and the names that are in them."""

    def __init__(self, documents):
        self.documents = {address(document.url): document for document in documents}
        if len(self.documents) != len(documents):
            raise ValueError("two documents have the same address")
        texts = [document.text for document in documents]
        within = {folded(name) for text in texts for name in re.findall(r"(?<=[\w,] )[^\W\d_]+", text) if name[0].isupper()}
        self.names = within - {word for text in texts for word in WORD.findall(text)}
        """Written with a capital letter within sentences and never without: known as names where a sentence begins."""

    @classmethod
    def read(cls, folder):
        """The Markdown of a folder, each below lines of `key: value` between two `---`."""
        documents = []
        for path in sorted(Path(folder).rglob("*.md")):
            _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
            values = dict(line.split(": ", 1) for line in head.splitlines())
            documents.append(Document(values["title"], values["url"], values["site"], text.strip()))
        return cls(documents)

    def find(self, url):
        return self.documents.get(address(url)) if isinstance(url, str) else None

    def supports(self, document, span):
        """Whether a document says what a span says, as far as words tell.

        Every number and every name of the span is somewhere in the document, and one passage of it, with
        the title, holds half of the span's words.
        """
        wanted, whole = set(words(span)), f"{document.title}\n{document.text}"
        everywhere, known = set(words(whole)), {name[:3] for name in names(whole)}
        first, _, rest = span.partition(" ")
        for name in names(rest) | (names(first) & self.names):
            # A country and its people begin alike, and `Volga River` is the river Volga.
            if name[:3] not in known and name[:STEM] not in everywhere:
                return False
        for number in (word for word in wanted if word[0].isdigit()):
            if number not in everywhere and not everywhere & {name[:STEM] for name in NUMBERS.get(number, [])}:
                return False
        title = set(words(document.title))
        said = [set(words(document.text[start:end])) for start, end in sentences(document.text)]
        passages = [title.union(*said[at : at + PASSAGE]) for at in range(max(1, len(said) - PASSAGE + 1))]
        return bool(wanted) and max(len(wanted & passage) for passage in passages) >= ENOUGH * len(wanted)


def address(url):
    """A URL as it is compared: servers may write the same one with or without percent signs."""
    return unicodedata.normalize("NFC", unquote(url.partition("#")[0])).replace(" ", "_")


def folded(text):
    """Text without case, accents, emphasis and the typographer's dashes and quotes."""
    text = re.sub(r"[*`_]+", lambda found: " " if found[0] == "_" else "", text)
    text = unicodedata.normalize("NFKD", text.translate(PLAIN))
    return " ".join("".join(c for c in text if not unicodedata.combining(c)).casefold().split())


PLAIN = str.maketrans({**dict.fromkeys("‐‑‒–—−", "-"), **dict.fromkeys("‘’ʼ", "'"), **dict.fromkeys("“”«»", '"')})


def holds(text, alternatives):
    """Whether a text holds one of these, not as a part of a longer word or number."""
    text = folded(text)
    return any(
        re.search(rf"(?<!\w)(?<!\d[.,]){re.escape(folded(alternative))}(?!\w)(?![.,]\d)", text)
        for alternative in alternatives
    )


UNKNOWN = re.compile(
    r"\b((is|are|was|were|do|does|did|has|have|can|could|would) not|cannot|unable to|unknown|undisclosed|unavailable"
    r"|not (been )?(find|found|mention|specif|stat|provide|available|known|record|disclos|publi|list|include|contain)\w*"
    r"|(no|none of|without) (\w+ ){0,3}(information|mention|record|detail|data|source|result|document|answer|evidence)s?"
    r"|nao (\w+ ){0,2}(encontr|consegu|ha|exist|foi|foram|est|sei|sabe|tenho|temos|const|mencion|diz|indic|refer"
    r"|possivel|conhecid|posso|pude|especific|fornec|contem|inclu|disp|possu|localiz|aparec|revel|inform)\w*"
    r"|(sem|nenhum|nenhuma) (\w+ ){0,3}(informac|dado|resposta|resultado|fonte|documento|menc|registo|registro)\w*"
    r"|desconhecid[oa]|impossivel)\b"
)
"""Words by which an answer says that it does not know, in folded text of either language."""


def right(question, text):
    """Whether an answer is right. What no document says is answered rightly by saying so."""
    if question["kind"] == "none":
        return bool(UNKNOWN.search(folded(text).replace("can't", "cannot").replace("n't", " not")))
    return all(holds(text, group) for group in question["answers"]) and not holds(text, question.get("wrong", []))


CLOSING = "\"'”’»)]}*_"
ENDING = re.compile(rf"[.!?…]+[{re.escape(CLOSING)}]*(?=\s)|\n")
ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"“*])(?:Mr|Mrs|Ms|Dr|Prof|St|Sts|Jr|Sr|Sra|Dra|Gen|Col|Capt|Lt|Gov|Rev|vs|No|Nos|nr|núm|n\.º|ca?"
    r"|app?rox|etc|e\.g|i\.e|cf|ed|eds|vol|pp?|fig|Mt|séc|pág|av|Exa|[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]"
    r")$|^\s*\d+$",
    re.IGNORECASE,
)
"""What stands before a full stop that may end no sentence: short forms, initials and numbers of a list."""


def sentences(text):
    """The sentences of a text as ranges of its characters, without the space between them.

    A stop ends a sentence only before a capital letter. This errs towards longer sentences, so that a
    span that is found to be longer than one of these is longer than a sentence.
    """
    ranges, start = [], 0
    for found in ENDING.finditer(text):
        if found[0] != "\n":
            following = text[found.end() :].lstrip().lstrip("\"'“‘«([*_¿¡")[:1]
            if not following.isupper() or (found[0][0] == "." and ABBREVIATION.search(text[start : found.start()])):
                continue
        ranges.append((start, found.end()))
        start = found.end()
    ranges.append((start, len(text)))
    return [trimmed for bounds in ranges if (trimmed := trim(text, *bounds))]


def trim(text, start, end):
    """A range without the space at its ends; `None` when nothing else is in it."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def words(text):
    """The words and numbers that carry what a text says, each as it is compared."""
    return [word if word[0].isdigit() else word[:STEM] for word in WORD.findall(folded(text)) if word not in EMPTY]


WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
EMPTY = frozenset(
    "a an and are as at be been but by did do does for from had has have he her his how i in into is it its of on or"
    " s she so such than that the their them then there these they this those to was were what when where which who"
    " whose will with you your also"
    " ao aos com como da das de do dos e ela ele em entre era essa esse esta este foi foram ha isso isto mas mais na"
    " nas nem no nos o os ou para pela pelas pelo pelos por qual quando que quem se sem sua suas seu seus sao tem"
    " um uma".split()
)
NUMBERS = {
    str(value): names.split()
    for value, names in enumerate(
        ("one um uma", "two dois duas", "three tres", "four quatro", "five cinco", "six seis", "seven sete", "eight oito",
         "nine nove", "ten dez", "eleven onze", "twelve doze"), 1,
    )  # fmt: skip
}


def names(text):
    """The words with a capital letter."""
    return {name for word in WORD.findall(text) if word[0].isupper() and len(name := folded(word)) > 2 and name not in EMPTY}


def text_parts(interaction):
    """The text parts of all model outputs of an interaction in its JSON form."""
    return [
        part
        for step in interaction.get("steps") or []
        if step["type"] == "model_output"
        for part in step.get("content") or []
        if part["type"] == "text"
    ]


def searched(interaction):
    """Whether a search was made and its result came back without an error."""
    steps = interaction.get("steps") or []
    calls = {
        step["id"]
        for step in steps
        if step["type"] == "google_search_call" and any((step.get("arguments") or {}).get("queries") or [])
    }
    return any(step["type"] == "google_search_result" and step["call_id"] in calls and not step.get("is_error") for step in steps)


def queries(interaction):
    """What was searched for."""
    calls = [step for step in interaction.get("steps") or [] if step["type"] == "google_search_call"]
    return [query for call in calls for query in (call.get("arguments") or {}).get("queries") or []]


def citations(interaction, corpus, facts=()):
    """Every citation of an interaction, judged; `broken` says which promise it breaks, if any.

    A span that is no text has nothing else that could be judged.
    """
    judged = []
    for part in text_parts(interaction):
        for annotation in part.get("annotations") or []:
            if annotation["type"] == "url_citation":
                judged.append(judge(part["text"], annotation, corpus, facts))
    return judged


def judge(text, annotation, corpus, facts):
    """One citation: where it points, what it names, and whether that is so."""
    url, title = annotation.get("url"), annotation.get("title")
    outcome = {
        "url": url, "title": title, "span": None, "sentence": None, "on_fact": False, "gold": False,
        "supported": False, "broken": None,
    }  # fmt: skip
    document = corpus.find(url)
    bounds = characters(text, annotation.get("start_index"), annotation.get("end_index"))
    trimmed = bounds and trim(text, *bounds)
    if not trimmed:
        start, end = annotation.get("start_index"), annotation.get("end_index")
        return outcome | {"broken": f"{start}..{end} is no span of a text of {len(text.encode())} bytes"}
    outcome["span"] = span = text[slice(*trimmed)]
    around = [text[start:end] for start, end in sentences(text) if start < trimmed[1] and trimmed[0] < end]
    outcome["sentence"] = " ".join(around)
    held = [fact for fact in facts if holds(outcome["sentence"], fact["fact"])]
    outcome["on_fact"] = bool(held)
    outcome["gold"] = any(
        holds(span, fact["fact"]) and document in map(corpus.find, fact["sources"]) for fact in held if document
    )
    outcome["supported"] = document is not None and corpus.supports(document, span)
    if len(around) > 1:
        outcome["broken"] = f"a span of {len(around)} sentences: {span[:160]!r}"
    elif document is None:
        outcome["broken"] = f"an address that no document has: {url!r}"
    elif not isinstance(title, str) or not title.strip():
        outcome["broken"] = f"no title for {url}"
    return outcome


def characters(text, start, end):
    """Byte offsets as offsets of characters; `None` when they are none, or within a character."""
    data = text.encode()
    if not all(type(at) is int for at in (start, end)) or not 0 <= start < end <= len(data):
        return None
    try:
        return len(data[:start].decode()), len(data[:end].decode())
    except UnicodeDecodeError:
        return None
