"""What an answer is held against: expected calls, JSON Schemas, and words that belong to no answer."""

import itertools
import json
import re

LEAKED = re.compile(
    r"<\|[a-z_]+\|>|</?s>|</?think>|</?tool_call>|</?tool_response>|</?tools>|<function=|\[/?TOOL_CALLS\]"
    r"|\{\s*\"name\"\s*:\s*\"\w+\"\s*,\s*\"(arguments|parameters)\"\s*:"
)
"""Control words and calls as models write them, which must not be in a text."""


def violation(value, schema):
    """Why a value does not conform to a schema, formats included; `None` when it does."""
    # Only here, so that all that judges without schemas can be tested by any Python.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    cls = validator_for(schema, default=Draft202012Validator)
    error = best_match(cls(schema, format_checker=cls.FORMAT_CHECKER).iter_errors(value))
    return error and f"{error.json_path}: {error.message[:160]}"


def parsed(text):
    """A JSON text's value; `ValueError` for what is JSON only to Python."""

    def refuse(constant):
        raise ValueError(f"`{constant}` is no JSON")

    return json.loads(text, parse_constant=refuse)


def texts(interaction):
    """The text parts of all model outputs."""
    outputs = [step for step in interaction.steps or [] if step.type == "model_output"]
    return [part.text for step in outputs for part in step.content or [] if part.type == "text"]


def calls_of(interaction):
    return [step for step in interaction.steps or [] if step.type == "function_call"]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def matches(matcher, value):
    """Whether a value is what a matcher of the cases describes; `README.md` lists the matchers."""
    ((kind, expected),) = matcher.items()
    match kind:
        case "any":
            return True
        case "exact":
            return type(value) is type(expected) and value == expected
        case "one_of":
            return value in expected
        case "contains":
            return isinstance(value, str) and any(part.lower() in value.lower() for part in expected)
        case "number":
            return is_number(value) and abs(value - expected) <= 1e-9 * max(1, abs(expected))
        case "object":
            return isinstance(value, dict) and wrong_arguments(expected, {}, value) is None
        case "items":
            return (
                isinstance(value, list)
                and len(value) == len(expected)
                and any(all(map(matches, expected, order)) for order in itertools.permutations(value))
            )
        case _:
            raise ValueError(f"no matcher `{kind}`")


def wrong_arguments(expected, optional, arguments):
    """What is wrong with the arguments of a call; `None` when nothing is."""
    for name, matcher in expected.items():
        if name not in arguments:
            return f"argument `{name}` is missing"
        if not matches(matcher, arguments[name]):
            return f"argument `{name}` is {json.dumps(arguments[name], ensure_ascii=False)}"
    for name, value in arguments.items():
        if name not in expected and not (name in optional and matches(optional[name], value)):
            return f"argument `{name}` was not asked for: {json.dumps(value, ensure_ascii=False)}"
    return None


def wrong_call(expected, call):
    """What is wrong with a call; `None` when nothing is."""
    if call.name != expected["name"]:
        return f"called `{call.name}` instead of `{expected['name']}`"
    wrong = wrong_arguments(expected["arguments"], expected.get("optional_arguments", {}), call.arguments or {})
    return wrong and f"`{call.name}`: {wrong}"


def paired(expected, calls):
    """Each call with the expectation that it meets, in any order, and what is wrong with the best pairing."""
    if len(calls) != len(expected):
        named = ", ".join(call.name for call in calls) or "none"
        return [], f"{len(expected)} calls expected, {len(calls)} came: {named}"
    fewest = None
    for order in itertools.permutations(expected):
        wrong = [why for pair in zip(order, calls) if (why := wrong_call(*pair))]
        if fewest is None or len(wrong) < len(fewest[1]):
            fewest = (list(zip(order, calls)), wrong)
    return fewest[0], "; ".join(fewest[1]) or None


def mentions(text, alternatives):
    """Whether a text holds one of these, not as part of a longer number."""
    return any(
        re.search(rf"(?<![0-9]){re.escape(alternative)}(?![0-9])", text, re.IGNORECASE) for alternative in alternatives
    )


def share(part, whole):
    return f"{part} of {whole}" + (f" ({100 * part / whole:.1f} %)" if whole else "")


def refusal(error):
    """The HTTP status, if the server answered with one, and the error in one line."""
    status = getattr(error, "status_code", None)
    body = getattr(error, "body", None)
    message = body.get("error", {}).get("message") if isinstance(body, dict) else None
    return status, f"{status or type(error).__name__}: {message or error}"[:240]
