create schema crm;
create type crm.mood as enum ('good', 'bad');
create domain crm.stars as integer check (value between 1 and 5);
create table crm."Tickets" (
  id uuid primary key,
  customer integer not null references public."Customers" ("Customer ID"),
  mood crm.mood,
  tags text[],
  stars crm.stars,
  opened timestamptz not null,
  words tsvector,
  length integer generated always as (coalesce(array_length(tags, 1), 0)) stored);
insert into crm."Tickets" values
  ('00000000-0000-0000-0000-000000000001', 1, 'good', '{a,b}', 5, '2024-01-01T00:00:00Z', 'a'),
  ('00000000-0000-0000-0000-000000000002', 2, null, null, null, '2024-01-02T00:00:00Z', null);
-- The same name in two schemas.
create table crm.notes (id integer primary key, customer_id integer not null references public."Customers" ("Customer ID"), note text);
insert into crm.notes values (1, 2, 'calls often');
-- Partitioned, with the key of a part declared on the part alone.
create table events (id bigint not null, customer_id integer not null, at timestamptz not null, primary key (id, at)) partition by range (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
alter table events_2024 add foreign key (customer_id) references "Customers" ("Customer ID");
insert into events values (1, 1, '2024-05-01'), (2, 2, '2024-05-02'), (3, 1, '2024-05-03');
