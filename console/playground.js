// The playground: a conversation with the model, streamed, with the probability of every token.

import {ask, events, read} from "./api.js";
import {asCurl, asPython} from "./code.js";
import {fill} from "./content.js";
import {byId, copyButton, dialog, make, quiet, say} from "./dom.js";
import {duration, number} from "./format.js";
import {TokenText} from "./tokens.js";

const suggestions = [
  "Why is the sky blue?",
  "Write four lines about a clock that is never late.",
  "List three uses of a paper clip, as JSON.",
];

let turns = [];      // {message, view}: what was said, as the API has it, and its element
let running = null;  // the AbortController of the answer that runs

export function start() {
  for (const [id, show] of [["temperature", "temperature-value"], ["top-p", "top-p-value"]]) {
    const update = () => { byId(show).textContent = Number(byId(id).value).toFixed(2); };
    byId(id).addEventListener("input", update);
    update();
  }
  byId("format").addEventListener("change", () => { byId("schema-field").hidden = byId("format").value !== "json_schema"; });
  byId("schema").value = JSON.stringify({type: "object", properties: {name: {type: "string"}, year: {type: "integer"}},
                                         required: ["name", "year"], additionalProperties: false}, null, 2);
  byId("logprobs").addEventListener("change", () => {
    for (const {view} of turns) view.showTokens?.(byId("logprobs").checked);
  });
  byId("settings").addEventListener("submit", event => event.preventDefault());
  byId("show-settings").addEventListener("click", () => openSettings(true));
  byId("hide-settings").addEventListener("click", () => openSettings(false));
  byId("settings").addEventListener("keydown", event => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (byId("settings").classList.contains("open")) openSettings(false);
  });
  byId("ask").addEventListener("submit", event => { event.preventDefault(); submit(); });
  byId("question").addEventListener("keydown", event => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  byId("question").addEventListener("input", fit);
  byId("playground").addEventListener("keydown", event => { if (event.key === "Escape") running?.abort(); });
  byId("stop").addEventListener("click", () => running?.abort());
  byId("new-talk").addEventListener("click", () => { forget(0); byId("question").focus(); });
  byId("show-code").addEventListener("click", showCode);
  welcome();
}

export const show = () => fill(byId("playground-problem"), async () => {
  if (byId("model").options.length) return;
  const models = (await read("/v1/models")).data;
  byId("model").replaceChildren(...models.map(model => make("option", {value: model.id}, model.id)));
});

export const modelsChanged = () => byId("model").replaceChildren();

// Where there is no room beside the conversation, the settings lie over it.
function openSettings(open) {
  byId("settings").classList.toggle("open", open);
  byId("show-settings").setAttribute("aria-expanded", open);
  byId(open ? "hide-settings" : "show-settings").focus();
}

function welcome() {
  byId("messages").replaceChildren(make("div.welcome", {},
    make("svg.mark", {"aria-hidden": "true"}, make("use", {href: "#mark"})),
    make("h2", {}, "What would you like to ask?"),
    make("p", {}, "What is said here stays on this server."),
    make("div.suggestions", {}, suggestions.map(text =>
      make("button", {type: "button", click() { byId("question").value = text; submit(); }}, text)))));
}

function fit() {
  const box = byId("question");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 200)}px`;
}

// Forgets what was said from the turn with this index on.
function forget(first) {
  running?.abort();
  for (const {view} of turns.splice(first)) view.element.remove();
  if (!turns.length) welcome();
}

function add(message, view) {
  if (!turns.length) byId("messages").replaceChildren();
  turns.push({message, view});
  byId("messages").append(view.element);
  toEnd(true);
}

// Keeps the end in sight for whoever is there.
function toEnd(always = false) {
  const box = byId("messages");
  if (always || box.scrollHeight - box.scrollTop - box.clientHeight < 120) box.scrollTop = box.scrollHeight;
}

// What `read` makes of a box of the settings; where it throws, what is wrong is said beside the box first.
function checked(id, read) {
  const said = byId(`${id}-error`), box = byId(id);
  try {
    const value = read(box);
    said.textContent = "";
    box.removeAttribute("aria-invalid");
    return value;
  } catch (error) {
    said.textContent = error.message;
    box.setAttribute("aria-invalid", "true");
    box.closest("details")?.setAttribute("open", "");
    if (byId("show-settings").checkVisibility()) openSettings(true);
    box.focus();
    throw error;
  }
}

const parsed = id => checked(id, box => {
  try {
    return JSON.parse(box.value);
  } catch (error) {
    throw new Error(`This is no valid JSON: ${error.message}`);
  }
});

// The seed, if one is set. Numbers of this page are exact up to the bounds of its box; its own check of them is not.
const chosenSeed = () => checked("seed", box => {
  const seed = Number(box.value);
  if (box.validity.badInput || !Number.isSafeInteger(seed)) throw new Error(`A whole number from ${box.min} to ${box.max} is wanted.`);
  return box.value === "" ? undefined : seed;
});

// The body of a request as the settings and the conversation have it.
function body() {
  const value = id => byId(id).value.trim();
  const messages = turns.map(turn => turn.message).filter(message => message);
  if (value("system")) messages.unshift({role: "system", content: value("system")});
  const request = {model: value("model"), messages, temperature: Number(value("temperature")), top_p: Number(value("top-p"))};
  if (value("tokens-max")) request.max_completion_tokens = Number(value("tokens-max"));
  const seed = chosenSeed();
  if (seed !== undefined) request.seed = seed;
  if (byId("logprobs").checked) Object.assign(request, {logprobs: true, top_logprobs: Number(value("alternatives"))});
  const format = value("format");
  if (format === "json_object") request.response_format = {type: format};
  if (format === "json_schema") request.response_format = {type: format, json_schema: {name: "answer", strict: true, schema: parsed("schema")}};
  if (value("tools")) Object.assign(request, {tools: parsed("tools"), tool_choice: value("tool-choice")});
  return request;
}

function submit() {
  const text = byId("question").value.trim();
  if (!text || running) return;
  const wanted = turns.at(-1)?.view.results;
  if (wanted) {  // nothing can be said before the results of its calls
    wanted.querySelector("textarea").focus();
    return say("The model waits for the results of its calls");
  }
  try {
    body();
  } catch {
    return;
  }
  const index = turns.length;
  add({role: "user", content: text}, {element: make("article.message.user", {"aria-label": "You"},
    make("div.said", {}, text),
    make("div.facts", {}, quiet("Edit", () => {
      byId("question").value = text;
      forget(index);
      fit();
      byId("question").focus();
    })))});
  byId("question").value = "";
  fit();
  answer();
}

// Arguments that were cut off are no JSON yet.
function isWhole(call) {
  try {
    return Boolean(JSON.parse(call.function.arguments));
  } catch {
    return false;
  }
}

// What the model says, as it comes.
class AnswerView {
  constructor(again) {
    this.text = make("div.said");
    this.tokens = new TokenText();
    this.thoughts = make("details.thoughts", {hidden: true}, make("summary", {}, "Reasoning"), make("div"));
    this.calls = make("div.calls");
    this.facts = make("div.facts");
    this.again = again;
    this.element = make("article.message.answer", {"aria-label": "Answer"}, this.thoughts, this.text, this.tokens.element,
                        this.calls, this.facts);
    this.element.classList.add("running");
    this.content = "";
    this.reasoning = "";
    this.toolCalls = [];
    this.showTokens(byId("logprobs").checked);
  }

  // Tokens in colours, where there are probabilities, or the plain text.
  showTokens(wanted) {
    this.wanted = wanted;
    const shown = wanted && this.tokens.count > 0;
    this.tokens.element.hidden = !shown;
    this.text.hidden = shown || this.content === "";
  }

  take(event) {
    const choice = event.choices?.[0];
    this.id ??= event.id;
    this.fingerprint = event.system_fingerprint ?? this.fingerprint;
    this.seed = event.x_groq?.seed ?? this.seed;
    this.usage = event.usage ?? this.usage;
    if (!choice) return;
    this.finish = choice.finish_reason ?? this.finish;
    const {content, reasoning, tool_calls: calls} = choice.delta;
    if (reasoning) {
      this.reasoning += reasoning;
      this.thoughts.hidden = false;
      this.thoughts.lastChild.textContent = this.reasoning;
    }
    if (content) {
      this.content += content;
      this.text.append(content);
    }
    if (choice.logprobs?.content) this.tokens.add(choice.logprobs.content);
    for (const call of calls ?? []) this.takeCall(call);
    if (content || reasoning || calls || choice.logprobs) {
      this.firstAt ??= performance.now();
      this.lastAt = performance.now();
      this.showTokens(this.wanted);
    }
  }

  takeCall(part) {
    const call = this.toolCalls[part.index] ??= {id: "", type: "function", function: {name: "", arguments: ""}};
    call.id = part.id ?? call.id;
    call.function.name = part.function?.name ?? call.function.name;
    call.function.arguments += part.function?.arguments ?? "";
    this.calls.replaceChildren(...this.toolCalls.map(one => make("div.call", {},
      make("strong", {}, one.function.name), make("pre", {}, one.function.arguments))));
  }

  // What the conversation goes on with, or null if nothing was said: of the calls those that were not cut off.
  message() {
    const whole = this.toolCalls.filter(isWhole);
    if (whole.length) return {role: "assistant", content: this.content || null, tool_calls: whole};
    return this.content ? {role: "assistant", content: this.content} : null;
  }

  end(startedAt, error) {
    this.element.classList.remove("running");
    const stopped = error?.name === "AbortError";
    if (error && !stopped) this.element.insertBefore(make("p.error", {role: "alert"}, error.message), this.facts);
    const facts = [];
    const fact = (text, title) => facts.push(make("span", {title}, text));
    if (stopped) fact("stopped");
    if (!this.toolCalls.every(isWhole)) fact("a call is not whole", "The conversation goes on without it");
    if (this.finish === "length") fact("cut off by the limit of tokens");
    if (this.firstAt) fact(`first token after ${duration((this.firstAt - startedAt) / 1000)}`, "As this page saw it");
    if (this.usage) {
      const {prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details: details} = this.usage;
      const seconds = (this.lastAt - this.firstAt) / 1000;
      if (completion > 1 && seconds > 0) fact(`${number(Math.round((completion - 1) / seconds))} tokens/s`, "As this page saw it");
      fact(`${number(prompt)} + ${number(completion)} tokens`, "Prompt and answer");
      if (details?.cached_tokens) fact(`${number(details.cached_tokens)} cached`, "Tokens of the prompt whose state was there before");
      fact(`server ${duration(this.usage.total_time)}`, `Queue ${duration(this.usage.queue_time)}, prompt ${
        duration(this.usage.prompt_time)}, answer ${duration(this.usage.completion_time)}`);
    }
    if (this.tokens.count > 1) fact(`perplexity ${this.tokens.perplexity().toFixed(2)}`,
                                    "How many equally likely tokens the model chose among, on average");
    if (this.seed !== undefined) fact(`seed ${this.seed}`, "The same seed and settings give the same text");
    if (this.fingerprint) facts.push(make("code", {title: "It changes when the bits of an answer may change"}, this.fingerprint));
    this.facts.replaceChildren(make("div.figures", {}, facts),
      make("div.actions", {}, this.content && copyButton(() => this.content),
           quiet("Try again", this.again)));
  }
}

async function answer() {
  const request = {...body(), stream: true};
  const index = turns.length;
  const view = new AnswerView(() => { forget(index); answer(); });
  add(null, view);
  const abort = running = new AbortController();
  byId("stop").hidden = false;
  byId("send").hidden = true;
  say("The model answers");
  const startedAt = performance.now();
  let error = null;
  try {
    for await (const event of events(await ask("/v1/chat/completions", {method: "POST", body: request, signal: abort.signal}))) {
      view.take(event);
      toEnd();
    }
  } catch (thrown) {
    error = thrown;
  }
  if (running === abort) {
    running = null;
    const stopHadFocus = document.activeElement === byId("stop");
    byId("stop").hidden = true;
    byId("send").hidden = false;
    if (stopHadFocus) byId("question").focus();
  }
  view.end(startedAt, error);
  const turn = turns.find(one => one.view === view);
  if (!turn) return;
  turn.message = view.message();
  if (turn.message?.tool_calls) view.calls.append(view.results = resultsForm(view, turn.message.tool_calls));
  toEnd();
  say(error ? error.name === "AbortError" ? "Stopped" : error.message : `The answer: ${view.content}`);
}

// What the tools gave back, for the model to go on with.
function resultsForm(view, calls) {
  const boxes = calls.map(call => make("textarea.code", {rows: 2, "aria-label": `Result of ${call.function.name}`,
                                                                 placeholder: `What ${call.function.name} gives back`}));
  return make("form.results", {submit(event) {
    event.preventDefault();
    if (running || turns.at(-1).view !== view) return;
    calls.forEach((call, i) => add({role: "tool", tool_call_id: call.id, content: boxes[i].value},
      {element: make("article.message.tool", {"aria-label": `Result of ${call.function.name}`}, make("div.said", {}, boxes[i].value))}));
    event.target.remove();
    view.results = null;
    answer();
  }}, boxes, make("p.hint", {}, "The model goes on when it has them."), make("button", {type: "submit"}, "Send the results"));
}

function showCode() {
  let request;
  try {
    request = body();
  } catch {
    return;
  }
  // What would be sent now, or was sent last.
  const next = byId("question").value.trim();
  while (!next && request.messages.at(-1)?.role === "assistant") request.messages.pop();
  if (next || !request.messages.some(message => message.role === "user")) {
    request.messages.push({role: "user", content: next || suggestions[0]});
  }
  const forms = [["curl", asCurl(request, location.origin)], ["Python", asPython(request, location.origin)]];
  const code = make("pre.code", {tabindex: "0", "aria-label": "Code"}, forms[0][1]);
  const tabs = forms.map(([name, text], i) => make("button", {type: "button", "aria-pressed": String(i === 0), click() {
    code.textContent = text;
    tabs.forEach((tab, k) => tab.setAttribute("aria-pressed", String(k === i)));
  }}, name));
  dialog("This request as code", close => [
    make("div.switch", {}, tabs),
    code,
    make("div.actions", {}, copyButton(() => code.textContent), make("button.main", {type: "button", click: () => close()}, "Close")),
  ]);
}
