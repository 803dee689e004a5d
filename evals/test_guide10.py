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

    def test_what_no_recorded_call_has_made_is_not_done(self):
        right = {"completed": True, "file": True, "shown": True, "why": None, "broken": None}
        code = f"open('{guide10.FILE}', 'w').write(', '.join(numbers))"
        program = {"type": "code_execution_call", "arguments": {"language": "python", "code": code}}
        script = {"type": "function_call", "name": "write_file", "arguments": {"path": "fibonacci.py", "content": code}}
        for steps in ([program], [script], None):
            self.assertEqual(guide10.judged(True, FROM_ZERO, FROM_ZERO, steps), right, steps)
        look = {"type": "function_call", "name": "read_file", "arguments": {"path": guide10.FILE}}
        other = {"type": "code_execution_call", "arguments": {"language": "python", "code": "print(fibonacci(20))"}}
        for steps in ([], [look, other]):
            broken = f"{guide10.FILE} is right, and no recorded call names it"
            found = guide10.judged(True, FROM_ZERO, FROM_ZERO, steps)
            self.assertEqual(found, right | {"file": False, "why": broken, "broken": broken}, steps)
        self.assertIsNone(guide10.judged(True, "", FROM_ZERO, [])["broken"])


if __name__ == "__main__":
    unittest.main()
