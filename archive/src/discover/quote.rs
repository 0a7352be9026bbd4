//! Names and values as SQL and TOML want them written.

use crate::catalogue::Engine;

/// Words that PostgreSQL, SQLite, MySQL or MariaDB take for their own in one place or another.
const WORDS: &str = " abort accessible action add after all alter always analyse analyze and any array as asc asensitive asymmetric attach authorization \
autoincrement before begin between bigint binary bit blob boolean both by call cascade case cast change char character check coalesce \
collate collation column commit concurrently condition conflict constraint continue convert create cross cube cume_dist current \
current_catalog current_date current_role current_schema current_time current_timestamp current_user cursor database databases day_hour \
day_microsecond day_minute day_second dec decimal declare default deferrable deferred delayed delete delete_domain_id dense_rank desc \
describe detach deterministic distinct distinctrow div do do_domain_ids double drop dual each else elseif empty enclosed end escape escaped \
except exclude exclusive exists exit explain extract fail false fetch filter first first_value float float4 float8 following for force \
foreign freeze from full fulltext function general generated get glob grant greatest group grouping groups having high_priority \
hour_microsecond hour_minute hour_second if ignore ignore_domain_ids ignore_server_ids ilike immediate in index indexed infile initially \
inner inout insensitive insert instead int int1 int2 int3 int4 int8 integer intersect interval into io_after_gtids io_before_gtids is isnull \
iterate join json_table key keys kill lag last last_value lateral lead leading least leave left like limit linear lines load localtime \
localtimestamp lock long longblob longtext loop low_priority manual master_bind master_heartbeat_period master_ssl_verify_server_cert match \
materialized maxvalue mediumblob mediumint mediumtext middleint minute_microsecond minute_second mod modifies national natural nchar no \
no_write_to_binlog none normalize not nothing notnull nth_value ntile null nullif nulls numeric of offset on only optimize optimizer_costs \
option optionally or order others out outer outfile over overlaps overlay page_checksum parallel parse_vcol_expr partition percent_rank \
placing plan position pragma preceding precision primary procedure purge qualify query raise range rank read reads real recursive \
ref_system_id references regexp reindex release rename repeat replace require resignal restrict return returning revoke right rlike rollback \
row row_number rownum rows savepoint schema schemas second_microsecond select sensitive separator session_user set setof show signal similar \
slow smallint some spatial specific sql sql_big_result sql_calc_found_rows sql_small_result sqlexception sqlstate sqlwarning ssl starting \
stats_auto_recalc stats_persistent stats_sample_pages stored straight_join substring symmetric system table tablesample temp temporary \
terminated text then ties time timestamp tinyblob tinyint tinytext to trailing transaction treat trigger trim true unbounded undo union \
unique unlock unsigned update usage use user using utc_date utc_time utc_timestamp vacuum values varbinary varchar varcharacter variadic \
varying verbose view virtual when where while window with within without write xmlattributes xmlconcat xmlelement xmlexists xmlforest \
xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable xor year_month zerofill ";

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name in backticks, as MySQL has names.
pub(super) fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A name in this engine's quotes.
pub(super) fn quoted_for(engine: Engine, name: &str) -> String {
    if engine == Engine::Mysql { backticked(name) } else { quoted(name) }
}

/// A name as a query of this engine has it: in quotes only where it would be read as something else without.
pub(super) fn identifier(engine: Engine, name: &str) -> String {
    let mut letters = name.bytes();
    let plain = letters.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    // Only PostgreSQL folds what is not quoted; the others take capitals as they are.
    let folded = engine == Engine::Postgres;
    let plain = plain
        || (!folded
            && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    if plain && !WORDS.contains(&format!(" {} ", name.to_ascii_lowercase())) { name.to_owned() } else { quoted_for(engine, name) }
}

/// A value in single quotes, for engines that take a backslash as it stands.
pub(super) fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A value in single quotes, for MySQL, where a backslash begins an escape.
pub(super) fn escaped(value: &str) -> String {
    literal(&value.replace('\\', "\\\\"))
}

/// A string of TOML.
pub(super) fn toml(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for letter in text.chars() {
        escape(letter, &mut written);
    }
    written.push('"');
    written
}

/// A string of TOML over several lines, which begins and ends with a line break.
pub(super) fn toml_lines(text: &str) -> String {
    let mut written = String::from("\"\"\"\n");
    let mut quotes = 0;
    for letter in text.chars() {
        match letter {
            '"' if quotes < 2 => {
                quotes += 1;
                written.push('"');
                continue;
            }
            '\n' => written.push('\n'),
            other => escape(other, &mut written),
        }
        quotes = 0;
    }
    written.push_str("\"\"\"");
    written
}

fn escape(letter: char, written: &mut String) {
    match letter {
        '"' => written.push_str("\\\""),
        '\\' => written.push_str("\\\\"),
        '\n' => written.push_str("\\n"),
        '\t' => written.push_str("\\t"),
        '\r' => written.push_str("\\r"),
        other if other.is_control() => written.push_str(&format!("\\u{:04X}", u32::from(other))),
        other => written.push(other),
    }
}

/// Text for a comment: one line.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, postgres, sqlite) in [
            ("orders", "orders", "orders"),
            ("order", "\"order\"", "\"order\""),
            ("Orders", "\"Orders\"", "Orders"),
            ("Order", "\"Order\"", "\"Order\""),
            ("Order Details", "\"Order Details\"", "\"Order Details\""),
            ("a\"b", "\"a\"\"b\"", "\"a\"\"b\""),
            ("1st", "\"1st\"", "\"1st\""),
            ("größe", "\"größe\"", "\"größe\""),
        ] {
            assert_eq!(identifier(Engine::Postgres, name), postgres);
            assert_eq!(identifier(Engine::Sqlite, name), sqlite);
            let mysql = sqlite.replace("a\"\"b", "a\"b").trim_matches('"').to_owned();
            let mysql = if mysql == sqlite { mysql } else { format!("`{mysql}`") };
            assert_eq!(identifier(Engine::Mysql, name), mysql);
        }
    }

    #[test]
    fn mysql_has_backticks_and_backslashes() {
        assert_eq!(identifier(Engine::Mysql, "a`b"), "`a``b`");
        assert_eq!(identifier(Engine::Mysql, "rank"), "`rank`");
        assert_eq!(escaped("it's a \\"), "'it''s a \\\\'");
    }

    #[test]
    fn toml_reads_back_what_is_written() {
        let hostile =
            ["a", "\"\"\"", "\"\"\"\"\"\"", "\\", "a\\\"b", "\u{1}\u{7f}\t\r", "ü\u{2028}", "'''", "select \"a\"\n  from \"b\""];
        for text in hostile {
            let read: toml::Table = format!("a = {}\nb = {}", toml(text), toml_lines(text)).parse().unwrap();
            assert_eq!(read["a"].as_str(), Some(text));
            assert_eq!(read["b"].as_str(), Some(text));
        }
    }
}
