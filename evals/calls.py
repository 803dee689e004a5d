"""Function calling: the cases of `calls.json`, each a conversation that ends at its first mistake."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import frozen
import judging


def run(server, model, options):
    cases = frozen.read("calls.json")
    chosen = [case for case in cases["cases"] if not options.only or case["id"] in options.only]

    def one(case):
        began = time.perf_counter()
        outcome = Conversation(server, model, options, [cases["tools"][name] for name in case["tools"]]).hold(case)
        return {"id": case["id"], "category": case["category"], "seconds": round(time.perf_counter() - began, 2)} | outcome

    with ThreadPoolExecutor(options.concurrency) as pool:
        outcomes = list(pool.map(one, chosen))
    for outcome in outcomes:
        if outcome["why"]:
            print(f"{outcome['category']}/{outcome['id']}: {outcome['why']}")
    print(f"\n{'category':<12} right of")
    for category in [*dict.fromkeys(outcome["category"] for outcome in outcomes), "all"]:
        counted = [outcome for outcome in outcomes if category in (outcome["category"], "all")]
        print(f"{category:<12} {sum(not outcome['why'] for outcome in counted):>5} {len(counted):>2}")
    broken = [f"{outcome['id']}: {outcome['broken']}" for outcome in outcomes if outcome["broken"]]
    return {"cases": outcomes, "broken": broken}


class Conversation:
    def __init__(self, server, model, options, tools):
        self.server, self.tools = server, tools
        self.parameters = {tool["name"]: tool["parameters"] for tool in tools}
        self.request = {
            "model": model,
            "tools": tools,
            "generation_config": {"seed": options.seed, "max_output_tokens": options.max_output_tokens},
        }

    def hold(self, case):
        """Why the case failed, which promise was broken, and the tokens that were written."""
        tokens, previous, results = 0, None, None
        for at, turn in enumerate(case["turns"]):
            try:
                interaction = self.server.client.interactions.create(
                    input=turn.get("user") or results, previous_interaction_id=previous, **self.request
                )
            except Exception as error:
                return {"why": f"turn {at + 1}: {judging.refusal(error)[1]}", "broken": None, "tokens": tokens}
            tokens += interaction.usage.total_output_tokens or 0 if interaction.usage else 0
            pairs, why, broken = self.judge(turn, interaction)
            if why:
                return {"why": f"turn {at + 1}: {why}", "broken": broken, "tokens": tokens}
            previous = interaction.id
            results = [
                {
                    "type": "function_result",
                    "name": call.name,
                    "call_id": call.id,
                    "result": [{"type": "text", "text": json.dumps(expected.get("result"), ensure_ascii=False)}],
                }
                for expected, call in pairs
            ]
        return {"why": None, "broken": None, "tokens": tokens}

    def judge(self, turn, interaction):
        """The calls with what they were expected to be, what is wrong, and which promise was broken."""
        calls = judging.calls_of(interaction)
        for call in calls:
            if call.name not in self.parameters:
                broken = f"called `{call.name}`, which was not declared"
            elif violated := judging.violation(call.arguments, self.parameters[call.name]):
                broken = f"arguments of `{call.name}` do not conform: {violated}"
            else:
                continue
            return [], broken, broken
        text = "".join(judging.texts(interaction))
        if leaked := judging.LEAKED.search(text):
            return [], f"`{leaked[0]}` in the text", None
        pairs, why = judging.paired(turn["calls"], calls)
        if why:
            return [], why, None
        status = "requires_action" if turn["calls"] else "completed"
        if interaction.status != status:
            return [], f"status `{interaction.status}` instead of `{status}`", None
        if not turn["calls"] and not text.strip():
            return [], "an empty answer", None
        if "answer_mentions" in turn and not judging.mentions(text, turn["answer_mentions"]):
            return [], f"none of {turn['answer_mentions']} in: {text[:120]!r}", None
        return pairs, None, None
