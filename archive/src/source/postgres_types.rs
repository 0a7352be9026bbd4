//! PostgreSQL's types: how columns become cells, and how what we bind becomes parameters of the type that the server infers.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind};
use sqlx::{Postgres, Type, TypeInfo};

use super::Cell;
use crate::catalogue::Section;
use crate::catalogue::contents::Type as Told;
use crate::catalogue::sql::Bind;
use crate::subject::Subject;
use crate::write::{Binds, Edge, Failure, edge, nanos_per_unit, whole_days, whole_units};

/// Object identifiers of the server's own types; they never change.
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const BYTEA: u32 = 17;
    pub(super) const NAME: u32 = 19;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const TEXT: u32 = 25;
    pub(super) const OID: u32 = 26;
    pub(super) const JSON: u32 = 114;
    pub(super) const CIDR: u32 = 650;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const INET: u32 = 869;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const RECORD: u32 = 2249;
    pub(super) const UUID: u32 = 2950;
    pub(super) const JSONB: u32 = 3802;
}

/// Microseconds and days from 1970, where we count from, to 2000, where the server does.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;
/// The first moment and the first day that the server knows, in 4714 BC, as it counts.
const FIRST_MICROS: i64 = -211_813_488_000_000_000;
const FIRST_DAY: i32 = -2_451_545;

/// How the bytes of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Text,
    /// A numeric that the server wrote as text, so that no digit is lost.
    Number,
    Json,
    Jsonb,
    Uuid,
    Bytea,
    Timestamp,
    Date,
}

impl Form {
    /// What is written of it where the catalogue declares nothing.
    pub(super) fn kind(self) -> Told {
        match self {
            Self::Bool => Told::Boolean,
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => Told::Integer,
            Self::Float4 | Self::Float8 | Self::Number => Told::Number,
            Self::Text | Self::Uuid | Self::Bytea | Self::Timestamp | Self::Date => Told::String,
            Self::Json | Self::Jsonb => Told::Json,
        }
    }
}

/// What the server does for a type without a plain form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    None,
    Text,
    /// Text as the type itself writes it, where the cast to text adds something: `10.0.0.1`, not `10.0.0.1/32`.
    Output,
    Json,
}

/// How a column of this type is read, and what the server casts it to before.
pub(super) fn form(info: &PgTypeInfo) -> (Form, Cast) {
    let Some(oid) = info.oid() else { return (Form::Text, Cast::Text) };
    match oid.0 {
        oid::BOOL => (Form::Bool, Cast::None),
        oid::BYTEA => (Form::Bytea, Cast::None),
        oid::INT2 => (Form::Int2, Cast::None),
        oid::INT4 => (Form::Int4, Cast::None),
        oid::INT8 => (Form::Int8, Cast::None),
        oid::OID => (Form::Oid, Cast::None),
        oid::FLOAT4 => (Form::Float4, Cast::None),
        oid::FLOAT8 => (Form::Float8, Cast::None),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => (Form::Text, Cast::None),
        oid::JSON => (Form::Json, Cast::None),
        oid::JSONB => (Form::Jsonb, Cast::None),
        oid::UUID => (Form::Uuid, Cast::None),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => (Form::Timestamp, Cast::None),
        oid::DATE => (Form::Date, Cast::None),
        oid::NUMERIC => (Form::Number, Cast::Text),
        oid::INET | oid::CIDR => (Form::Text, Cast::Output),
        oid::RECORD => (Form::Json, Cast::Json),
        _ => match info.kind() {
            PgTypeKind::Array(_) | PgTypeKind::Composite(_) => (Form::Json, Cast::Json),
            PgTypeKind::Domain(inner) => match form(inner) {
                // The column arrives in the domain's own type, which the cast makes plain.
                (_, Cast::Json) => (Form::Json, Cast::Json),
                (form @ Form::Number, _) => (form, Cast::Text),
                _ => (Form::Text, Cast::Text),
            },
            _ => (Form::Text, Cast::Text),
        },
    }
}

/// Why bytes are no cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadCell {
    /// Text of a database that promises nothing about its encoding.
    NotUtf8,
    /// Another length than the type has.
    Malformed,
}

/// Reads a value in the server's binary form.
pub(super) fn cell(form: Form, bytes: &[u8]) -> Result<Cell<'_>, BadCell> {
    fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], BadCell> {
        bytes.try_into().map_err(|_| BadCell::Malformed)
    }
    fn text(bytes: &[u8]) -> Result<&str, BadCell> {
        std::str::from_utf8(bytes).map_err(|_| BadCell::NotUtf8)
    }
    Ok(match form {
        Form::Bool => Cell::Bool(fixed::<1>(bytes)? != [0]),
        Form::Int2 => Cell::Int(i16::from_be_bytes(fixed(bytes)?).into()),
        Form::Int4 => Cell::Int(i32::from_be_bytes(fixed(bytes)?).into()),
        Form::Int8 => Cell::Int(i64::from_be_bytes(fixed(bytes)?)),
        Form::Oid => Cell::Int(u32::from_be_bytes(fixed(bytes)?).into()),
        // By its own shortest digits: as a double 0.1 would be 0.10000000149011612.
        Form::Float4 => {
            let number = f32::from_be_bytes(fixed(bytes)?);
            Cell::Real(number.to_string().parse().unwrap_or(f64::from(number)))
        }
        Form::Float8 => Cell::Real(f64::from_be_bytes(fixed(bytes)?)),
        Form::Text => Cell::Text(text(bytes)?),
        Form::Number => Cell::Number(text(bytes)?),
        Form::Json => Cell::Json(text(bytes)?),
        Form::Jsonb => match bytes.split_first() {
            Some((1, json)) => Cell::Json(text(json)?),
            _ => return Err(BadCell::Malformed),
        },
        Form::Uuid => Cell::Uuid(fixed(bytes)?),
        Form::Bytea => Cell::Blob(bytes),
        Form::Timestamp => match i64::from_be_bytes(fixed(bytes)?) {
            i64::MAX => Cell::Text("infinity"),
            i64::MIN => Cell::Text("-infinity"),
            micros => Cell::Timestamp(micros.saturating_add(EPOCH_MICROS)),
        },
        Form::Date => match i32::from_be_bytes(fixed(bytes)?) {
            i32::MAX => Cell::Text("infinity"),
            i32::MIN => Cell::Text("-infinity"),
            days => Cell::Date(days.saturating_add(EPOCH_DAYS)),
        },
    })
}

/// A parameter in the server's binary form, of the type that the server inferred.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    info: PgTypeInfo,
    bytes: Vec<u8>,
}

impl Type<Postgres> for Parameter {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(sqlx::postgres::types::Oid(oid::TEXT))
    }
}

impl Encode<'_, Postgres> for Parameter {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.info.clone())
    }
}

/// Makes what is bound a parameter of this type, or says why it cannot be one.
pub(super) fn parameter(bind: &Bind, section: &Section, binds: &Binds, info: &PgTypeInfo) -> Result<Parameter, String> {
    let bytes = match (bind, binds.edge(bind)) {
        (Bind::Since | Bind::Until, Some(at)) => edge_bytes(section, at, info)?,
        (Bind::Since, None) => extreme(info, false)?,
        (Bind::Until, None) => extreme(info, true)?,
        (Bind::Subject | Bind::Key(_), _) => {
            let name = match bind {
                Bind::Key(name) => name,
                _ => "subject",
            };
            let value = binds.value(bind).ok_or_else(|| format!("nothing fills :{name}"))?;
            subject_bytes(name, value, info)?
        }
    };
    Ok(Parameter { info: info.clone(), bytes })
}

fn is_text(info: &PgTypeInfo) -> bool {
    let by_oid = info.oid().is_some_and(|oid| matches!(oid.0, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME));
    by_oid || info.name().eq_ignore_ascii_case("citext")
}

fn subject_bytes(name: &str, subject: &Subject, info: &PgTypeInfo) -> Result<Vec<u8>, String> {
    let oid = info.oid().map_or(0, |oid| oid.0);
    let too_small = || format!("the value of :{name} is larger than {} can hold: write :{name}::bigint", info.name());
    match (subject.integer(), oid) {
        _ if is_text(info) => return Ok(subject.as_str().into()),
        (Some(number), oid::INT8) => return Ok(number.to_be_bytes().into()),
        (Some(number), oid::INT4) => {
            return i32::try_from(number).map(|number| number.to_be_bytes().into()).map_err(|_| too_small());
        }
        (Some(number), oid::INT2) => {
            return i16::try_from(number).map(|number| number.to_be_bytes().into()).map_err(|_| too_small());
        }
        (Some(number), oid::NUMERIC) => return Ok(numeric(number)),
        (None, oid::UUID) => {
            if let Some(uuid) = subject.uuid() {
                return Ok(uuid.into());
            }
        }
        _ => {}
    }
    Err(format!(
        ":{name} is compared with {}, which does not fit its type: cast it in the query, as in :{name}::bigint",
        info.name()
    ))
}

/// A numeric: groups of four decimal digits after a header of four shorts.
fn numeric(number: i64) -> Vec<u8> {
    let mut groups = Vec::new();
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        groups.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    let sign: u16 = if number < 0 { 0x4000 } else { 0 };
    let mut bytes = Vec::with_capacity(8 + 2 * groups.len());
    bytes.extend_from_slice(&(groups.len() as i16).to_be_bytes());
    bytes.extend_from_slice(&(groups.len() as i16 - 1).to_be_bytes());
    bytes.extend_from_slice(&sign.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    for group in groups.iter().rev() {
        bytes.extend_from_slice(&group.to_be_bytes());
    }
    bytes
}

/// An edge of the range, in the type that it is compared with.
fn edge_bytes(section: &Section, at: jiff::Timestamp, info: &PgTypeInfo) -> Result<Vec<u8>, String> {
    let oid = info.oid().map_or(0, |oid| oid.0);
    match oid {
        // What is before the server's first moment is before everything.
        oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let micros = whole_units(at, 1_000) - EPOCH_MICROS;
            return Ok(if micros < FIRST_MICROS { i64::MIN } else { micros }.to_be_bytes().into());
        }
        oid::DATE => {
            let days = whole_days(at) - EPOCH_DAYS;
            return Ok(if days < FIRST_DAY { i32::MIN } else { days }.to_be_bytes().into());
        }
        _ => {}
    }
    let words = |failure: Failure| match failure {
        Failure::Query(words) => words,
        other => other.to_string(),
    };
    // Whole units where only whole ones can be stored.
    let whole =
        || match section.time_unit().as_ref().and_then(nanos_per_unit) {
            Some(nanos) => edge(section, at).map_err(words).map(|edge| match edge {
                Edge::Int(units) => units,
                Edge::Real(_) | Edge::Text(_) => whole_units(at, nanos),
            }),
            None => Err("nothing says what the numbers of the column of `time` count: write time_from = \"unix_ms\" or another"
                .to_owned()),
        };
    match (oid, edge(section, at)) {
        (oid::INT8, _) => Ok(whole()?.to_be_bytes().into()),
        (oid::INT4, _) => Ok((whole()?.clamp(i32::MIN.into(), i32::MAX.into()) as i32).to_be_bytes().into()),
        (oid::NUMERIC, _) => Ok(numeric(whole()?)),
        (oid::FLOAT8, Ok(Edge::Int(units))) => Ok((units as f64).to_be_bytes().into()),
        (oid::FLOAT8, Ok(Edge::Real(units))) => Ok(units.to_be_bytes().into()),
        (_, Err(failure)) => Err(words(failure)),
        _ => Err(format!(":since and :until are compared with {}: compare a time, a date or a number, or cast it", info.name())),
    }
}

/// The least and the greatest value of a type, so that a query without a range keeps its plan.
fn extreme(info: &PgTypeInfo, greatest: bool) -> Result<Vec<u8>, String> {
    let pick = |least: Vec<u8>, most: Vec<u8>| if greatest { most } else { least };
    match info.oid().map_or(0, |oid| oid.0) {
        // For times these are -infinity and infinity.
        oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INT8 => Ok(pick(i64::MIN.to_be_bytes().into(), i64::MAX.to_be_bytes().into())),
        oid::DATE | oid::INT4 => Ok(pick(i32::MIN.to_be_bytes().into(), i32::MAX.to_be_bytes().into())),
        oid::INT2 => Ok(pick(i16::MIN.to_be_bytes().into(), i16::MAX.to_be_bytes().into())),
        oid::FLOAT8 => Ok(pick(f64::NEG_INFINITY.to_be_bytes().into(), f64::INFINITY.to_be_bytes().into())),
        oid::FLOAT4 => Ok(pick(f32::NEG_INFINITY.to_be_bytes().into(), f32::INFINITY.to_be_bytes().into())),
        // Servers before 14 know no infinite numeric; ten to the 120,000th is beyond any time.
        oid::NUMERIC => {
            let sign = if greatest { [0, 0] } else { [0x40, 0] };
            let mut bytes = vec![0, 1, 0x75, 0x30];
            bytes.extend_from_slice(&sign);
            bytes.extend_from_slice(&[0, 0, 0, 1]);
            Ok(bytes)
        }
        // Which text is the greatest depends on the collation: rows might be missed, silently.
        _ => Err(format!(":since and :until are compared with {}: compare a time, a date or a number, or cast it", info.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::SubjectType;

    #[test]
    fn malformed_bytes_are_no_cells() {
        for form in [
            Form::Bool,
            Form::Int2,
            Form::Int4,
            Form::Int8,
            Form::Oid,
            Form::Float4,
            Form::Float8,
            Form::Uuid,
            Form::Timestamp,
            Form::Date,
        ] {
            assert_eq!(cell(form, &[0; 3]), Err(BadCell::Malformed), "{form:?}");
        }
        assert_eq!(cell(Form::Jsonb, b""), Err(BadCell::Malformed));
        assert_eq!(cell(Form::Jsonb, b"\x02{}"), Err(BadCell::Malformed));
        assert_eq!(cell(Form::Text, b"\xff"), Err(BadCell::NotUtf8));
        assert_eq!(cell(Form::Float4, &0.1f32.to_be_bytes()), Ok(Cell::Real(0.1)));
    }

    #[test]
    fn numerics_in_binary() {
        assert_eq!(numeric(0), [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(numeric(-12_345), [0, 2, 0, 1, 0x40, 0, 0, 0, 0, 1, 0x09, 0x29]);
    }

    #[test]
    fn a_subject_that_does_not_fit_is_refused() {
        let info = |oid| PgTypeInfo::with_oid(sqlx::postgres::types::Oid(oid));
        let fits = |value: &Subject, oid| subject_bytes("subject", value, &info(oid));
        let large = Subject::parse(SubjectType::Integer, "5000000000").unwrap();
        assert!(fits(&large, oid::INT4).unwrap_err().contains(":subject::bigint"));
        assert!(fits(&large, oid::UUID).is_err());
        assert!(fits(&large, oid::INT8).is_ok());
        let text = Subject::parse(SubjectType::Text, "ada").unwrap();
        assert!(fits(&text, oid::INT8).is_err());
    }
}
