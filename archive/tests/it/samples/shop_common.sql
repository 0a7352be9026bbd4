create table addresses (id integer primary key, street text not null, city text);
create table staff (id integer primary key, name text not null);
create table categories (id integer primary key, name text not null, parent_id integer references categories (id));
create table products (id integer primary key, name text not null, category_id integer references categories (id));

create table "Customers" (
  "Customer ID" integer primary key,
  "Full Name" text not null,
  email text not null unique,
  password_hash text,
  "Referred By" integer references "Customers" ("Customer ID"),
  "Address ID" integer references addresses (id),
  support_id integer references staff (id));

create table orders (
  id integer primary key,
  customer_id integer not null references "Customers" ("Customer ID"),
  placed_at timestamp not null,
  total numeric(10, 2),
  "select" text,
  last_payment_id integer);
create index orders_of on orders (customer_id);

create table "Order Details" (
  order_id integer not null references orders (id),
  "line no" integer not null,
  product_id integer not null references products (id),
  quantity integer not null,
  primary key (order_id, "line no"));

create table returned (
  id integer primary key,
  order_id integer not null,
  line_no integer not null,
  reason text,
  foreign key (order_id, line_no) references "Order Details" (order_id, "line no"));

create table payments (
  id integer primary key,
  order_id integer not null references orders (id),
  "PaidOn" date,
  api_token text);

create table wishlist (
  customer_id integer not null references "Customers" ("Customer ID"),
  product_id integer not null references products (id),
  primary key (customer_id, product_id));

create table messages (
  id integer primary key,
  sender_id integer not null references "Customers" ("Customer ID"),
  receiver_id integer references "Customers" ("Customer ID"),
  body text,
  sent_at timestamp);

create table attachments (
  id integer primary key,
  message_id integer not null references messages (id),
  name text);

create table "Reviews" (id integer primary key, "CustomerID" integer, product_id integer references products (id), words text);

create table customer_profiles (
  customer_id integer primary key references "Customers" ("Customer ID"),
  bio text,
  settings json);

create table notes (customer_id integer not null references "Customers" ("Customer ID"), note text);

create table login_tokens (id integer primary key, customer_id integer not null references "Customers" ("Customer ID"), token text);

create table logins (
  id integer primary key,
  customer_id integer not null references "Customers" ("Customer ID"),
  logged_in_at bigint);

create view customer_orders as select o.customer_id, o.id, o.total from orders o;

insert into addresses values (1, 'Elm 1', 'Bonn'), (2, 'Oak 2', 'Gent'), (3, 'Fir 3', null);
insert into staff values (1, 'Sam');
insert into categories values (1, 'All', null), (2, 'Books', 1);
insert into products values (1, 'Novel', 2), (2, 'Map', 2), (3, 'Globe', 1);
insert into "Customers" values
  (1, 'Ann', 'ann@shop.example', 'x1', null, 1, 1),
  (2, 'Bob', 'bob@shop.example', 'x2', 1, 1, 1),
  (3, 'Cleo "C"', 'cleo@shop.example', 'x3', 1, null, null),
  (4, 'Dan', 'dan@shop.example', null, null, 3, null);
insert into orders values
  (10, 1, '2024-01-02 03:04:05', 12.50, 'a', 100), (11, 1, '2024-02-03 04:05:06', 1.00, null, null),
  (12, 2, '2024-03-04 05:06:07', 99.99, 'b', 101), (13, 3, '2024-04-05 06:07:08', null, null, null);
insert into "Order Details" values (10, 1, 1, 2), (10, 2, 2, 1), (11, 1, 3, 1), (12, 1, 1, 5), (13, 1, 2, 2);
insert into returned values (1, 10, 2, 'torn'), (2, 12, 1, null);
insert into payments values (100, 10, '2024-01-03', 't'), (101, 12, null, 't'), (102, 13, '2024-04-06', null);
insert into wishlist values (1, 2), (1, 3), (2, 2), (4, 1);
insert into messages values
  (1, 1, 2, 'hello', '2024-01-01 00:00:00'), (2, 2, 1, 'hi', null), (3, 3, 3, 'note to self', '2024-01-03 00:00:00'),
  (4, 1, null, 'to nobody', '2024-01-04 00:00:00');
insert into attachments values (1, 1, 'a.png'), (2, 2, 'b.png'), (3, 3, 'c.png');
insert into "Reviews" values (1, 1, 1, 'fine'), (2, 2, 1, 'bad'), (3, null, 2, 'nobody'), (4, 1, 2, 'good');
insert into customer_profiles values (1, 'I am Ann', '{"theme": "dark", "n": [1]}'), (3, null, null);
insert into notes values (1, 'prefers mornings'), (1, 'prefers mornings'), (2, 'tall');
insert into login_tokens values (1, 1, 'secret-1'), (2, 2, 'secret-2');
insert into logins values (1, 1, 1704067200000), (2, 1, 1704067200123), (3, 2, 1704153600000), (4, 3, null);
