// A request as a program that sends it.

export function asCurl(request, origin) {
  const json = JSON.stringify({...request, stream: true}, null, 2).replaceAll("'", `'\\''`);
  return `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $LOCKSTEP_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${json}'`;
}

// A value as Python writes it. JSON's strings are Python's too.
function python(value, indent) {
  const inner = indent + "    ";
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const parts = list ? value.map(one => python(one, inner))
                     : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${python(one, inner)}`);
  const line = parts.join(", ");
  const [open, close] = list ? "[]" : "{}";
  if (line.length + indent.length < 90 && !line.includes("\n")) return open + line + close;
  return `${open}\n${parts.map(part => `${inner}${part},\n`).join("")}${indent}${close}`;
}

export function asPython(request, origin) {
  const fields = Object.entries({...request, stream: true}).map(([name, value]) => `    ${name}=${python(value, "    ")},\n`);
  return `import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["LOCKSTEP_API_KEY"])
stream = client.chat.completions.create(
${fields.join("")})
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}
