"""Serves a folder of documents as a wiki does: the action API as far as a client needs it that searches.

    python3 mediawiki.py FOLDER [--port PORT] [--fail WORD=STATUS …]

Prints its address first and listens on loopback alone. Ends on SIGTERM, and when standard input, if it is
a pipe, is closed. Each request is a line of standard error. A search with the WORD of a `--fail` is
answered with that HTTP status, or, for `200`, with an error as the API reports it.

A document is Markdown below lines of `key: value` between two `---`, of which `title` and `url` are
needed. Its introduction ends at the first heading. What the API does and a client can stumble over is
done here as well: a page must have every word of a search, errors come with status 200, generated pages
in the order of their ids, and several extracts of whole pages one at a time. Needs the standard library
alone.
"""

import argparse
import gzip
import html
import json
import math
import os
import re
import signal
import stat
import sys
import threading
import unicodedata
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

PATH = "/w/api.php"
TIMESTAMP = "2024-07-15T00:00:00Z"
BODY_BYTES = 65536
QUERY_CHARACTERS = 300
SATURATION, LENGTH_WEIGHT, TITLE_WEIGHT = 1.2, 0.75, 3
"""The two constants of BM25, and how often a word of the title counts."""

SITE = "Lookalike"
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this"
    " to was will with"
    " ao aos as com como da das de do dos e em na nas no nos o os ou para pela pelo por que se um uma".split()
)
"""What a search leaves out."""

MODULES = {"search": "list", "extracts": "prop", "info": "prop", "siteinfo": "meta"}
COMMON = {
    "action", "format", "formatversion", "utf8", "ascii", "maxlag", "smaxage", "maxage", "origin", "uselang", "requestid",
    "errorformat", "errorlang", "errorsuselocal", "curtimestamp", "servedby", "variant", "crossorigin", "callback",
    "prop", "list", "meta", "generator", "titles", "pageids", "redirects", "converttitles", "indexpageids", "continue",
    "rawcontinue", "iwurl",
}  # fmt: skip
OWN = {
    "search": {"search", "namespace", "limit", "offset", "what", "info", "prop", "interwiki", "enablerewrites", "sort",
               "qiprofile", "backend"},
    "extracts": {"chars", "sentences", "limit", "intro", "plaintext", "sectionformat", "continue"},
    "info": {"prop", "linkcontext", "testactions", "token", "continue", "editintrostyle", "preloadcustom"},
    "siteinfo": {"prop", "filteriw", "showalldb", "numberingroup", "inlanguagecode"},
}  # fmt: skip
PREFIXES = {"search": "sr", "extracts": "ex", "info": "in", "siteinfo": "si"}


class Failure(Exception):
    """An error of the API, which is sent with status 200."""

    def __init__(self, code, info):
        super().__init__(info)
        self.code, self.info = code, info


class Status(Exception):
    """An answer that does not come from the API at all."""

    def __init__(self, status):
        self.status = status


class Page:
    def __init__(self, id, title, url, text):
        self.id, self.title, self.url, self.text = id, title, url, text
        self.introduction = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0].strip()
        self.words = Counter(words(title) * TITLE_WEIGHT + words(text))
        self.length = self.words.total()

    def search_result(self, terms, wanted):
        found = {
            "size": len(self.text.encode()),
            "wordcount": len(self.text.split()),
            "snippet": self.snippet(terms),
            "timestamp": TIMESTAMP,
        }
        return {"ns": 0, "title": self.title, "pageid": self.id} | {k: v for k, v in found.items() if k in wanted}

    def snippet(self, terms):
        """HTML of some words around the first that was searched for, with these marked."""
        plain = plain_text(self.text).replace("\n", " ")
        first = next((found.start() for found in WORD.finditer(plain) if folded(found[0]) in terms), 0)
        cut = plain[plain.rfind(" ", 0, max(0, first - 60)) + 1 :][:200].rpartition(" ")[0]
        return WORD.sub(
            lambda found: f'<span class="searchmatch">{found[0]}</span>' if folded(found[0]) in terms else found[0],
            html.escape(cut, quote=False),
        )

    def extract(self, introduction, plain, characters, sentences):
        text = self.introduction if introduction else self.text
        if characters or sentences:
            text = plain_text(text)
        if sentences:
            text = " ".join(re.split(r"(?<=[.!?])\s+", text)[:sentences])
        elif characters and len(text) > characters:
            # To the end of the word, and dots behind it.
            text = text[:characters] + re.match(r"\w*", text[characters:])[0] + "..."
        if plain:
            # As the API writes the headings of plain text.
            return re.sub(r"^#+ (.*)$", r"\n== \1 ==", text, flags=re.MULTILINE)
        blocks = [block for block in text.split("\n\n") if block]
        return "\n".join(
            f"<h2>{html.escape(block.lstrip('# '))}</h2>" if block.startswith("#") else f"<p>{html.escape(block)}\n</p>"
            for block in blocks
        )


class Wiki:
    """All pages, by title and by id, and the search in them."""

    def __init__(self, pages):
        self.pages = pages
        self.by_title = {page.title: page for page in pages}
        self.by_id = {page.id: page for page in pages}
        self.frequency = Counter(word for page in pages for word in page.words)
        self.average = sum(page.length for page in pages) / max(1, len(pages))

    @classmethod
    def read(cls, folder):
        pages = []
        for path in sorted(Path(folder).rglob("*.md")):
            _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
            values = dict(line.split(": ", 1) for line in head.splitlines())
            pages.append((values["title"], values["url"], text.strip()))
        # Ids that say nothing about the order of names: a client must not take one for the other.
        order = sorted(range(len(pages)), key=lambda at: pages[at][0][::-1])
        return cls([Page(1000 + rank, *pages[at]) for rank, at in enumerate(order)])

    def search(self, query):
        """The pages with every word of the query, or of a part of it between two `OR`; the best first."""
        parts = [set(words(part)) - STOP_WORDS for part in re.split(r"\bOR\b", query)]
        terms = set().union(*parts)
        pages = [page for page in self.pages if any(part and part <= page.words.keys() for part in parts)]
        return sorted(pages, key=lambda page: (-self.score(page, terms), page.id))

    def score(self, page, terms):
        score = 0.0
        for term in terms:
            if count := page.words[term]:
                rarity = math.log(1 + (len(self.pages) - self.frequency[term] + 0.5) / (self.frequency[term] + 0.5))
                norm = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * page.length / self.average
                score += rarity * count * (SATURATION + 1) / (count + SATURATION * norm)
        return score


WORD = re.compile(r"\w+")


def folded(text):
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def words(text):
    return WORD.findall(folded(text))


def plain_text(text):
    return re.sub(r"^#+ ", "", text, flags=re.MULTILINE)


class Query:
    """One request to the API."""

    def __init__(self, wiki, parameters, failures=()):
        self.wiki, self.parameters, self.failures = wiki, parameters, dict(failures)
        self.modern = parameters.get("formatversion", "1") in ("2", "latest")
        self.warnings, self.continuation = {}, {}

    def answer(self):
        try:
            body = self.run()
        except Failure as failure:
            docref = "See the documentation of the API for usage."
            body = {"error": {"code": failure.code, "info": failure.info, "docref" if self.modern else "*": docref}}
            return body | {"servedby": "lookalike"}, failure.code
        return body, None

    def run(self):
        action = self.parameters.get("action", "help")
        if action != "query":
            raise Failure("badvalue", f'Unrecognized value for parameter "action": {action}.')
        self.check_names()
        query = {}
        lists = self.several("list", {"search"})
        properties = self.several("prop", {"extracts", "info"})
        meta = self.several("meta", {"siteinfo"})
        if "siteinfo" in meta:
            query["general"] = {"mainpage": "Main Page", "sitename": SITE, "lang": "en", "articlepath": "/wiki/$1"}
        if "search" in lists:
            query |= self.listed()
        pages, order = self.chosen(query)
        if pages:
            query["pages"] = self.described(pages, order, properties)
        body = {}
        if self.continuation:
            # A list alone continues with `-||`, properties and generators with the names of what is done.
            rest = f"-||{'|'.join(meta)}" if "sroffset" in self.continuation else "gsroffset||" if "gsroffset" in self.continuation else "||info"
            body["continue"] = self.continuation | {"continue": rest}
        if "excontinue" not in self.continuation:
            body["batchcomplete"] = True if self.modern else ""
        if self.warnings:
            body["warnings"] = {
                module: {"warnings" if self.modern else "*": "\n".join(lines)} for module, lines in self.warnings.items()
            }
        return body | ({"query": query} if query else {})

    def check_names(self):
        known = COMMON | {PREFIXES[module] + name for module in MODULES for name in OWN[module]}
        known |= {"gsr" + name for name in OWN["search"]}
        if unknown := [name for name in self.parameters if name not in known]:
            plural = "s" if len(unknown) > 1 else ""
            self.warn("main", f"Unrecognized parameter{plural}: {', '.join(unknown)}.")

    def warn(self, module, line):
        self.warnings.setdefault(module, []).append(line)

    def several(self, name, known):
        given = [value for value in split(self.parameters.get(name, "")) if value]
        if unknown := [value for value in given if value not in known]:
            plural = "s" if len(unknown) > 1 else ""
            self.warn("query", f'Unrecognized value{plural} for parameter "{name}": {", ".join(unknown)}.')
        return [value for value in given if value in known]

    def number(self, name, default, low, high, clamp=False):
        given = self.parameters.get(name)
        if given is None or given == "":
            return default
        if given == "max" and clamp:
            return high
        if not re.fullmatch(r"-?\d{1,9}", given):
            raise Failure("badinteger", f'Invalid value "{given[:40]}" for integer parameter "{name}".')
        value = int(given)
        if low <= value <= high:
            return value
        if not clamp:
            raise Failure("outofrange", f'The value "{value}" for parameter "{name}" must be between {low} and {high}.')
        self.warn("search", f'The value "{value}" for parameter "{name}" must be between {low} and {high}.')
        return min(max(value, low), high)

    def found(self, prefix):
        """What a search found, from its offset on, how many there are in all, and the words that were searched for."""
        query = self.parameters.get(f"{prefix}search", "")
        if not query.strip():
            raise Failure("missingparam", f'The "{prefix}search" parameter must be set.')
        if len(query) > QUERY_CHARACTERS:
            raise Failure(
                "cirrussearch-query-too-long",
                f"Search request is longer than the maximum allowed length. ({len(query)} > {QUERY_CHARACTERS})",
            )
        terms = words(query)
        for word, status in self.failures.items():
            if folded(word) in terms:
                if status == 200:
                    raise Failure("internal_api_error_LookalikeException", "The search failed, as it was told to.")
                raise Status(status)
        limit = self.number(f"{prefix}limit", 10, 1, 500, clamp=True)
        offset = self.number(f"{prefix}offset", 0, 0, 10_000)
        pages = self.wiki.search(query)
        if offset + limit < len(pages):
            self.continuation[f"{prefix}offset"] = offset + limit
        return pages[offset : offset + limit], offset, len(pages), set(terms)

    def listed(self):
        pages, _, total, terms = self.found("sr")
        wanted = set(split(self.parameters.get("srprop", "size|wordcount|timestamp|snippet")))
        found = {"search": [page.search_result(terms, wanted) for page in pages]}
        return ({"searchinfo": {"totalhits": total}} if "totalhits" in self.parameters.get("srinfo", "totalhits") else {}) | found

    def chosen(self, query):
        """The pages that properties are asked of, and the ranks of those that a search brought."""
        given = [name for name in ("titles", "pageids", "generator") if self.parameters.get(name)]
        if len(given) > 1:
            named = ", ".join(given[:-1]) + f" and {given[-1]}"
            raise Failure("invalidparammix", f"The parameters {named} can not be used together.")
        if not given:
            return [], {}
        if given == ["generator"]:
            if (generator := self.parameters["generator"]) != "search":
                raise Failure("badvalue", f'Unrecognized value for parameter "generator": {generator}.')
            pages, offset, _, _ = self.found("gsr")
            return pages, {page.id: offset + rank + 1 for rank, page in enumerate(pages)}
        values = list(dict.fromkeys(value for value in split(self.parameters[given[0]]) if value))
        if len(values) > 50:
            raise Failure("toomanyvalues", f'Too many values supplied for parameter "{given[0]}". The limit is 50.')
        if given == ["pageids"]:
            if bad := next((value for value in values if not re.fullmatch(r"\d{1,9}", value)), None):
                raise Failure("badinteger", f'Invalid value "{bad[:40]}" for integer parameter "pageids".')
            return [self.wiki.by_id.get(int(value), int(value)) for value in values], {}
        titles = {value: " ".join(value.replace("_", " ").split()) for value in values}
        if normalized := [{"from": value, "to": title} for value, title in titles.items() if value != title]:
            query["normalized"] = [{"fromencoded": False} | pair if self.modern else pair for pair in normalized]
        return [self.wiki.by_title.get(title, title) for title in dict.fromkeys(titles.values())], {}

    def described(self, chosen, order, properties):
        """Pages in the order of their ids; what there is no page of comes first, with negative ids."""
        pages = sorted((page for page in chosen if isinstance(page, Page)), key=lambda page: page.id)
        missing = [page for page in chosen if not isinstance(page, Page)]
        gone = True if self.modern else ""
        found = {}
        for rank, page in enumerate(missing):
            if isinstance(page, int):
                found[str(page)] = {"pageid": page, "missing": gone}
            else:
                found[str(-1 - rank)] = {"ns": 0, "title": page, "missing": gone}
        for page in pages:
            found[str(page.id)] = {"pageid": page.id, "ns": 0, "title": page.title}
            if page.id in order:
                found[str(page.id)]["index"] = order[page.id]
        if "info" in properties:
            for page in pages:
                found[str(page.id)] |= self.information(page)
        if "extracts" in properties:
            for id, extract in self.extracts(pages).items():
                found[str(id)]["extract"] = extract if self.modern else {"*": extract}
        return list(found.values()) if self.modern else found

    def information(self, page):
        found = {
            "contentmodel": "wikitext", "pagelanguage": "en", "pagelanguagehtmlcode": "en", "pagelanguagedir": "ltr",
            "touched": TIMESTAMP, "lastrevid": page.id, "length": len(page.text.encode()),
        }  # fmt: skip
        wanted = split(self.parameters.get("inprop", ""))
        if "url" in wanted:
            found |= {"fullurl": page.url, "editurl": f"{page.url}?action=edit", "canonicalurl": page.url}
        if "displaytitle" in wanted:
            found["displaytitle"] = html.escape(page.title)
        return found

    def extracts(self, pages):
        if self.parameters.get("exchars") and self.parameters.get("exsentences"):
            raise Failure("invalidparammix", 'The parameters "exchars" and "exsentences" can not be used together.')
        introduction, plain = self.flag("exintro"), self.flag("explaintext")
        characters = self.number("exchars", None, 1, 1200)
        sentences = self.number("exsentences", None, 1, 10)
        limit = self.number("exlimit", 20, 1, 20, clamp=True)
        if limit > 1 and not introduction and len(pages) > 1:
            limit = 1
            self.warn("extracts", '"exlimit" was too large for a whole article extracts request, lowered to 1.')
        start = self.number("excontinue", 0, 0, len(pages))
        if start + limit < len(pages):
            self.continuation["excontinue"] = start + limit
            # The pages stay the same until all of them have their extracts.
            self.continuation.pop("gsroffset", None)
        return {page.id: page.extract(introduction, plain, characters, sentences) for page in pages[start : start + limit]}

    def flag(self, name):
        """A boolean is true when it is there at all, even as `0` or `false`."""
        return name in self.parameters


def split(value):
    """Several values: between bars, or, with one before the first, between separators that no title has."""
    return value[1:].split("\x1f") if value.startswith("\x1f") else value.split("|")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "lookalike"
    timeout = 60

    def do_GET(self):
        self.reply(urlsplit(self.path).query)

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_BYTES:
            self.close_connection = True
            return self.send(411 if not length else 413, "text/plain; charset=utf-8", "A short body, please.\n")
        body = self.rfile.read(int(length))
        if not self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return self.send(415, "text/plain; charset=utf-8", "A form, please.\n")
        self.reply("&".join(filter(None, (urlsplit(self.path).query, body.decode("utf-8", "replace")))))

    def reply(self, query):
        if not self.headers.get("User-Agent", "").strip():
            return self.send(403, "text/plain; charset=utf-8", "Please set a User-Agent that says who you are.\n")
        if urlsplit(self.path).path != PATH:
            return self.send(404, "text/html; charset=utf-8", "<!DOCTYPE html><title>Not Found</title>\n")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        try:
            body, code = Query(self.server.wiki, parameters, self.server.failures).answer()
        except Status as failure:
            more = {"Retry-After": "1"} if failure.status in (429, 503) else {}
            return self.send(failure.status, "text/html; charset=utf-8", "<!DOCTYPE html><title>Error</title>\n", more)
        more = {"MediaWiki-API-Error": code} if code else {}
        if parameters.get("format") != "json":
            # Other formats exist; this is what one gets who asks for none.
            page = f"<!DOCTYPE html><title>API result</title><pre>{html.escape(json.dumps(body, indent=4))}</pre>\n"
            return self.send(200, "text/html; charset=utf-8", page, more)
        modern = parameters.get("formatversion") in ("2", "latest")
        # The old format has nothing but ASCII unless told otherwise.
        text = json.dumps(body, ensure_ascii=not modern and "utf8" not in parameters, separators=(",", ":"))
        self.send(200, "application/json; charset=utf-8", text, more)

    def send(self, status, kind, text, more=None):
        data = text.encode()
        zipped = any(re.match(r"\s*gzip\s*(;|$)", one) for one in self.headers.get("Accept-Encoding", "").split(","))
        if zipped:
            data = gzip.compress(data)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Vary", "Accept-Encoding")
        for name, value in ({"Content-Encoding": "gzip"} if zipped else {}).items() | (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, wiki, port=0, failures=()):
        super().__init__(("127.0.0.1", port), Handler)
        self.wiki, self.failures = wiki, failures

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


def failing(text):
    word, _, status = text.partition("=")
    if not words(word) or not re.fullmatch(r"200|[45]\d\d", status):
        raise argparse.ArgumentTypeError("expected WORD=STATUS, with the status 200, 4xx or 5xx")
    return word, int(status)


def main():
    parser = argparse.ArgumentParser(description="Serves a folder of documents as a wiki's action API does.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fail", type=failing, action="append", default=[], metavar="WORD=STATUS")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"no folder {options.folder}")
    server = Server(Wiki.read(options.folder), options.port, options.fail)

    def stop(*_):
        # `shutdown` waits for the loop that this thread is in.
        threading.Thread(target=server.shutdown).start()

    def watch():
        while sys.stdin.buffer.read1(4096):
            pass
        stop()

    signal.signal(signal.SIGTERM, stop)
    # What runs in the background of a shell has no input that could be closed.
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        threading.Thread(target=watch, daemon=True).start()
    print(server.url, flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    main()
