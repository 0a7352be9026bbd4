-- What only the own API asks for: a range of time, and whether the archive tells of itself (manifest, schemas, README); and how far a running
-- request has come, told by whichever process runs it.
alter table requests add column since_at bigint;
alter table requests add column until_at bigint;
alter table requests add column documents boolean not null default false;
alter table requests add column progress text;
create index requests_by_pair on requests (app_id, person_id, applied_at);
