// Elements made in code. Texts are always text: nothing here reads a string as HTML.

const svgNames = new Set(["svg", "g", "path", "rect", "line", "text", "title", "use", "circle"]);

// An element of "name.class.class" with attributes and children. An attribute that is a function is a listener
// ("click"), one that is true or false is there or not. Children are elements, texts, numbers or lists of them;
// null and false are left out.
export function make(kind, attributes = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const element = svgNames.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name)
                                     : document.createElement(name);
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = id => document.getElementById(id);

// Sets a text where it is another one: a reader of screens keeps its place.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A button without a border. `label`: what it says where its text alone is not clear.
export function quiet(text, click, {label = null, danger = false} = {}) {
  return make(danger ? "button.quiet.danger" : "button.quiet", {type: "button", "aria-label": label, click}, text);
}

// Told to readers of screens.
export function say(text) {
  byId("status").textContent = text;
}

// A button that copies a text and says so.
export function copyButton(text, label = "Copy") {
  const button = quiet(label, async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
      say("Copied");
    } catch {
      button.textContent = "Could not copy";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}

// A dialog that goes when it is closed. `fill(close)` gives its children; the promise is what close() was given,
// null where it was left otherwise.
export function dialog(title, fill) {
  return new Promise(done => {
    let answer = null;
    const heading = make("h2", {id: "dialog-title"}, title);
    const box = make("dialog", {"aria-labelledby": "dialog-title", close() {
      box.remove();
      done(answer);
    }});
    box.append(heading, ...[fill(value => { answer = value; box.close(); })].flat(Infinity));
    document.body.append(box);
    box.showModal();
  });
}

// Asks before something that cannot be taken back.
export function confirmed(title, text, action) {
  return dialog(title, close => [
    make("p", {}, text),
    make("div.actions", {},
         make("button", {type: "button", autofocus: true, click: () => close(false)}, "Cancel"),
         make("button.danger", {type: "button", click: () => close(true)}, action)),
  ]);
}

// A form that is sent until the server takes it: gives what `send` gave, or null if it was left.
export function formDialog(title, fields, send, action = "Save") {
  return dialog(title, close => {
    const said = make("p.error", {role: "alert"});
    let sending = false;
    return make("form", {async submit(event) {
      event.preventDefault();
      if (sending) return;
      sending = true;
      try {
        close(await send());
      } catch (error) {
        said.textContent = error.message;
      }
      sending = false;
    }}, fields, said, make("div.actions", {}, make("button", {type: "button", click: () => close(null)}, "Cancel"),
                           make("button.main", {type: "submit"}, action)));
  });
}

// A labelled field of a form; `input` gets the id.
export function field(id, label, input, hint) {
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return make("div.field", {}, make("label", {for: id}, label), input, hint && make("p.hint", {id: `${id}-hint`}, hint));
}

export function choice(options, chosen) {
  return make("select", {}, options.map(([value, text]) => make("option", {value, selected: value === chosen}, text)));
}

// A part of a section that has several: its heading, what it is, a button and the rest.
export const part = (title, text, action, body) => make("div", {}, make("div.bar", {}, make("h2", {}, title), make("span.gap"), action),
                                                        make("p.soft", {}, text), body);

// A table that becomes a list of cards where there is no room, or one of another kind. `columns`: {name, number, head};
// `rows`: lists of cells.
export function table(caption, columns, rows, kind = "cards") {
  const cell = (content, i) => columns[i].head ? make("th", {role: "rowheader", scope: "row"}, content) :
    make(columns[i].number ? "td.number" : "td", {role: "cell", "data-name": columns[i].name}, content);
  return make(`table.${kind}`, {role: "table"},
              make("caption.unseen", {}, caption),
              make("thead", {role: "rowgroup"}, make("tr", {role: "row"}, columns.map(column =>
                make(column.number ? "th.number" : "th", {role: "columnheader", scope: "col"}, column.name)))),
              make("tbody", {role: "rowgroup"}, rows.map(row => make("tr", {role: "row"}, row.map(cell)))));
}

// What a section says where it has nothing to show.
export function notice(title, text, ...more) {
  return make("div.notice", {}, make("h2", {}, title), make("p", {}, text), more);
}
