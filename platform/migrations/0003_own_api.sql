-- What only the own API asks for: a range of time, and how far a running request has come, told by whichever process runs it.
alter table requests add column since_at bigint;
alter table requests add column until_at bigint;
alter table requests add column progress text;
