-- What the others have not: small numbers for truth, numbers without a sign, lists of words, bytes and bits.
create table points (
  customer_id integer not null,
  day date not null,
  gained integer not null,
  spent integer not null,
  left_over integer as (gained - spent) stored,
  vip boolean not null default 0,
  level tinyint(1),
  mood enum('good', 'bad'),
  tags set('a', 'b'),
  picture varbinary(20),
  taken time,
  season year,
  primary key (customer_id, day),
  foreign key (customer_id) references "Customers" ("Customer ID"));
insert into points (customer_id, day, gained, spent, vip, level, mood, tags, picture, taken, season) values
  (1, '2024-01-01', 5, 2, 1, 2, 'good', 'a,b', x'00ff', '12:30:00', 2024),
  (2, '2024-01-01', 1, 0, 0, 1, null, '', null, '-100:00:00', null);
-- A name that looks like an escape, and a reference by a text that folds case.
create table "back\slash`tick" (
  id bigint unsigned primary key,
  customer varchar(50) character set utf8mb4 collate utf8mb4_general_ci,
  "order" integer unsigned);
alter table "Customers" add column login varchar(50) character set utf8mb4 collate utf8mb4_general_ci unique;
update "Customers" set login = lower("Full Name") where "Customer ID" < 3;
alter table "back\slash`tick" add foreign key (customer) references "Customers" (login);
insert into "back\slash`tick" values (18446744073709551615, 'ANN', 1), (2, 'bob', 2), (3, null, 3);
