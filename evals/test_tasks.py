"""What files made by hand come to, of the tasks; and that none is done before anything is."""

import json
import unittest
from types import SimpleNamespace

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

    def test_a_call_that_can_write_names_the_file(self):
        program = lambda code: {"type": "code_execution_call", "arguments": {"language": "python", "code": code}}  # noqa: E731
        call = lambda name, **arguments: {"type": "function_call", "name": name, "arguments": arguments}  # noqa: E731
        for path, step, expected in (
            ("count.txt", program("open('count.txt', 'w').write('4')"), True),
            ("count.txt", program("print(open('story.txt').read().count('lantern'))"), False),
            ("count.txt", call("write_file", path="count.txt", content="4"), True),
            ("count.txt", call("write_file", path="count.py", content="open('count.txt', 'w').write('4')"), True),
            ("settings.ini", call("edit_file", path="settings.ini", old="8080", new="9090"), True),
            ("settings.ini", call("read_file", path="settings.ini"), False),
            ("settings.ini", {"type": "function_result", "name": "write_file", "result": "settings.ini"}, False),
            ("days/may.txt", program("for month in months: open(f'days/{month}.txt', 'w')"), True),
            ("days/may.txt", program("os.chdir(folder); open('may.txt', 'w').write('31')"), True),
            ("days/may.txt", program("print(31)"), False),
        ):
            self.assertEqual(tasks.is_named(path, [step]), expected, (path, step))
        self.assertFalse(tasks.is_named("count.txt", []))

    def test_files_that_nothing_has_made_are_not_done(self):
        [case] = [case for case in frozen.read("tasks.json") if case["id"] == "lantern"]
        said = {"type": "model_output", "content": [{"type": "text", "text": "It is there 4 times."}]}
        made = {"type": "code_execution_call", "arguments": {"language": "bash", "code": "echo 4 > count.txt"}}
        for steps, unnamed in (([made, said], None), ([said], "count.txt is right, and no recorded call names it")):
            dumped = {"status": "completed", "environment_id": "env", "steps": steps}
            interaction = SimpleNamespace(model_dump=lambda dumped=dumped, **_: dumped)
            files = SimpleNamespace(download=lambda **_: b"4\n")
            client = SimpleNamespace(
                interactions=SimpleNamespace(create=lambda interaction=interaction, **_: interaction),
                environments=SimpleNamespace(files=files),
            )
            found = tasks.done(SimpleNamespace(client=client), case)
            self.assertEqual((found["why"], found["broken"], found["acts"]), (unnamed, unnamed, len(steps) - 1))


if __name__ == "__main__":
    unittest.main()
