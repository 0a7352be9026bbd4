//! What a PostgreSQL database says of itself, from its catalogs: they know what the information schema leaves out.

use std::collections::HashMap;

use sqlx::{Executor, PgConnection, Row};

use super::schema::{Column, ColumnKind, ForeignKey, Schema, Table};

/// Schemas that hold people's tables; those of extensions are known by the dependency. An heir is read with the table that it is of, but for columns that
/// are its own.
const TABLES: &str = "
    select c.oid::bigint as oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
           has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage') as readable,
           case
             when c.relkind in ('v', 'f') then null
             when c.relkind = 'p' then (
               select coalesce(sum(case when k.reltuples < 0 then pg_relation_size(k.oid) / 100 else k.reltuples end), 0)::bigint
               from pg_partition_tree(c.oid) p join pg_class k on k.oid = p.relid
               where p.isleaf)
             when c.reltuples < 0 then pg_relation_size(c.oid) / 100
             else c.reltuples::bigint
           end as rows
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp%'
      and not c.relispartition
      and (
        not exists (select 1 from pg_inherits i where i.inhrelid = c.oid)
        or exists (
          select 1 from pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attinhcount = 0))
      and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by n.nspname <> 'public', n.nspname, c.relname";

const COLUMNS: &str = "
    select a.attrelid::bigint as oid, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as declared,
           not a.attnotnull as nullable, t.typtype::text as typtype, t.typcategory::text as category,
           b.typname::text as base, b.typtype::text as base_kind,
           exists (
             select 1 from pg_opclass o join pg_am m on m.oid = o.opcmethod
             where m.amname = 'btree' and o.opcdefault and o.opcintype = b.oid) as sorts
    from pg_attribute a
    join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    where a.attnum > 0 and not a.attisdropped
    order by a.attrelid, a.attnum";

const KEYS: &str = "
    select c.conrelid::bigint as oid, c.contype::text as kind, c.confrelid::bigint as to_oid,
           (select array_agg(a.attname::text order by k.ord)
            from unnest(c.conkey) with ordinality k (num, ord)
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num) as columns,
           (select array_agg(a.attname::text order by k.ord)
            from unnest(c.confkey) with ordinality k (num, ord)
            join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num) as to_columns
    from pg_constraint c
    where c.contype in ('p', 'f')
    order by c.conrelid, c.conname";

/// Whose partition or heir each table is: keys are often declared on partitions only.
const HEIRS: &str = "select inhrelid::bigint as heir, inhparent::bigint as parent from pg_inherits";

const INDEXES: &str = "
    select i.indrelid::bigint as oid, i.indisunique as is_unique, i.indpred is not null as partial,
           (select array_agg(a.attname::text order by k.ord)
            from unnest(i.indkey::int2[]) with ordinality k (num, ord)
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num
            where k.ord <= i.indnkeyatts) as columns
    from pg_index i
    where i.indisvalid
    order by i.indrelid, i.indexrelid";

const VIEWS: &str = "
    select distinct r.ev_class::bigint as oid, d.refobjid::bigint as over
    from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
    where d.refobjid <> r.ev_class";

/// Reads the schema, of all schemas that are not the server's own.
pub(super) async fn describe(connection: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    let mut tables: Vec<Table> = Vec::new();
    let mut places: HashMap<i64, usize> = HashMap::new();
    for row in connection.fetch_all(TABLES).await? {
        let (schema, kind): (String, String) = (row.try_get("schema")?, row.try_get("kind")?);
        let rows: Option<i64> = row.try_get("rows")?;
        places.insert(row.try_get("oid")?, tables.len());
        tables.push(Table {
            schema: (schema != "public").then_some(schema),
            name: row.try_get("name")?,
            view: matches!(kind.as_str(), "v" | "m").then(Vec::new),
            readable: row.try_get("readable")?,
            columns: Vec::new(),
            primary_key: Vec::new(),
            unique: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            rows: rows.and_then(|rows| u64::try_from(rows).ok()),
        });
    }
    for row in connection.fetch_all(COLUMNS).await? {
        let Some(at) = places.get(&row.try_get::<i64, _>("oid")?).copied() else { continue };
        let (base, typtype): (String, String) = (row.try_get("base")?, row.try_get("typtype")?);
        let nullable = row.try_get::<bool, _>("nullable")? || tables[at].view.is_some();
        tables[at].columns.push(Column {
            name: row.try_get("name")?,
            declared: row.try_get("declared")?,
            kind: kind(&base, row.try_get("sorts")?),
            nullable,
            folds_case: base == "citext",
            domain: typtype == "d",
        });
    }
    let mut heirs: HashMap<i64, i64> = HashMap::new();
    for row in connection.fetch_all(HEIRS).await? {
        heirs.insert(row.try_get("heir")?, row.try_get("parent")?);
    }
    let place_of = |oid: i64| {
        let mut oid = oid;
        // Deeper than this nobody partitions; it also ends what never would.
        for _ in 0..16 {
            match (places.get(&oid), heirs.get(&oid)) {
                (Some(at), _) => return Some(*at),
                (None, Some(parent)) => oid = *parent,
                (None, None) => return None,
            }
        }
        None
    };
    for row in connection.fetch_all(KEYS).await? {
        let oid: i64 = row.try_get("oid")?;
        let columns: Vec<String> = row.try_get::<Option<_>, _>("columns")?.unwrap_or_default();
        if row.try_get::<String, _>("kind")? == "p" {
            if let Some(at) = places.get(&oid) {
                tables[*at].primary_key = columns;
            }
            continue;
        }
        let Some(at) = place_of(oid) else { continue };
        let Some(to) = place_of(row.try_get("to_oid")?) else { continue };
        if columns.iter().any(|name| tables[at].column(name).is_none()) {
            continue;
        }
        let to_columns: Vec<String> = row.try_get::<Option<_>, _>("to_columns")?.unwrap_or_default();
        let key = ForeignKey { columns, to, to_columns, declared: true };
        if !tables[at].foreign_keys.contains(&key) {
            tables[at].foreign_keys.push(key);
        }
    }
    for row in connection.fetch_all(INDEXES).await? {
        let Some(at) = places.get(&row.try_get::<i64, _>("oid")?).copied() else { continue };
        let parts: Vec<Option<String>> = row.try_get::<Option<_>, _>("columns")?.unwrap_or_default();
        let plain: Vec<String> = parts.iter().map_while(Clone::clone).collect();
        if row.try_get("partial")? || plain.is_empty() {
            continue;
        }
        if row.try_get("is_unique")? && plain.len() == parts.len() && plain != tables[at].primary_key {
            tables[at].unique.push(plain.clone());
        }
        tables[at].indexes.push(plain);
    }
    for row in connection.fetch_all(VIEWS).await? {
        let over = places.get(&row.try_get::<i64, _>("over")?).copied();
        let at = places.get(&row.try_get::<i64, _>("oid")?).copied();
        if let (Some(at), Some(over)) = (at, over)
            && let Some(view) = tables.get_mut(at).and_then(|table| table.view.as_mut())
        {
            view.push(over);
        }
    }
    Ok(Schema { tables })
}

fn kind(base: &str, sorts: bool) -> ColumnKind {
    match base {
        "int2" | "int4" | "int8" | "oid" => ColumnKind::Integer,
        "numeric" | "float4" | "float8" => ColumnKind::Number,
        "bool" => ColumnKind::Boolean,
        "text" | "varchar" | "citext" | "name" => ColumnKind::Text,
        "bpchar" => ColumnKind::PaddedText,
        "uuid" => ColumnKind::Uuid,
        "timestamp" | "timestamptz" => ColumnKind::Timestamp,
        "date" => ColumnKind::Date,
        "json" | "jsonb" => ColumnKind::Json,
        "bytea" => ColumnKind::Bytes,
        "tsvector" | "tsquery" => ColumnKind::Technical,
        _ if sorts => ColumnKind::Other,
        _ => ColumnKind::Unordered,
    }
}
