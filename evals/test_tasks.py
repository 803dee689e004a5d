"""What files made by hand come to, of the tasks; and that none is done before anything is."""

import json
import unittest

import frozen
import tasks


class Judges(unittest.TestCase):
    def test_a_file_is_held_against_what_was_asked(self):
        for wanted, right, wrong in (
            ({"text": "a = 1\n"}, ("a = 1\n", "a = 1"), ("a = 2\n", " a = 1\n", "")),
            ({"lines": ["Ada", "Bob"]}, ("Ada\nBob\n", "Ada \nBob"), ("Bob\nAda\n", "Ada\n\nBob\n", "Ada, Bob")),
            ({"json": {"a": 1}}, ('{"a": 1}', '{\n"a": 1.0}\n'), ('{"a": 2}', "{'a': 1}", "a: 1", "")),
        ):
            for written in right:
                self.assertIsNone(tasks.fault("f", wanted, written), (wanted, written))
            for written in wrong:
                self.assertIn("f holds", tasks.fault("f", wanted, written), (wanted, written))

    def test_nothing_is_right_as_it_was_given(self):
        for case in frozen.read("tasks.json"):
            given = {given["path"]: given["content"] for given in case["given"]}
            wrong = [path for path, wanted in case["expected"].items() if tasks.fault(path, wanted, given.get(path, ""))]
            self.assertEqual(wrong, list(case["expected"]), case["id"])
            self.assertTrue(json.dumps(case["input"]).count(wrong[0].rpartition("/")[2]), case["id"])


if __name__ == "__main__":
    unittest.main()
