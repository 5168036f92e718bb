"""The variables that templates are compared with."""

import re

SNIPPET_VARIABLES = {
    "text": "hello",
    "uni": "Ünï😀ß日本",
    "numbers": [1, 2, 3, 4, 5],
    "user": {"name": "Ann", "tags": ["a", "b"], "address": {"city": "Ulm", "zip": None}},
    "weird": {"items": "own", "get": "mine"},
    "messages": [
        {"role": "user", "content": "Hi there "},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Bye 👋"},
    ],
    "bos_token": "<s>",
    "eos_token": "</s>",
    "big": 18446744073709551615,
    "small": -9223372036854775808,
    "float": 1.5,
}


def with_line_breaks(line):
    """Turns \\n, \\r and \\t outside of {{ }} and {% %} into the characters."""
    parts = re.split(r"(\{\{.*?\}\}|\{%.*?%\})", line)
    for i in range(0, len(parts), 2):
        parts[i] = parts[i].replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
    return "".join(parts)


WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a place.\nAnywhere on \"Earth\".",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town, such as Kraków"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "array", "items": {"type": "integer"}, "nullable": True},
                "options": {
                    "type": "object",
                    "properties": {"wind": {"type": "boolean"}, "limit": {"type": "number", "maximum": 1.5}},
                    "required": ["wind"],
                },
            },
            "required": ["place"],
        },
        "return": {"type": "string", "description": "The weather"},
    },
}
CLOCK_TOOL = {
    "type": "function",
    "function": {"name": "clock", "description": "The time.", "parameters": {"type": "object", "properties": {}}},
}
BARE_TOOL = {"name": "add", "description": "Adds <a> & 'b'.", "parameters": {"a": {"type": "int"}}}


def call(name, arguments, identifier="call00001"):
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def message(role, content, **more):
    return {"role": role, "content": content, **more}


SYSTEM = message("system", "You are terse. ")
HI = message("user", "Hi!")
HELLO = message("assistant", "Hello, how can I help?")
THOUGHT = message("assistant", "<think>\nLet me see.\n</think>\n\nIt is 4.", reasoning_content="Two and two.")

MESSAGES = {
    "one": [HI],
    "system": [SYSTEM, HI],
    "system alone": [SYSTEM],
    "empty system": [message("system", ""), HI],
    "developer": [message("developer", "Be kind."), HI],
    "turns": [HI, HELLO, message("user", " And now? ")],
    "system turns": [SYSTEM, HI, HELLO, message("user", "And now?"), message("assistant", "Now."), HI],
    "ends with assistant": [HI, HELLO],
    "late system": [HI, HELLO, SYSTEM, HI],
    "two users": [HI, HI],
    "assistant first": [HELLO, HI],
    "unicode": [message("user", "Zażółć gęślą jaźń 🦆 日本語\u2028 \"'<&>\\ {{ x }} {% y %}\n\n\tend ")],
    "empty content": [message("user", "")],
    "white space": [message("user", "  \n a \n "), message("assistant", "\n b "), message("user", "c\n")],
    "none content": [HI, message("assistant", None), HI],
    "no content": [HI, {"role": "assistant"}, HI],
    "no role": [{"content": "x"}],
    "unknown role": [message("critic", "No."), HI],
    "parts": [
        message("user", [{"type": "text", "text": "Look: "}, {"type": "image"}, {"type": "text", "text": "this."}])
    ],
    "system parts": [message("system", [{"type": "text", "text": "Be brief."}]), HI],
    "thinking": [message("user", "2+2?"), THOUGHT, message("user", "3+3?")],
    "thinking last": [SYSTEM, message("user", "2+2?"), THOUGHT],
    "no think": [message("system", "/no_think Be brief."), message("user", "2+2? /no_think")],
    "tool call": [
        message("user", "Weather?"),
        message("assistant", "", tool_calls=[call("get_weather", {"place": "Łódź", "unit": "celsius"})]),
        message("tool", "12 degrees", name="get_weather", tool_call_id="call00001"),
    ],
    "tool call answered": [
        SYSTEM,
        message("user", "Weather and time?"),
        message(
            "assistant",
            "I will look.",
            tool_calls=[call("get_weather", {"place": "Ulm"}), call("clock", {}, "call00002")],
        ),
        message("tool", "12 degrees", name="get_weather", tool_call_id="call00001"),
        message("tool", "{\"time\": 3.5}", name="clock", tool_call_id="call00002"),
        message("assistant", "12 degrees at half past three."),
        message("user", "Thanks."),
    ],
    "tool call without content": [
        message("user", "Time?"),
        {"role": "assistant", "tool_calls": [call("clock", "{\"zone\": \"UTC\"}")]},
        message("tool", {"time": [1, 2.5, None, True]}, tool_call_id="call00001"),
    ],
    "flat tool call": [
        message("user", "Add."),
        message("assistant", None, tool_calls=[{"name": "add", "arguments": {"a": 1}}]),
        message("ipython", "1"),
    ],
    "function call": [
        message("user", "Add."),
        message("assistant", None, function_call={"name": "add", "arguments": "{}"}),
        message("function", "1", name="add"),
    ],
    "nothing": [],
}
TOOLS = {"none": None, "empty": [], "one": [WEATHER_TOOL], "several": [WEATHER_TOOL, CLOCK_TOOL], "bare": [BARE_TOOL]}


def conversations():
    """Every messages with and without a generation prompt, with tools, and with other switches."""
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    for messages in MESSAGES.values():
        for prompt in (True, False):
            yield {"messages": messages, "add_generation_prompt": prompt, "tools": None, "documents": None, **tokens}
        for tools in TOOLS.values():
            yield {"messages": messages, "add_generation_prompt": True, "tools": tools, **tokens}
        yield {"messages": messages, **tokens}
        yield {"messages": messages}
        for switch in (True, False):
            yield {
                "messages": messages,
                "add_generation_prompt": True,
                "enable_thinking": switch,
                "thinking": switch,
                "reasoning_effort": "high" if switch else "low",
                "tools_in_user_message": switch,
                "date_string": "26 Jul 2024",
                "documents": [{"title": "Ducks", "text": "They swim. ", "doc_id": 1}],
                "controls": {"length": "short"},
                "builtin_tools": ["python", "browser"] if switch else None,
                "custom_tools": [CLOCK_TOOL] if switch else None,
                "xml_tools": [CLOCK_TOOL] if not switch else None,
                "model_identity": "You are a test.",
                "system_message": "Own words.",
                "continue_final_message": switch,
                "tools": [CLOCK_TOOL] if switch else None,
                **tokens,
            }
    yield {"add_generation_prompt": True, **tokens}
    yield {"messages": None, "tools": [WEATHER_TOOL], **tokens}
    yield {"messages": "not a list", **tokens}
    yield {"messages": [1, None, "x"], **tokens}
