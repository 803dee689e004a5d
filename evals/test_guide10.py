"""What files and answers made by hand come to, of the guide's agent."""

import unittest

import guide10

FROM_ZERO = "0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181"


class Judges(unittest.TestCase):
    def test_twenty_numbers_in_their_order_are_wanted(self):
        from_one = FROM_ZERO.removeprefix("0, ") + ", 6765"
        check = lambda text, alone, expected: self.assertEqual(guide10.shows(text, alone), expected, (text, alone))  # noqa: E731
        for numbers in (FROM_ZERO, from_one, FROM_ZERO.replace(", ", "\n")):
            check(numbers, True, True)
            check(f"The 20 first numbers:\n{numbers}", False, True)
            check(f"The 20 first numbers:\n{numbers}", True, False)
        check(f"{from_one}, 10946", True, False)
        check(FROM_ZERO.removesuffix(", 4181"), False, False)
        check(FROM_ZERO.replace("34", "35"), False, False)
        check("", False, False)


if __name__ == "__main__":
    unittest.main()
