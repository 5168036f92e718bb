"""Random templates out of Jinja2's grammar, for comparing the two interpreters."""

import random

import template_conversations

NAMES = ["text", "uni", "numbers", "user", "messages", "missing", "x", "y", "float", "bos_token"]
ATTRIBUTES = ["name", "tags", "address", "role", "content", "zzz", "city"]
TEXTS = ["", "a", "Ab c", " b ", "é😀", "it's", 'q"q', "a,b,c", "1", "4.5", "x\\ny", "<b>", "%s", "%d-%s", "{}"]
FILTERS = [
    "upper", "lower", "title", "capitalize", "trim", "length", "list", "first", "last", "join", "join(',')", "string",
    "int", "float", "abs", "round", "sort", "reverse|list", "unique|list", "tojson", "default('d')", "d('e', true)",
    "map('string')|list", "select|list", "reject('none')|list", "sum", "min", "max", "items|list", "batch(2)|list",
    "slice(2)|list", "replace('a', 'bb')", "indent(2)", "wordcount", "truncate(3, true, '', 0)", "center(7)",
    "selectattr('role')|list", "map(attribute='role')|list", "dictsort", "tojson(indent=1)", "urlencode", "format(1)",
    "round(1, 'ceil')", "attr('name')", "groupby('role')", "count", "sort(reverse=true)",
]
TESTS = [
    "defined", "none", "string", "number", "mapping", "iterable", "sequence", "odd", "even", "boolean", "integer",
    "float", "upper", "lower", "true", "false", "undefined", "callable", "in [1, 'a']", "divisibleby 3", "eq 1",
    "ne 'a'", "gt 2", "le 3", "sameas none",
]
METHODS = [
    "upper()", "lower()", "strip()", "split()", "split(',')", "title()", "capitalize()", "isdigit()", "splitlines()",
    "startswith('a')", "endswith(('c', 'd'))", "replace('a', 'x')", "find('b')", "count('a')", "keys()|list",
    "items()|list", "values()|list", "get('name')", "get('q', 1)", "zfill(4)", "join(['p', 'q'])", "index(3)",
    "append(1)", "swapcase()", "rsplit(' ', 1)", "lstrip('a')", "partition('b')", "center(5, '*')", "format(1, 2)",
]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, items):
        return self.random.choice(items)

    def literal(self):
        kind = self.random.randrange(8)
        if kind < 2:
            return str(self.random.randrange(-3, 12))
        if kind == 2:
            return self.pick(["1.5", "0.1", "2.0", "1e20", "-0.25", "3e-5"])
        if kind < 6:
            text = self.pick(TEXTS)
            return "'" + text.replace("'", "\\'") + "'"
        return self.pick(["true", "false", "none", "[]", "{}", "()"])

    def expression(self, depth):
        if depth <= 0:
            return self.pick([self.literal, lambda: self.pick(NAMES)])()
        kind = self.random.randrange(14)
        inner = lambda: self.expression(depth - 1 - self.random.randrange(2))
        if kind < 2:
            return self.literal()
        if kind < 4:
            return self.pick(NAMES)
        if kind == 4:
            return f"({inner()} {self.pick(BINARY)} {inner()})"
        if kind == 5:
            return f"{inner()} {self.pick(BINARY)} {inner()}"
        if kind == 6:
            return f"({inner()})|{self.pick(FILTERS)}"
        if kind == 7:
            return f"({inner()}) is {self.pick(['', 'not '])}{self.pick(TESTS)}"
        if kind == 8:
            return f"({inner()}).{self.pick(ATTRIBUTES)}"
        if kind == 9:
            return f"({inner()}).{self.pick(METHODS)}"
        if kind == 10:
            parts = [self.pick(["", str(self.random.randrange(-4, 5))]) for _ in range(3)]
            # Jinja2 slices constants by other rules than variables, when it folds them; so only names are sliced.
            if self.random.randrange(2):
                return f"{self.pick(NAMES)}[{self.pick([':'.join(parts), ':'.join(parts[:2])])}]"
            return f"({inner()})[{self.pick([inner(), str(self.random.randrange(-3, 4))])}]"
        if kind == 11:
            return f"({inner()} if {inner()} else {inner()})"
        if kind == 12:
            items = ", ".join(inner() for _ in range(self.random.randrange(4)))
            return self.pick([f"[{items}]", f"({items},)" if items else "()", "{'k': %s, 'l': %s}" % (inner(), inner())])
        return f"{self.pick(['not ', '-', 'range(3)|list + '])}({inner()})"

    def space(self):
        return self.pick(["", "", " ", "\n", "  \n ", " text ", "\n\n", "\t"])

    def tag(self, inside):
        return "{%" + self.pick(["", "", "-", "+"]) + f" {inside} " + self.pick(["", "", "-", "+"]) + "%}"

    def statement(self, depth):
        kind = self.random.randrange(10) if depth > 0 else 0
        body = lambda: self.body(depth - 1)
        if kind < 3:
            return "{{" + self.pick(["", "", "-"]) + f" {self.expression(3)} " + self.pick(["", "", "-"]) + "}}"
        if kind == 3:
            return f"{self.tag('if ' + self.expression(2))}{body()}{self.tag('else')}{body()}{self.tag('endif')}"
        if kind == 4:
            iterable = self.pick(["numbers", "messages", "user", "text", self.expression(1)])
            condition = self.pick(["", "", f" if {self.expression(1)}"])
            inside = self.pick(["{{ loop.index }}{{ loop.last }}", "{{ x }}", "{% if loop.first %}F{% endif %}", ""])
            control = self.pick(["", "", "{% if loop.index > 2 %}{% break %}{% endif %}"])
            return f"{self.tag(f'for x in {iterable}{condition}')}{inside}{control}{body()}{self.tag('endfor')}"
        if kind == 5:
            return self.tag(f"set {self.pick(['x', 'y'])} = {self.expression(2)}")
        if kind == 6:
            return f"{self.tag('set y')}{body()}{self.tag('endset')}"
        if kind == 7:
            macro = f"{self.tag('macro m(x, y=1)')}{body()}{self.tag('endmacro')}"
            return macro + "{{ m(" + self.expression(1) + ") }}"
        if kind == 8:
            return f"{self.tag('filter upper')}{body()}{self.tag('endfilter')}"
        return f"{self.tag('with x = ' + self.expression(1))}{body()}{self.tag('endwith')}"

    def body(self, depth):
        return "".join(self.space() + self.statement(depth) for _ in range(self.random.randrange(1, 3))) + self.space()


def cases(count, seed):
    generator = Generator(seed)
    for made in range(count):
        source = generator.body(2) if made % 3 == 0 else "{{ " + generator.expression(4) + " }}"
        yield source, template_conversations.SNIPPET_VARIABLES
