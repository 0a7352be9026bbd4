-- Both engines run this text; {bytes} is BYTEA or BLOB. Times are milliseconds since the epoch; ids come from us.

create table meta (
  name text primary key,
  value {bytes} not null
);

create table people (
  person_id bigint primary key,
  username text unique,
  password_hash text,
  subject text unique,
  region text not null,
  display_name text not null,
  avatar_url text not null,
  info text not null,
  created_at bigint not null,
  deleted_at bigint
);

create table sessions (
  session_hash {bytes} primary key,
  person_id bigint not null references people (person_id),
  created_at bigint not null,
  expires_at bigint not null
);
create index sessions_by_person on sessions (person_id);
create index sessions_by_end on sessions (expires_at);

create table apps (
  app_id bigint primary key,
  client_key text not null unique,
  owner_id bigint not null,
  name text not null,
  description text not null,
  icon_url text not null,
  terms_url text not null,
  privacy_url text not null,
  status text not null,
  webhook_url text,
  require_pkce boolean not null,
  created_at bigint not null,
  updated_at bigint not null
);

create table app_secrets (
  secret_id bigint primary key,
  app_id bigint not null references apps (app_id),
  sealed {bytes} not null,
  created_at bigint not null,
  retires_at bigint
);
create index app_secrets_by_app on app_secrets (app_id);

create table app_redirects (
  app_id bigint not null references apps (app_id),
  uri text not null,
  primary key (app_id, uri)
);

create table app_scopes (
  app_id bigint not null references apps (app_id),
  scope text not null,
  primary key (app_id, scope)
);

create table quota_overrides (
  app_id bigint not null references apps (app_id),
  request_type text not null,
  per_minute bigint not null,
  primary key (app_id, request_type)
);

-- The names by which apps (open_id) and owners of apps (union_id) know a person.
create table pseudonyms (
  kind text not null,
  holder_id bigint not null,
  person_id bigint not null references people (person_id),
  pseudonym text not null unique,
  primary key (kind, holder_id, person_id)
);

create table grants (
  grant_id bigint primary key,
  app_id bigint not null references apps (app_id),
  person_id bigint not null references people (person_id),
  open_id text not null,
  created_at bigint not null,
  exchanged_at bigint,
  touched_at bigint not null,
  ended_at bigint,
  end_cause text
);
create index grants_by_person on grants (person_id, app_id);
create index grants_by_app on grants (app_id);
create index grants_unexchanged on grants (created_at) where exchanged_at is null and ended_at is null;

create table grant_scopes (
  grant_id bigint not null references grants (grant_id),
  scope text not null,
  position integer not null,
  spent_on bigint,
  primary key (grant_id, scope)
);
create index grant_scopes_by_request on grant_scopes (spent_on) where spent_on is not null;

create table codes (
  code_hash {bytes} primary key,
  grant_id bigint not null references grants (grant_id),
  redirect_uri text not null,
  challenge text,
  expires_at bigint not null,
  used_at bigint
);
create index codes_by_end on codes (expires_at);
create index codes_by_grant on codes (grant_id);

create table tokens (
  token_hash {bytes} primary key,
  kind text not null,
  app_id bigint not null references apps (app_id),
  grant_id bigint references grants (grant_id),
  created_at bigint not null,
  expires_at bigint not null,
  replaced_at bigint,
  successor {bytes}
);
create index tokens_by_grant on tokens (grant_id);
create index tokens_by_end on tokens (expires_at);

create table requests (
  request_id bigint primary key,
  grant_id bigint not null references grants (grant_id),
  app_id bigint not null references apps (app_id),
  person_id bigint not null references people (person_id),
  format text not null,
  categories text not null,
  category_key text not null,
  status text not null,
  attempt integer not null,
  applied_at bigint not null,
  collecting_at bigint,
  ready_at bigint,
  expires_at bigint,
  ended_at bigint,
  failure text,
  failure_detail text,
  idempotency_key text
);
create unique index requests_by_idempotency on requests (grant_id, idempotency_key) where idempotency_key is not null;
create index requests_by_grant on requests (grant_id, applied_at);
create index requests_by_app on requests (app_id, applied_at);
create index requests_to_expire on requests (expires_at) where status = 'ready';
create index requests_ended on requests (ended_at) where ended_at is not null;

-- The key of an archive. Without its row the bytes in the vault are noise.
create table archives (
  request_id bigint primary key references requests (request_id),
  attempt integer not null,
  object text not null unique,
  sealed_key {bytes} not null,
  size bigint not null,
  sha256 text not null,
  created_at bigint not null
);

create table jobs (
  job_id bigint primary key,
  lane text not null,
  payload text not null,
  priority integer not null,
  run_at bigint not null,
  lease_until bigint,
  leased_by text,
  attempt integer not null,
  max_attempts integer not null,
  dedupe_key text unique,
  last_error text,
  dead_at bigint,
  created_at bigint not null
);
create index jobs_due on jobs (lane, priority desc, run_at, job_id) where dead_at is null;
create index jobs_dead on jobs (dead_at) where dead_at is not null;

create table schedules (
  name text primary key,
  next_at bigint not null
);

create table deliveries (
  delivery_id bigint primary key,
  app_id bigint not null references apps (app_id),
  event text not null,
  body text not null,
  created_at bigint not null,
  attempts integer not null,
  last_status integer,
  last_error text,
  delivered_at bigint,
  given_up_at bigint
);
create index deliveries_by_app on deliveries (app_id, created_at);
create index deliveries_by_age on deliveries (created_at);

create table audit (
  audit_id bigint primary key,
  at bigint not null,
  actor text not null,
  action text not null,
  app_id bigint,
  person_id bigint,
  grant_id bigint,
  request_id bigint,
  detail text not null
);
create index audit_by_time on audit (at);
create index audit_by_app on audit (app_id, at);
create index audit_by_person on audit (person_id, at);
