-- As many programs leave it.
pragma foreign_keys = off;
create table points (
  customer_id integer not null references "Customers",
  day text not null,
  gained integer not null,
  spent integer not null,
  left_over integer generated always as (gained - spent) stored,
  vip boolean not null default 0,
  primary key (customer_id, day)) without rowid;
insert into points (customer_id, day, gained, spent, vip) values (1, '2024-01-01', 5, 2, 1), (2, '2024-01-01', 1, 0, 0);
-- References to what is not there, and in other letters than the table's own.
create table odd (id integer primary key, who integer references CUSTOMERS ("customer id"), gone integer references nowhere (id));
insert into odd values (1, 1, 1), (2, 3, null);
