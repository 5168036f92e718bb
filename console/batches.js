// Batches of this project: what they have done, and their files.

import {may} from "./account.js";
import {address, download, read} from "./api.js";
import {attempt, fill, Pages} from "./content.js";
import {byId, confirmed, make, notice, quiet, say, table} from "./dom.js";
import {moment, number, percent} from "./format.js";

const pages = new Pages(turn);
let content;

export function start() {
  content = make("div.content");
  byId("batches").append(make("header.bar", {}, make("h1", {id: "batches-title", tabindex: "-1"}, "Batches"), make("span.gap"),
    quiet("Refresh", () => fill(content, load))), content);
}

export function show() {
  pages.first();
  return fill(content, load);
}

// Shows the page that was turned to.
async function turn() {
  await fill(content, load);
  byId("batches-title").focus();
}

// The elements of the page that is to be shown.
async function load() {
  if (!await may("use_files")) return notice("Not with this key", "Batches are for keys with the scope “files”.");
  const page = await read(address("/v1/batches", {cursor: pages.cursor}));
  if (!page.data.length) {
    return notice("No batches yet",
      "A batch runs a file of requests in idle capacity, at a lower price, within a day. Upload one at /v1/files and start it at /v1/batches.");
  }
  const stoppable = batch => ["validating", "in_progress"].includes(batch.status);
  const counts = batch => batch.request_counts ?? {total: 0, completed: 0, failed: 0};
  const tag = batch => make(`span.tag${batch.status === "completed" ? ".good" : ["failed", "expired"].includes(batch.status) ? ".bad" : ""}`, {},
                            batch.status.replaceAll("_", " "));
  const file = (batch, text, id) => id && quiet(text, () => attempt(content, () =>
    download(`/v1/files/${encodeURIComponent(id)}/content`, `${id}.jsonl`)), {label: `${text} of batch …${batch.id.slice(-8)}`});
  return [table("Batches",
    [{name: "Batch"}, {name: "State"}, {name: "Done"}, {name: "Failed", number: true}, {name: "For"}, {name: "Made"}, {name: ""}],
    page.data.map(batch => {
      const {total, completed, failed: wrong} = counts(batch), share = total ? (completed + wrong) / total : 0;
      return [make("code", {}, `…${batch.id.slice(-8)}`), tag(batch),
              make("span.progress", {}, make("progress", {max: 1, value: share, "aria-label": `Done: ${percent(share)}`}),
                   ` ${number(completed + wrong)} of ${number(total)}`),
              number(wrong), batch.endpoint, moment(batch.created_at),
              make("span.actions", {}, file(batch, "Output", batch.output_file_id), file(batch, "Errors", batch.error_file_id),
                   stoppable(batch) && quiet("Cancel", () => cancel(batch), {label: `Cancel batch …${batch.id.slice(-8)}`, danger: true}))];
    })), pages.buttons(page.paging.next_cursor)];
}

async function cancel(batch) {
  if (!await confirmed("Cancel this batch?", "What is done stays; the rest is not run.", "Cancel the batch")) return;
  if (!await attempt(content, () => read(`/v1/batches/${encodeURIComponent(batch.id)}/cancel`, {method: "POST"}))) return;
  say("The batch is being cancelled");
  await turn();
}
