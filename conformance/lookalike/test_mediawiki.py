"""The look-alike as its clients see it, over HTTP."""

import gzip
import http.client
import json
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from urllib.parse import urlencode

import mediawiki

DOCUMENTS = {
    "final.md": (
        "Euro 2024 final", "https://en.wikipedia.org/wiki/Euro_2024_final",
        "Spain won the final against England.\n\n## The match\n\nNico Williams & Mikel Oyarzabal scored for Spain.",
    ),
    "older.md": ("Euro 2020 final", "https://en.wikipedia.org/wiki/Euro_2020_final", "Italy won at Wembley, on penalties."),
    "tejo.md": ("Rio Tejo", "https://pt.wikipedia.org/wiki/Rio_Tejo", "O Tejo é o rio mais extenso da Península Ibérica."),
}  # fmt: skip


def write_documents(folder):
    for name, (title, url, text) in DOCUMENTS.items():
        (Path(folder) / name).write_text(f"---\ntitle: {title}\nurl: {url}\nsite: Wikipedia\n---\n\n{text}\n", encoding="utf-8")


class Served(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        write_documents(folder.name)
        cls.server = mediawiki.Server(mediawiki.Wiki.read(folder.name), failures=[("overloaded", 503), ("broken", 200)])
        cls.server.RequestHandlerClass = Quiet
        thread = threading.Thread(target=cls.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        cls.addClassCleanup(thread.join)
        cls.addClassCleanup(cls.server.shutdown)
        cls.addClassCleanup(cls.server.server_close)

    def send(self, method="GET", path=mediawiki.PATH, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        try:
            connection.request(method, path, body, {"User-Agent": "test"} | {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def ask(self, **parameters):
        """The JSON of a query in the new format."""
        defaults = {"action": "query", "format": "json", "formatversion": "2"}
        answer, body = self.send(path=f"{mediawiki.PATH}?{urlencode(defaults | parameters)}")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json; charset=utf-8"))
        return json.loads(body)

    def refused(self, code, info, **parameters):
        error = self.ask(**parameters)["error"]
        self.assertEqual((error["code"], error["info"]), (code, info))


class Quiet(mediawiki.Handler):
    def log_message(self, format, *arguments):
        pass


class List(Served):
    def test_the_best_page_comes_first_with_its_words_marked(self):
        found = self.ask(list="search", srsearch="won the 2024 final OR won", srlimit="1")
        self.assertEqual(found["batchcomplete"], True)
        self.assertEqual(found["continue"], {"sroffset": 1, "continue": "-||"})
        self.assertEqual(found["query"]["searchinfo"], {"totalhits": 2})
        (page,) = found["query"]["search"]
        self.assertEqual(
            {key: page[key] for key in ("ns", "title", "wordcount", "timestamp")},
            {"ns": 0, "title": "Euro 2024 final", "wordcount": 17, "timestamp": mediawiki.TIMESTAMP},
        )
        self.assertTrue(page["snippet"].startswith('Spain <span class="searchmatch">won</span> <span class="searchmatch">the</span>'))
        self.assertIn("Williams &amp; Mikel", page["snippet"])

    def test_continuing_brings_the_rest(self):
        found = self.ask(list="search", srsearch="2024 OR euro", srlimit="1", sroffset="1")
        self.assertEqual([page["title"] for page in found["query"]["search"]], ["Euro 2020 final"])
        self.assertNotIn("continue", found)

    def test_properties_are_those_asked_for(self):
        found = self.ask(list="search", srsearch="tejo", srprop="", srinfo="")
        page = mediawiki_page(self, "Rio Tejo")
        self.assertEqual(found["query"], {"search": [{"ns": 0, "title": "Rio Tejo", "pageid": page.id}]})

    def test_nothing_found_is_an_empty_list(self):
        self.assertEqual(
            self.ask(list="search", srsearch="xylophone"),
            {"batchcomplete": True, "query": {"searchinfo": {"totalhits": 0}, "search": []}},
        )

    def test_a_page_must_have_every_word_but_the_small_ones(self):
        for query, expected in (
            ("Spain in the final", ["Euro 2024 final"]),
            ("Spain Tejo", []),
            ("Spain OR Tejo", ["Rio Tejo", "Euro 2024 final"]),
            ("the of", []),
        ):
            with self.subTest(query):
                found = self.ask(list="search", srsearch=query)
                self.assertEqual(sorted(page["title"] for page in found["query"]["search"]), sorted(expected))

    def test_the_site_tells_its_name_beside_the_list(self):
        found = self.ask(list="search", srsearch="2024 OR euro", srlimit="1", meta="siteinfo", siprop="general")
        self.assertEqual((found["query"]["general"]["sitename"], found["continue"]["continue"]), ("Lookalike", "-||siteinfo"))

    def test_accents_and_case_do_not_matter(self):
        found = self.ask(list="search", srsearch="IBERICA")
        self.assertEqual([page["title"] for page in found["query"]["search"]], ["Rio Tejo"])


def mediawiki_page(test, title):
    return test.server.wiki.by_title[title]


class Generator(Served):
    def test_pages_come_in_the_order_of_ids_with_their_rank_text_and_address(self):
        found = self.ask(
            generator="search", gsrsearch="2024 OR penalties", prop="extracts|info", exintro="1", explaintext="1", inprop="url"
        )
        pages = found["query"]["pages"]
        self.assertEqual([page["pageid"] for page in pages], sorted(page["pageid"] for page in pages))
        shown = {page["index"]: (page["title"], page["extract"], page["fullurl"]) for page in pages}
        self.assertEqual(
            sorted(shown.items()),
            [
                (1, ("Euro 2024 final", "Spain won the final against England.", "https://en.wikipedia.org/wiki/Euro_2024_final")),
                (2, ("Euro 2020 final", "Italy won at Wembley, on penalties.", "https://en.wikipedia.org/wiki/Euro_2020_final")),
            ],
        )

    def test_nothing_found_has_no_query_at_all(self):
        self.assertEqual(self.ask(generator="search", gsrsearch="xylophone", prop="info"), {"batchcomplete": True})

    def test_whole_pages_have_their_extracts_one_at_a_time(self):
        asked = {"generator": "search", "gsrsearch": "final", "prop": "extracts", "explaintext": "1"}
        found, texts = self.ask(**asked), {}
        self.assertNotIn("batchcomplete", found)
        self.assertEqual(found["continue"], {"excontinue": 1, "continue": "||info"})
        self.assertIn("lowered to 1", found["warnings"]["extracts"]["warnings"])
        rest = self.ask(**asked, **{key: str(value) for key, value in found["continue"].items()})
        self.assertTrue(rest["batchcomplete"])
        for page in found["query"]["pages"] + rest["query"]["pages"]:
            texts.setdefault(page["title"], []).extend([page["extract"]] if "extract" in page else [])
        self.assertEqual({title: len(found) for title, found in texts.items()}, {"Euro 2024 final": 1, "Euro 2020 final": 1})
        self.assertIn("\n== The match ==\n", texts["Euro 2024 final"][0])

    def test_the_old_format_has_pages_by_id_and_nothing_but_ascii(self):
        page = mediawiki_page(self, "Rio Tejo")
        path = urlencode({"action": "query", "format": "json", "generator": "search", "gsrsearch": "tejo", "prop": "extracts"})
        _, body = self.send(path=f"{mediawiki.PATH}?{path}")
        self.assertTrue(body.isascii())
        self.assertEqual(
            json.loads(body),
            {
                "batchcomplete": "",
                "query": {
                    "pages": {
                        str(page.id): {
                            "pageid": page.id, "ns": 0, "title": "Rio Tejo", "index": 1,
                            "extract": {"*": "<p>O Tejo é o rio mais extenso da Península Ibérica.\n</p>"},
                        }
                    }
                },
            },
        )  # fmt: skip


class Titles(Served):
    def test_pages_are_found_by_title_and_id_and_missing_ones_are_said_to_be(self):
        page = mediawiki_page(self, "Rio Tejo")
        self.assertEqual(
            self.ask(titles="Rio_Tejo|Nowhere")["query"],
            {
                "normalized": [{"fromencoded": False, "from": "Rio_Tejo", "to": "Rio Tejo"}],
                "pages": [{"ns": 0, "title": "Nowhere", "missing": True}, {"pageid": page.id, "ns": 0, "title": "Rio Tejo"}],
            },
        )
        self.assertEqual(
            self.ask(pageids=f"{page.id}|7")["query"]["pages"],
            [{"pageid": 7, "missing": True}, {"pageid": page.id, "ns": 0, "title": "Rio Tejo"}],
        )

    def test_extracts_are_cut_as_asked(self):
        for asked, expected in (
            ({"exchars": "9", "explaintext": "1"}, "Spain won..."),
            ({"exsentences": "1", "explaintext": "1"}, "Spain won the final against England."),
            ({"exintro": "1"}, "<p>Spain won the final against England.\n</p>"),
        ):
            with self.subTest(asked):
                (page,) = self.ask(titles="Euro 2024 final", prop="extracts", **asked)["query"]["pages"]
                self.assertEqual(page["extract"], expected)


class Refusals(Served):
    def test_errors_have_a_code_and_a_status_of_200(self):
        self.refused("missingparam", 'The "srsearch" parameter must be set.', list="search")
        self.refused("missingparam", 'The "gsrsearch" parameter must be set.', generator="search", gsrsearch=" ")
        self.refused("badvalue", 'Unrecognized value for parameter "action": read.', action="read")
        self.refused("badvalue", 'Unrecognized value for parameter "generator": links.', generator="links")
        self.refused("badinteger", 'Invalid value "few" for integer parameter "srlimit".', list="search", srsearch="a", srlimit="few")
        self.refused(
            "outofrange", 'The value "5000" for parameter "exchars" must be between 1 and 1200.',
            titles="Rio Tejo", prop="extracts", exchars="5000",
        )  # fmt: skip
        self.refused(
            "invalidparammix", 'The parameters "exchars" and "exsentences" can not be used together.',
            titles="Rio Tejo", prop="extracts", exchars="5", exsentences="1",
        )  # fmt: skip
        self.refused(
            "cirrussearch-query-too-long", "Search request is longer than the maximum allowed length. (301 > 300)",
            list="search", srsearch="a" * 301,
        )  # fmt: skip
        answer, _ = self.send(path=f"{mediawiki.PATH}?action=query&list=search&format=json")
        self.assertEqual((answer.status, answer.headers["MediaWiki-API-Error"]), (200, "missingparam"))

    def test_what_is_not_known_is_warned_of(self):
        found = self.ask(list="search|links", srsearch="tejo", color="red", srlimit="900")
        self.assertEqual(
            found["warnings"],
            {
                "main": {"warnings": "Unrecognized parameter: color."},
                "query": {"warnings": 'Unrecognized value for parameter "list": links.'},
                "search": {"warnings": 'The value "900" for parameter "srlimit" must be between 1 and 500.'},
            },
        )
        self.assertEqual(len(found["query"]["search"]), 1)

    def test_a_search_fails_as_it_was_told_to(self):
        answer, _ = self.send(path=f"{mediawiki.PATH}?action=query&list=search&format=json&srsearch=an+overloaded+wiki")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
        self.refused(
            "internal_api_error_LookalikeException", "The search failed, as it was told to.", list="search", srsearch="broken"
        )

    def test_what_is_no_request_to_the_api_gets_none_of_its_answers(self):
        for expected, request in (
            (404, {"path": "/"}),
            (403, {"User_Agent": ""}),
            (415, {"method": "POST", "body": "{}", "Content_Type": "application/json"}),
            (413, {"method": "POST", "body": "a" * (mediawiki.BODY_BYTES + 1)}),
        ):
            with self.subTest(expected):
                self.assertEqual(self.send(**request)[0].status, expected)

    def test_without_a_format_it_is_a_page_to_look_at(self):
        answer, body = self.send(path=f"{mediawiki.PATH}?action=query&list=search&srsearch=tejo")
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertIn(b"Rio Tejo", body)


class Transport(Served):
    def test_answers_are_compressed_for_those_who_take_it(self):
        path = f"{mediawiki.PATH}?action=query&list=search&format=json&formatversion=2&srsearch=tejo"
        plain, body = self.send(path=path, Accept_Encoding="identity")
        self.assertIsNone(plain.headers["Content-Encoding"])
        zipped, data = self.send(path=path, Accept_Encoding="br, gzip;q=0.9")
        self.assertEqual(zipped.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(data), body)

    def test_a_form_asks_as_well_as_an_address(self):
        form = urlencode({"action": "query", "list": "search", "srsearch": "tejo", "format": "json", "formatversion": "2"})
        _, body = self.send("POST", body=form, Content_Type="application/x-www-form-urlencoded")
        self.assertEqual(json.loads(body)["query"]["search"][0]["title"], "Rio Tejo")


class Process(unittest.TestCase):
    def started(self, **streams):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        write_documents(folder.name)
        process = subprocess.Popen(
            [sys.executable, mediawiki.__file__, folder.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **streams
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.assertRegex(process.stdout.readline(), r"^http://127\.0\.0\.1:\d+\n$")
        return process

    def test_it_ends_when_its_input_is_closed(self):
        process = self.started(stdin=subprocess.PIPE)
        process.stdin.close()
        self.assertEqual(process.wait(10), 0)

    def test_it_ends_on_sigterm_and_needs_no_input(self):
        process = self.started(stdin=subprocess.DEVNULL)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
