"""The judge of citations, on answers made by hand."""

import unittest

import citing

URL = "https://en.wikipedia.org/wiki/UEFA_Euro_2024_final"
OTHER = "https://en.wikipedia.org/wiki/UEFA_Euro_2020_final"
FINAL, OLDER = (
    citing.Document(
        "UEFA Euro 2024 final", URL, "Wikipedia",
        "The final was played on 14 July 2024 in Berlin. Spain won 2–1.\n\n## The match\n\nCole Palmer equalised for"
        " England in the 73rd minute. Mikel Oyarzabal scored the winning goal. There were 65,600 spectators.",
    ),
    citing.Document(
        "UEFA Euro 2020 final", OTHER, "Wikipedia", "The final was played at Wembley. Italy won on penalties."
    ),
)  # fmt: skip
CORPUS = citing.Corpus([FINAL, OLDER])
FACTS = [{"fact": ["Palmer"], "sources": [URL], "sentence": "Cole Palmer equalised for England in the 73rd minute."}]
QUESTION = {"kind": "one", "answers": [["Palmer"]], "facts": FACTS}


def cited(text, *marks):
    """An interaction whose one text has a citation of each `(span, url)`."""
    annotations = []
    for span, url in marks:
        start = len(text[: text.index(span)].encode())
        annotations.append(
            {"type": "url_citation", "start_index": start, "end_index": start + len(span.encode()), "url": url, "title": "Wikipedia"}
        )
    part = {"type": "text", "text": text, "annotations": annotations}
    return {"steps": [{"type": "thought"}, {"type": "model_output", "content": [part]}]}


def only(text, span, url, facts=FACTS):
    (outcome,) = citing.citations(cited(text, (span, url)), CORPUS, facts)
    return {key: outcome[key] for key in ("on_fact", "gold", "supported", "broken")}


class Answers(unittest.TestCase):
    def test_an_answer_is_right_when_it_holds_one_of_each_group(self):
        capitals = {"kind": "one", "answers": [["Vienna"], ["Bratislava", "Pressburg"]]}
        for expected, question, text in (
            (True, QUESTION, "It was Cole **Palmer**."),
            (True, QUESTION, "COLE PALMER’S goal"),
            (False, QUESTION, "It was Jude Bellingham."),
            (False, QUESTION, "The Palmers were there."),
            (False, QUESTION, ""),
            (True, capitals, "Vienna and Pressburg"),
            (False, capitals, "Vienna alone"),
            (True, {"kind": "one", "answers": [["Baroš"]]}, "Foi Milan Baros."),
            (True, {"kind": "one", "answers": [["6.5"]]}, "It is 6.5 m wide, the other 2.4."),
            (False, {"kind": "one", "answers": [["6.5"]]}, "It is 16.5 m or 6.55 m wide."),
            (False, {"kind": "one", "answers": [["3"]]}, "There are 300, or 2.3."),
            (True, {"kind": "one", "answers": [["St Mary's"]]}, "At St Mary’s Hospital"),
            (False, QUESTION | {"wrong": ["own goal"]}, "Palmer scored an own goal"),
        ):
            with self.subTest(text):
                self.assertEqual(citing.right(question, text), expected)

    def test_what_no_document_says_is_answered_rightly_by_saying_so(self):
        for expected, text in (
            (True, "The search results do not mention his shoe size."),
            (True, "I couldn’t find it."),
            (True, "I can't say."),
            (True, "No reliable information was found."),
            (True, "It is unknown."),
            (True, "Não encontrei o preço."),
            (True, "Não há informação sobre isso."),
            (True, "O preço não é conhecido."),
            (True, "Os documentos não mencionam o preço."),
            (False, "He wore size 42."),
            (False, "Size 42, not 43."),
            (False, "Custava dois réis."),
            (False, ""),
        ):
            with self.subTest(text):
                self.assertEqual(citing.right({"kind": "none"}, text), expected)


class Sentences(unittest.TestCase):
    def test_sentences_end_where_a_reader_ends_them(self):
        for text, expected in (
            ("Spain won. England lost.", ["Spain won.", "England lost."]),
            ("It was in 2012. Spain won!  Really? Yes.", ["It was in 2012.", "Spain won!", "Really?", "Yes."]),
            ("John R. Pierce of the U.S. Army met Dr. Who, i.e. Him.", ["John R. Pierce of the U.S. Army met Dr. Who, i.e. Him."]),
            ("It is 6.5 m wide. 2.4 m is less.", ["It is 6.5 m wide. 2.4 m is less."]),
            ("At St. Mary's. He said “Yes.” Then he left.", ["At St. Mary's.", "He said “Yes.”", "Then he left."]),
            ("Goals:\n\n- Nico Williams\n- Palmer", ["Goals:", "- Nico Williams", "- Palmer"]),
            ("1. Spain\n2. England", ["1. Spain", "2. England"]),
            ("Nasceu no séc. XVI. Érico veio depois.", ["Nasceu no séc. XVI.", "Érico veio depois."]),
            ("**Spain won.** *England* lost.", ["**Spain won.**", "*England* lost."]),
            ("No stop at the end", ["No stop at the end"]),
            (" \n ", []),
        ):
            with self.subTest(text):
                self.assertEqual([text[start:end] for start, end in citing.sentences(text)], expected)


class Citations(unittest.TestCase):
    def test_a_citation_of_the_fact_with_its_source_is_gold(self):
        text = "Cole Palmer scored for England in the 73rd minute. São Paulo 🐕."
        self.assertEqual(
            only(text, "Cole Palmer scored for England in the 73rd minute.", URL),
            {"on_fact": True, "gold": True, "supported": True, "broken": None},
        )

    def test_a_citation_of_another_document_is_not(self):
        text = "Cole Palmer scored for England."
        self.assertEqual(
            only(text, text, OTHER), {"on_fact": True, "gold": False, "supported": False, "broken": None}
        )

    def test_a_span_that_leaves_the_fact_out_is_not(self):
        text = "Cole Palmer scored for England."
        self.assertEqual(
            only(text, "England.", URL), {"on_fact": True, "gold": False, "supported": True, "broken": None}
        )

    def test_another_sentence_is_not_on_the_fact(self):
        text = "Palmer scored. Spain won 2-1."
        self.assertEqual(
            only(text, "Spain won 2-1.", URL), {"on_fact": False, "gold": False, "supported": True, "broken": None}
        )

    def test_what_a_document_does_not_say_is_not_supported(self):
        for expected, span in (
            (True, "Spain won the final 2-1."),
            (False, "Spain won the final 3-1."),
            (True, "65,600 people were there"),
            (True, "In Berlin the Spanish team won 2-1"),
            (True, "The England Match in the 73rd Minute"),
            (False, "In Munich the Spanish team won 2-1"),
            (False, "Harry Kane shares the Golden Boot with several other players"),
            (True, "UEFA Euro 2024 final"),
            (False, "..."),
        ):
            with self.subTest(span):
                self.assertEqual(CORPUS.supports(FINAL, span), expected)

    def test_numbers_are_the_same_in_words(self):
        document = citing.Document("Octopus", URL, "Wikipedia", "An octopus has three hearts.")
        self.assertTrue(CORPUS.supports(document, "It has 3 hearts"))
        self.assertFalse(CORPUS.supports(document, "It has 4 hearts"))

    def test_a_first_word_is_a_name_when_the_documents_know_it_as_one(self):
        corpus = citing.Corpus([FINAL, OLDER, citing.Document("Spain", "https://example.org/s", "x", "The team of Spain won.")])
        self.assertFalse(corpus.supports(OLDER, "Spain won on penalties"))
        self.assertTrue(corpus.supports(OLDER, "Winning on penalties"))

    def test_spans_are_bytes_on_the_edges_of_characters(self):
        text = "Éder 🐕 marcou."
        part = {"type": "text", "text": text}
        for start, end, span in (
            (0, 5, "Éder"),
            (0, len(text.encode()), text),
            (6, 10, "🐕"),
            (1, 5, None),
            (6, 9, None),
            (0, 99, None),
            (5, 5, None),
            (5, 6, None),
            (9, 2, None),
            (-1, 5, None),
            (None, 5, None),
            (0.0, 5, None),
        ):
            annotation = {"type": "url_citation", "start_index": start, "end_index": end, "url": URL, "title": "Wikipedia"}
            with self.subTest(start=start, end=end):
                interaction = {"steps": [{"type": "model_output", "content": [part | {"annotations": [annotation]}]}]}
                (outcome,) = citing.citations(interaction, CORPUS)
                broken = None if span else f"{start}..{end} is no span of a text of 18 bytes"
                self.assertEqual((outcome["span"], outcome["broken"]), (span, broken))

    def test_promises_are_broken_by_two_sentences_a_foreign_address_and_no_title(self):
        text = "Spain won. England lost."
        self.assertEqual(only(text, text, URL)["broken"], f"a span of 2 sentences: {text!r}")
        self.assertEqual(only(text, "won. E", URL)["broken"], "a span of 2 sentences: 'won. E'")
        self.assertEqual(
            only(text, "Spain won.", "https://example.org/x")["broken"],
            "an address that no document has: 'https://example.org/x'",
        )
        annotation = {"start_index": 0, "end_index": 10, "url": URL}
        self.assertEqual(citing.judge(text, annotation, CORPUS, [])["broken"], f"no title for {URL}")

    def test_addresses_are_the_same_with_and_without_percent_signs(self):
        self.assertEqual(
            citing.address("https://pt.wikipedia.org/wiki/Bras%C3%ADlia#Plano"),
            citing.address("https://pt.wikipedia.org/wiki/Brasília"),
        )

    def test_a_search_is_a_call_with_a_result_that_is_no_error(self):
        call = {"type": "google_search_call", "id": "a", "arguments": {"queries": ["euro 2024"]}}
        result = {"type": "google_search_result", "call_id": "a", "result": [{"search_suggestions": "<div></div>"}]}
        for expected, steps in (
            (True, [call, result]),
            (False, [call]),
            (False, [call, result | {"is_error": True}]),
            (True, [call, result | {"is_error": True}, call | {"id": "b"}, result | {"call_id": "b"}]),
            (False, [call | {"arguments": {}}, result]),
            (False, [call, result | {"call_id": "b"}]),
            (False, []),
        ):
            with self.subTest(steps):
                self.assertEqual(citing.searched({"steps": steps}), expected)


if __name__ == "__main__":
    unittest.main()
