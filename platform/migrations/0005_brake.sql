-- The brake: what is stopped at once, by whom and why. A second person confirms or lifts it.
create table freezes (
  freeze_id bigint primary key,
  -- app, category, source or everything.
  what text not null,
  app_id bigint,
  -- Of the category or the source; empty for the other two.
  name text not null default '',
  reason text not null,
  -- What is stopped, in one spelling, while the freeze lives; null once it is lifted. Two living freezes never stop the same.
  living text unique,
  made_at bigint not null,
  -- A member of staff; null for the operator's command line.
  made_by bigint,
  due_at bigint not null,
  escalated_at bigint,
  confirmed_at bigint,
  confirmed_by bigint,
  lifted_at bigint,
  lifted_by bigint,
  lifted_why text not null default ''
);
create index freezes_by_time on freezes (made_at, freeze_id);

-- By which the operator's own programs prove who they are; kept as hashes.
create table service_tokens (
  token_id bigint primary key,
  token_hash {bytes} not null unique,
  name text not null,
  -- What it may do, comma separated.
  scopes text not null,
  created_at bigint not null,
  expires_at bigint,
  revoked_at bigint,
  used_at bigint
);

-- What the operator's own systems told of people, so that telling it twice changes nothing the second time.
create table person_events (
  event_key text primary key,
  token_id bigint not null,
  person_id bigint not null,
  kind text not null,
  ended bigint not null,
  at bigint not null
);
create index person_events_by_time on person_events (at);

-- Where a person is written to, if the operator or their provider told it.
alter table people add column email text;
