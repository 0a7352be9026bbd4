//! The person's keys in other databases, found once for each request.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::binds::Binds;
use super::intake::{Batch, Rows, plan_of};
use super::rules::plain;
use super::turns::Turns;
use super::{ExportError, Keyless, failed};
use crate::catalogue::{Catalogue, MAX_KEY_VALUES, Missing, Section, SubjectKey};
use crate::subject::Subject;

/// The values of each key that a request needs, in one order, each once.
#[derive(Default)]
pub(super) struct Keys {
    values: HashMap<String, Vec<Subject>>,
}

/// The keys that these sections need.
pub(super) fn needed<'c>(catalogue: &'c Catalogue, sections: &[&Section]) -> Vec<&'c SubjectKey> {
    let used = |key: &&SubjectKey| {
        let of = |section: &Section| catalogue.keys_of(section).iter().any(|used| used.name == key.name);
        sections.iter().flat_map(|section| section.queries()).any(of)
    };
    catalogue.keys().iter().filter(used).collect()
}

impl Keys {
    /// Finds them.
    pub(super) async fn find(
        keys: &[&SubjectKey],
        subject: &Subject,
        turns: &mut Turns<'_>,
        cancel: &CancellationToken,
    ) -> Result<Self, ExportError> {
        let mut found = Self::default();
        let asked = [Arc::new(Binds::new(subject.clone(), None, None))];
        for key in keys {
            let mut lent = turns.lend(&key.section).await?;
            let mut borrowed = lent.borrow(&key.section)?;
            let rows = Rows::few(Arc::new(key.section.clone()), MAX_KEY_VALUES);
            let read = async { borrowed.read(&key.section, &asked, rows).await.map_err(|failure| failed(&key.section, failure)) };
            let (names, batch) = lent.limits().watch(&key.section, cancel, read).await?.kept();
            lent.put(borrowed);
            turns.take_back(&key.section, lent).await?;
            found.values.insert(key.name.clone(), values(key, &names, &batch)?);
        }
        Ok(found)
    }

    /// All values of all keys.
    pub(super) fn all(&self) -> impl Iterator<Item = &Subject> {
        self.values.values().flatten()
    }

    /// The keys without a value that keep a section, or what is nested in it, from being asked for.
    pub(super) fn keyless(&self, catalogue: &Catalogue, section: &Section) -> Vec<Keyless> {
        let without = |of: &Section| -> Vec<String> {
            let keys = catalogue.keys_of(of).into_iter();
            keys.filter(|key| self.values.get(&key.name).is_none_or(Vec::is_empty)).map(|key| key.name.clone()).collect()
        };
        let own: Vec<Keyless> = without(section).into_iter().map(|key| Keyless { nest: None, key }).collect();
        if !own.is_empty() {
            // Where there are no rows, there are none within them.
            return own;
        }
        let nests = section.nests.iter();
        nests
            .flat_map(|nest| without(&nest.section).into_iter().map(|key| Keyless { nest: Some(nest.field.clone()), key }))
            .collect()
    }

    /// What a query is asked with: once, or once for each value of the key that may have many; not at all when the person has no value of a
    /// key that it needs.
    pub(super) fn runs(&self, catalogue: &Catalogue, section: &Section, binds: &Binds) -> Vec<Arc<Binds>> {
        let mut runs = vec![binds.clone()];
        for key in catalogue.keys_of(section) {
            let values = self.values.get(&key.name).map(Vec::as_slice).unwrap_or_default();
            runs = values.iter().flat_map(|value| runs.iter().map(|run| run.clone().with(&key.name, value.clone()))).collect();
        }
        runs.into_iter().map(Arc::new).collect()
    }
}

fn values(key: &SubjectKey, names: &[String], batch: &Batch) -> Result<Vec<Subject>, ExportError> {
    let invalid = |what: &'static str| ExportError::Key { key: key.name.clone(), what, missing: false };
    let mut values = Vec::with_capacity(batch.len());
    if batch.len() > 0 {
        let plan = plan_of(&key.section, names).map_err(|failure| failed(&key.section, failure))?;
        let at = plan.columns.first().map_or(0, |column| column.at);
        for row in 0..batch.len() {
            // No value is none.
            let Some(text) = plain(&batch.cell(row, at)).map(|text| text.into_owned()) else { continue };
            values.push(Subject::parse(key.kind, &text).ok_or_else(|| invalid("a value is not of its type"))?);
        }
    }
    if batch.repaired > 0 {
        return Err(invalid("a value is not UTF-8"));
    }
    values.sort_by(|a, b| a.integer().cmp(&b.integer()).then_with(|| a.as_str().cmp(b.as_str())));
    values.dedup();
    if values.len() > 1 && !key.many {
        return Err(invalid("the person has two values, and `many` is not set"));
    }
    if values.is_empty() && key.missing == Missing::Fail {
        return Err(ExportError::Key { key: key.name.clone(), what: "the person has no value", missing: true });
    }
    Ok(values)
}
