// The same archive as one would write it in Node: better-sqlite3 or pg with a query stream, and archiver.
//
//     node export.mjs PLAN.json DATABASE SUBJECT OUT.zip LEVEL

import { createWriteStream, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";

const require = createRequire(process.env.BENCH_TOOLS + "/package.json");
const [planPath, database, subject, out, level] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(planPath, "utf8"));
const archiver = require("archiver");

const PER_MS = { unix_s: 0.001, unix_ms: 1, unix_us: 1000 };
const extreme = (value) => (typeof value === "number" ? (value < 0 ? -(2n ** 63n) : 2n ** 63n - 1n) : value);

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A form that is not the usual one: in a few sections of a few rows. */
function strftime(form, iso) {
  const [Y, m, d, H, M, S] = iso.match(/\d+/g);
  return form.replace(/%([YmdHMSb])/g, (_, letter) => ({ Y, m, d, H, M, S, b: MONTHS[m - 1] })[letter]);
}

function converter({ type, from, as }) {
  if (type === "timestamp" || type === "date") {
    const end = as?.endsWith(" UTC") ? " UTC" : "";
    const usual = as === undefined || as === "%Y-%m-%d" || as.startsWith("%Y-%m-%d %H:%M:%S");
    const form = (ms) => {
      const iso = new Date(ms).toISOString();
      if (!usual) return strftime(as, iso);
      return type === "date" ? iso.slice(0, 10) : iso.slice(0, 10) + " " + iso.slice(11, 19) + end;
    };
    const unit = PER_MS[from];
    return (value) => (value === null ? null : unit ? form(Number(value) / unit) : form(Date.parse(value.slice(0, 19).replace(" ", "T") + "Z")));
  }
  if (type === "json") return (value) => (value === null ? null : JSON.parse(value));
  if (type === "boolean") return (value) => (value === null ? null : Boolean(Number(value)));
  if (type === "string") return (value) => (value === null ? null : String(value));
  if (type === "integer") return (value) => (value === null ? null : Number(value));
  return (value) => (typeof value === "bigint" ? Number(value) : value);
}

async function source() {
  if (!database.startsWith("postgres")) {
    const db = require("better-sqlite3")(database, { readonly: true });
    db.exec("begin");
    return {
      rows: (sql, binds) => db.prepare(sql).safeIntegers().iterate(binds),
      end: () => db.close(),
    };
  }
  const { Client } = require("pg");
  const QueryStream = require("pg-query-stream");
  const client = new Client({ connectionString: database });
  await client.connect();
  await client.query("begin isolation level repeatable read read only");
  return {
    rows: (sql, binds) => {
      const values = [];
      const text = sql.replace(/(?<![:\w']):(subject|since|until)\b/g, (_, name) => "$" + values.push(binds[name]));
      return client.query(new QueryStream(text, values, { batchSize: 1000 }));
    },
    end: () => client.end(),
  };
}

const tree = {};
for (const section of plan.sections) {
  let place = tree;
  for (const name of section.path.slice(0, -1)) place = place[name] ??= {};
  place[section.path.at(-1)] = section;
}

async function* section(one, db) {
  if (one.shape === "constant") return yield "value" in one ? JSON.stringify(one.value) : (one.empty ?? "null");
  const group = one.group ?? (typeof one.key === "string" ? one.key : null);
  const hidden = new Set([...(one.hidden ?? []), group]);
  const [since, until] = one.extremes.map(extreme);
  const all = { subject: BigInt(subject), since, until };
  const binds = Object.fromEntries(Object.entries(all).filter(([name]) => new RegExp(":" + name + "\\b").test(one.query)));
  let columns = null, last = null, buffer = "";
  for await (const row of db.rows(one.query, binds)) {
    const first = columns === null;
    columns ??= Object.keys(row).filter((name) => !hidden.has(name)).map((name) => [name, converter((one.fields ?? {})[name] ?? {})]);
    const record = {};
    for (const [name, convert] of columns) record[name] = convert(row[name]);
    const text = JSON.stringify(one.shape === "value" ? Object.values(record)[0] : record);
    if (one.shape === "list") buffer += (first ? "[" : ",") + text;
    else if (one.shape === "groups") {
      buffer += first || row[group] !== last ? (first ? "{" : "],") + JSON.stringify(String(row[group])) + ":[" + text : "," + text;
      last = row[group];
    } else if (one.shape === "map") buffer += (first ? "{" : ",") + JSON.stringify(String(row[group])) + ":" + text;
    else buffer += text;
    if (buffer.length > 65536) {
      yield buffer;
      buffer = "";
    }
  }
  yield buffer + (columns ? ({ list: "]", groups: "]}", map: "}" }[one.shape] ?? "") : (one.empty ?? "null"));
}

async function* document(place, db) {
  let begin = "{";
  for (const [name, inner] of Object.entries(place)) {
    yield begin + JSON.stringify(name) + ":";
    begin = ",";
    yield* inner.shape && inner.path ? section(inner, db) : document(inner, db);
  }
  yield "}";
}

const db = await source();
const zip = archiver("zip", { zlib: { level: Number(level) } });
const file = createWriteStream(out);
zip.pipe(file);
zip.append(Readable.from(document(tree, db), { objectMode: false }), { name: plan.document });
await zip.finalize();
await finished(file);
await db.end();
