//! PostgreSQL.
use super::{Later, Reading, Source};
use crate::catalogue::{Fault, Section, SourceSpec};
use crate::subject::SubjectType;
use crate::write::Failure;
use tokio::sync::OwnedSemaphorePermit;
pub(super) struct PostgresSource;
impl PostgresSource {
    pub(super) fn new(_spec: &SourceSpec, _url: &str, _statements: usize) -> Result<Self, String> { Ok(Self) }
}
impl Source for PostgresSource {
    fn check<'a>(&'a self, _sections: Vec<&'a Section>, _subject: SubjectType) -> Later<'a, Vec<Fault>> { Box::pin(async { vec![] }) }
    fn begin<'a>(&'a self, _permit: OwnedSemaphorePermit) -> Later<'a, Result<Box<dyn Reading>, Failure>> { Box::pin(async { Err(Failure::Stopped) }) }
}
