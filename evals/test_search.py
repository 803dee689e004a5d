"""What answers made by hand come to, and the figures over them."""

import unittest

import citing
import frozen
import guide08
import search

CORPUS = citing.Corpus.read(frozen.FOLDER / "corpus")
CASES = {case["id"]: case for case in frozen.read("search.json")}
FINAL = "https://en.wikipedia.org/wiki/UEFA_Euro_2024_final"
OLDER = "https://en.wikipedia.org/wiki/UEFA_Euro_2020_final"
SEARCH = [
    {"type": "google_search_call", "id": "un6k8t18", "arguments": {"queries": ["euro 2024 final"]}},
    {"type": "google_search_result", "call_id": "un6k8t18", "result": [{"search_suggestions": "<div></div>"}]},
]


def answered(text, *marks, steps=SEARCH, status="completed"):
    """An interaction in its JSON form, with a citation of each `(span, url)`."""
    annotations = []
    for span, url in marks:
        start = len(text[: text.index(span)].encode())
        annotations.append(
            {"type": "url_citation", "start_index": start, "end_index": start + len(span.encode()), "url": url, "title": "Wikipedia"}
        )
    output = {"type": "model_output", "content": [{"type": "text", "text": text, "annotations": annotations or None}]}
    return {"status": status, "steps": [*steps, output]}


def judged(id, interaction):
    case = CASES[id]
    return {"id": id, "language": case["language"], "kind": case["kind"]} | search.judged(case, interaction, CORPUS)


GOAL = "Cole Palmer scored for England."
RIGHT = judged("euro-england-goal", answered(GOAL, (GOAL, FINAL)))
MISCITED = judged("euro-england-goal", answered(GOAL, (GOAL, OLDER)))
UNCITED = judged("euro-england-goal", answered(GOAL))
WRONG = judged("euro-england-goal", answered("Harry Kane scored for England.", ("Harry Kane scored for England.", FINAL)))
UNSEARCHED = judged("euro-england-goal", answered(GOAL, steps=[]))
NOT_FOUND = judged("referee-breakfast", answered("The documents do not say that."))
INVENTED = judged("referee-breakfast", answered("He had eggs.", ("He had eggs.", FINAL)))


class Outcomes(unittest.TestCase):
    def test_each_outcome_says_what_is_wrong(self):
        for outcome, searched, right, cited, why in (
            (RIGHT, True, True, True, None),
            (MISCITED, True, True, True, None),
            (UNCITED, True, True, False, None),
            (WRONG, True, False, True, "wrong: 'Harry Kane scored for England.'"),
            (UNSEARCHED, False, True, False, "right, but it did not search"),
            (NOT_FOUND, True, True, False, None),
            (INVENTED, True, False, True, "wrong: 'He had eggs.'"),
        ):
            with self.subTest(outcome["text"]):
                found = (outcome["searched"], outcome["right"], outcome["cited"], outcome["why"])
                self.assertEqual(found, (searched, right, cited, why))

    def test_an_answer_that_was_cut_off_or_shows_a_call_is_not_right(self):
        for interaction, why in (
            (answered(GOAL, status="incomplete"), "status `incomplete`"),
            (answered(GOAL + "<tool_call>"), "wrong: 'Cole Palmer scored for England.<tool_call>'"),
        ):
            with self.subTest(why):
                outcome = judged("euro-england-goal", interaction)
                self.assertEqual((outcome["right"], outcome["why"]), (False, why))

    def test_citations_are_told_by_what_is_wrong_with_them(self):
        broken = judged("euro-england-goal", answered(f"{GOAL} Spain won.", (f"{GOAL} Spain won.", FINAL)))
        for outcome, why in (
            (RIGHT, None),
            (MISCITED, f"miscited: '{GOAL}' to {OLDER}"),
            (WRONG, f"not supported: 'Harry Kane scored for England.' by {FINAL}"),
            (broken, f"BROKEN: a span of 2 sentences: '{GOAL} Spain won.'"),
        ):
            with self.subTest(why):
                (cited,) = outcome["citations"]
                self.assertEqual(search.miscited(cited), why)

    def test_two_facts_each_have_their_source(self):
        hubble, webb = "Hubble's mirror is 2.4 metres wide.", "That of James Webb measures 6.5 metres."
        urls = [f"https://en.wikipedia.org/wiki/{name}_Space_Telescope" for name in ("Hubble", "James_Webb")]
        for marks, gold in (
            ([(hubble, urls[0]), (webb, urls[1])], [True, True]),
            ([(hubble, urls[1]), (webb, urls[1])], [False, True]),
        ):
            with self.subTest(gold):
                outcome = judged("two-mirrors", answered(f"{hubble} {webb}", *marks))
                self.assertEqual((outcome["right"], [cited["gold"] for cited in outcome["citations"]]), (True, gold))

    def test_figures_count_parts_of_their_wholes(self):
        outcomes = [RIGHT, MISCITED, UNCITED, WRONG, UNSEARCHED, NOT_FOUND, INVENTED]
        self.assertEqual(
            list(search.counted_figures(outcomes).values()),
            [(6, 7), (5, 7), (2, 4), (1, 4), (1, 2), (1, 3), (1, 4), (4, 4)],
        )

    def test_an_empty_run_divides_nothing(self):
        self.assertEqual(set(search.counted_figures([]).values()), {(0, 0)})


class Guide(unittest.TestCase):
    def test_what_the_programs_print_is_read_as_they_print_it(self):
        printed = "Spain won 2–1.\n\nCitations:\n  [Wikipedia](%s)\n"
        for output, expected in (
            (printed % FINAL, (True, True, True, None)),
            ("Spain won.\n", (False, True, False, None)),
            ((printed % FINAL).replace("Spain", "England"), (True, False, True, None)),
            (printed % "https://example.org/x", (True, True, True, "a citation that no document has: [Wikipedia](https://example.org/x)")),
            ((printed % FINAL).replace("Wikipedia", "None", 1), (True, True, True, f"no title for {FINAL}")),
            ("None\n", (False, False, False, None)),
        ):
            with self.subTest(output):
                found = guide08.of_output(output, CORPUS)
                self.assertEqual((found["searched"], found["named"], found["cited"], found["broken"]), expected)

    def test_an_interaction_shows_where_its_citations_point(self):
        for interaction, expected in (
            (answered("Spain won.", ("Spain won.", FINAL)), (True, True, True, True, None)),
            (answered("Spain won.", ("Spain won.", OLDER)), (True, True, True, False, None)),
            (answered("Spain won."), (True, True, False, False, None)),
            (answered("Spain won.", status="failed"), (True, False, False, False, None)),
            (answered("Spain won.", ("won", "https://example.org/x")),
             (True, True, True, False, "an address that no document has: 'https://example.org/x'")),
            ({"error": {"code": "failed_precondition", "message": "No search"}}, (False, False, False, False, None)),
        ):  # fmt: skip
            with self.subTest(interaction):
                found = guide08.of_interaction(interaction, CORPUS)
                columns = ("searched", "named", "cited", "supported", "broken")
                self.assertEqual(tuple(found[column] for column in columns), expected)


if __name__ == "__main__":
    unittest.main()
