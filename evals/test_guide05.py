"""What answers made by hand come to, of the guide's picture and sound."""

import unittest

import guide05

FIRST, SECOND = guide05.PAIRS


class Judges(unittest.TestCase):
    def test_an_answer_needs_words_of_both_and_none_of_others(self):
        check = lambda text: [guide05.judged("05_1.py", text, None, FIRST, SECOND)[column] for column in guide05.COLUMNS]  # noqa: E731
        both = "The page on segmentation says that markers are pixels. He asks his fellow Americans what they can do for their country."
        self.assertEqual(check(both), [True, True, True, True])
        self.assertEqual(check("A page on segmentation. He speaks of his country and Americans."), [True, False, False, True])
        self.assertEqual(check(f"{both} The library is closed on public holidays."), [True, True, True, False])
        self.assertEqual(guide05.judged("05_1.py", None, "exit code 1", FIRST, SECOND)["why"], "exit code 1")

    def test_the_pairs_are_there_and_share_few_words(self):
        for one, other in zip(guide05.words_of(FIRST), guide05.words_of(SECOND)):
            self.assertGreaterEqual(len(one - other), 5)
            self.assertLess(len(one & other), guide05.LEAST_WORDS)


if __name__ == "__main__":
    unittest.main()
