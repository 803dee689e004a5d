"""The questions of `search.json` and the corpus that they ask about belong together."""

import unittest

import citing
import frozen

CORPUS = citing.Corpus.read(frozen.FOLDER / "corpus")
DOCUMENTS = CORPUS.documents
QUESTIONS = frozen.read("search.json")


class Corpus(unittest.TestCase):
    def test_documents_are_short_and_have_a_title_of_their_own(self):
        for document in DOCUMENTS.values():
            with self.subTest(document.url):
                self.assertTrue(document.site)
                self.assertTrue(150 <= len(document.text.split()) <= 600, len(document.text.split()))
                self.assertEqual([document], [other for other in DOCUMENTS.values() if other.title == document.title])


class Questions(unittest.TestCase):
    def test_there_are_forty_of_two_languages(self):
        self.assertEqual(len({question["id"] for question in QUESTIONS}), 40)
        self.assertEqual([sum(question["language"] == language for question in QUESTIONS) for language in ("en", "pt")], [30, 10])

    def test_the_gold_sentence_stands_in_the_first_source_and_holds_the_fact(self):
        for question in QUESTIONS:
            for fact in question["facts"]:
                with self.subTest(question["id"]):
                    source, *others = [CORPUS.find(url) for url in fact["sources"]]
                    self.assertEqual([source.text[start:end] for start, end in citing.sentences(source.text)].count(fact["sentence"]), 1)
                    self.assertTrue(all(citing.holds(document.text, fact["fact"]) for document in (source, *others)))
                    self.assertTrue(citing.holds(fact["sentence"], fact["fact"]))

    def test_the_gold_sentences_are_a_right_answer_that_their_documents_support(self):
        for question in QUESTIONS:
            if question["kind"] == "none":
                self.assertEqual((question["answers"], question["facts"]), ([], []))
                continue
            with self.subTest(question["id"]):
                titles = [CORPUS.find(fact["sources"][0]).title for fact in question["facts"]]
                text = " ".join([*titles, *(fact["sentence"] for fact in question["facts"])])
                self.assertTrue(citing.right(question, text))
                self.assertFalse(citing.right(question, question["question"]), "the question holds its answer")
                for fact in question["facts"]:
                    for url in fact["sources"]:
                        self.assertTrue(CORPUS.supports(CORPUS.find(url), fact["fact"][0]))
                    self.assertTrue(CORPUS.supports(CORPUS.find(fact["sources"][0]), fact["sentence"]))

    def test_no_other_document_says_the_gold_sentence(self):
        for question in QUESTIONS:
            for fact in question["facts"]:
                gold = set(map(citing.address, fact["sources"]))
                saying = {url for url, document in DOCUMENTS.items() if CORPUS.supports(document, fact["sentence"])}
                self.assertEqual(saying - gold, set(), question["id"])


if __name__ == "__main__":
    unittest.main()
