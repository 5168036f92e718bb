#include "accounts/schema.h"

namespace lockstep::accounts {

const std::vector<database::Migration>& schema() {
  // What has been released stays as it is; add a step with the next version at the end.
  static const std::vector<database::Migration> steps = {
      {1,
       "accounts and the request log",
       {
           "CREATE TABLE organisations (id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at_ms BIGINT NOT "
           "NULL)",

           "CREATE TABLE projects (id TEXT PRIMARY KEY, "
           "organisation_id TEXT NOT NULL REFERENCES organisations (id), name TEXT NOT NULL, "
           "store_bodies BIGINT NOT NULL, body_days BIGINT NOT NULL, log_days BIGINT NOT NULL, "
           "created_at_ms BIGINT NOT NULL, archived_at_ms BIGINT)",
           "CREATE INDEX projects_by_organisation ON projects (organisation_id)",

           "CREATE TABLE members (id TEXT PRIMARY KEY, "
           "organisation_id TEXT NOT NULL REFERENCES organisations (id), name TEXT NOT NULL, "
           "role TEXT NOT NULL, created_at_ms BIGINT NOT NULL, removed_at_ms BIGINT)",
           "CREATE INDEX members_by_organisation ON members (organisation_id)",

           // The secret's first part finds the key, its hash proves it.
           "CREATE TABLE keys (id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects (id), "
           "name TEXT NOT NULL, prefix TEXT NOT NULL UNIQUE, hash TEXT NOT NULL, scopes TEXT NOT NULL, "
           "member_id TEXT NOT NULL REFERENCES members (id), made_by TEXT NOT NULL, "
           "created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT, revoked_at_ms BIGINT)",
           "CREATE INDEX keys_by_project ON keys (project_id)",
           "CREATE INDEX keys_by_member ON keys (member_id)",

           "CREATE TABLE limits (organisation_id TEXT NOT NULL REFERENCES organisations (id), "
           "subject TEXT NOT NULL, subject_id TEXT NOT NULL, model TEXT NOT NULL, "
           "requests_per_minute BIGINT, requests_per_day BIGINT, tokens_per_minute BIGINT, "
           "tokens_per_day BIGINT, concurrent BIGINT, PRIMARY KEY (subject_id, model))",
           "CREATE INDEX limits_by_organisation ON limits (organisation_id)",

           "CREATE TABLE spend_caps (organisation_id TEXT NOT NULL REFERENCES organisations (id), "
           "subject TEXT NOT NULL, subject_id TEXT PRIMARY KEY, month_cap BIGINT NOT NULL)",

           // One row, whose number grows with every change of the tables above: how servers see each other's
           // changes.
           "CREATE TABLE accounts_version (version BIGINT NOT NULL)",
           "INSERT INTO accounts_version VALUES (1)",

           // Without references to the tables above: what was used stays known whatever becomes of the key.
           "CREATE TABLE request_log (request_id TEXT PRIMARY KEY, time_ms BIGINT NOT NULL, "
           "organisation_id TEXT NOT NULL, project_id TEXT NOT NULL, key_id TEXT NOT NULL, "
           "endpoint TEXT NOT NULL, model TEXT NOT NULL, tier TEXT NOT NULL, status BIGINT NOT NULL, "
           "error_code TEXT NOT NULL, prompt_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, "
           "completion_tokens BIGINT NOT NULL, cost BIGINT NOT NULL, queue_us BIGINT NOT NULL, "
           "prompt_us BIGINT NOT NULL, completion_us BIGINT NOT NULL, first_token_us BIGINT, batch_id TEXT)",
           "CREATE INDEX request_log_by_project ON request_log (project_id, time_ms, request_id)",
           "CREATE INDEX request_log_by_organisation ON request_log (organisation_id, time_ms, request_id)",

           "CREATE TABLE request_bodies (request_id TEXT PRIMARY KEY REFERENCES request_log (request_id) "
           "ON DELETE CASCADE, project_id TEXT NOT NULL, time_ms BIGINT NOT NULL, request TEXT, response "
           "TEXT)",
           "CREATE INDEX request_bodies_by_project ON request_bodies (project_id, time_ms)",

           // Sums of the log's costs, of organisations and projects, written together with its rows.
           "CREATE TABLE month_spend (subject_id TEXT NOT NULL, month BIGINT NOT NULL, spent BIGINT NOT "
           "NULL, "
           "PRIMARY KEY (subject_id, month))",
       }},
      {2,
       "files and batches",
       {
           "CREATE TABLE files (id TEXT PRIMARY KEY, project_id TEXT NOT NULL REFERENCES projects (id), "
           "purpose TEXT NOT NULL, filename TEXT NOT NULL, bytes BIGINT NOT NULL, "
           "created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL)",
           "CREATE INDEX files_by_project ON files (project_id, id)",
           "CREATE INDEX files_by_end ON files (expires_at_ms)",

           // Without references to files: these may be deleted when the batch has ended.
           "CREATE TABLE batches (id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL, "
           "project_id TEXT NOT NULL REFERENCES projects (id), key_id TEXT NOT NULL, "
           "member_id TEXT NOT NULL, store_bodies BIGINT NOT NULL, endpoint TEXT NOT NULL, "
           "input_file_id TEXT NOT NULL, completion_window TEXT NOT NULL, metadata TEXT, "
           "created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL, "
           "status TEXT NOT NULL, errors TEXT, output_file_id TEXT, error_file_id TEXT, "
           "total BIGINT NOT NULL, completed BIGINT NOT NULL, failed BIGINT NOT NULL, "
           "in_progress_at_ms BIGINT, finalizing_at_ms BIGINT, completed_at_ms BIGINT, failed_at_ms BIGINT, "
           "expired_at_ms BIGINT, cancelling_at_ms BIGINT, cancelled_at_ms BIGINT)",
           "CREATE INDEX batches_by_project ON batches (project_id, id)",
           "CREATE INDEX batches_by_status ON batches (status, id)",
           "CREATE INDEX batches_by_input ON batches (input_file_id)",

           // Until the batch has its output.
           "CREATE TABLE batch_results (batch_id TEXT NOT NULL REFERENCES batches (id), line BIGINT NOT "
           "NULL, failed BIGINT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (batch_id, line))",
       }},
      {3,
       "what was admitted, and who may ask for the first class of service",
       {
           // Whether the request counted against the limits: an error may come before or after.
           "ALTER TABLE request_log ADD COLUMN admitted BIGINT NOT NULL DEFAULT 1",
           "UPDATE request_log SET admitted = 0 WHERE status >= 400 AND status <> 499 AND prompt_tokens = 0",
           "ALTER TABLE projects ADD COLUMN performance BIGINT NOT NULL DEFAULT 0",
           "UPDATE limits SET subject = 'organization' WHERE subject = 'organisation'",
           "UPDATE spend_caps SET subject = 'organization' WHERE subject = 'organisation'",
       }},
  };
  return steps;
}

}  // namespace lockstep::accounts
