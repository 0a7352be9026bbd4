-- Every call of a webhook and what was answered, for the developer whose receiver it is.
create table delivery_attempts (
  delivery_id bigint not null references deliveries (delivery_id) on delete cascade,
  attempt integer not null,
  at bigint not null,
  -- Milliseconds until the answer, or until waiting for it was given up.
  took bigint not null,
  url text not null,
  status integer,
  error text,
  -- The first bytes of what was answered.
  answer text not null,
  primary key (delivery_id, attempt)
);
-- What an app wants of its webhook, and how its receiver does. Without a row: nothing beyond the wire's own events, and well.
create table webhook_endpoints (
  app_id bigint primary key references apps (app_id),
  -- Events that the compatible wire does not have, comma separated.
  extra_events text not null,
  -- When the first of the calls failed that have failed ever since.
  failing_since bigint,
  -- When calls were stopped for it.
  stopped_at bigint
);
alter table requests add column expiring_told boolean not null default false;
