// Batches of this project: what they have done, and their files.

import {may} from "./account.js";
import {ask, read} from "./api.js";
import {byId, confirmed, make, notice, problem, table} from "./dom.js";
import {moment, number, percent} from "./format.js";

let content;

export function start() {
  content = make("div.content");
  byId("batches").append(make("header.bar", {}, make("h1", {id: "batches-title", tabindex: "-1"}, "Batches"), make("span.gap"),
    make("button.quiet", {type: "button", click: () => show().catch(failed)}, "Refresh")), content);
}

const failed = error => content.replaceChildren(problem(error));

export async function show() {
  if (!await may("use_files")) {
    return content.replaceChildren(notice("Not with this key", "Batches are for keys with the scope “files”."));
  }
  const list = (await read("/v1/batches")).data;
  if (!list.length) {
    return content.replaceChildren(notice("No batches yet",
      "A batch runs a file of requests in idle capacity, at a lower price, within a day. Upload one at /v1/files and start it at /v1/batches."));
  }
  const running = batch => ["validating", "in_progress", "finalizing"].includes(batch.status);
  const counts = batch => batch.request_counts ?? {total: 0, completed: 0, failed: 0};
  const tag = batch => make(`span.tag${batch.status === "completed" ? ".good" : ["failed", "expired"].includes(batch.status) ? ".bad" : ""}`, {},
                            batch.status.replaceAll("_", " "));
  content.replaceChildren(table("Batches",
    [{name: "Batch"}, {name: "State"}, {name: "Done"}, {name: "Failed", number: true}, {name: "For"}, {name: "Made"}, {name: ""}],
    list.map(batch => {
      const {total, completed, failed: wrong} = counts(batch), share = total ? (completed + wrong) / total : 0;
      return [make("code", {}, `…${batch.id.slice(-8)}`), tag(batch),
              make("span.progress", {}, make("progress", {max: 1, value: share, "aria-label": `Done: ${percent(share)}`}),
                   ` ${number(completed + wrong)} of ${number(total)}`),
              number(wrong), batch.endpoint, moment(batch.created_at),
              make("span.actions", {},
                   batch.output_file_id && make("button.quiet", {type: "button", click: () => download(batch.output_file_id)}, "Output"),
                   batch.error_file_id && make("button.quiet", {type: "button", click: () => download(batch.error_file_id)}, "Errors"),
                   running(batch) && make("button.quiet.danger", {type: "button", click: () => cancel(batch)}, "Cancel"))];
    })));
}

async function cancel(batch) {
  if (!await confirmed("Cancel this batch?", "What is done stays; the rest is not run.", "Cancel the batch")) return;
  await read(`/v1/batches/${encodeURIComponent(batch.id)}/cancel`, {method: "POST"}).then(show).catch(failed);
}

async function download(id) {
  const blob = await (await ask(`/v1/files/${encodeURIComponent(id)}/content`)).blob();
  const link = make("a", {href: URL.createObjectURL(blob), download: `${id}.jsonl`});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
