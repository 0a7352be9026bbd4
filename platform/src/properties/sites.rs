//! The way to outsiders' sites and their names: name servers, the guarded client, and how often both may be asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::xfer::Protocol;
use hickory_resolver::proto::{ProtoError, ProtoErrorKind};
use tokio::sync::Semaphore;

use super::{Found, Problem};
use crate::Fault;
use crate::clock::Millis;
use crate::failures::{Attempt, Failures};
use crate::settings::Ownership;
use crate::webhooks::{Got, Outbound, Refused};

/// Looks at once, of everybody together: they wait for outsiders, and must not take all connections.
const AT_ONCE: usize = 16;
/// How long one question to a name server waits for its answer.
const QUESTION: Duration = Duration::from_secs(2);

/// Looks at its website that one owner's applications may cause: each page before a submission is one. Enough for whoever mends their site and
/// looks again, too few to send us at somebody else's.
const LOOKS: (u32, Duration) = (30, Duration::from_secs(600));

/// TXT records by domain.
type Told = Mutex<HashMap<String, Vec<String>>>;

/// What looks at outsiders' sites.
#[derive(Clone, Debug)]
pub struct Sites {
    outbound: Outbound,
    /// None if the system names no name servers; then nothing can be looked up but by the system itself.
    resolver: Option<TokioResolver>,
    failures: Failures,
    looks: Failures,
    at_once: Arc<Semaphore>,
    timeout: Duration,
    /// TXT records by domain, for a demonstration that must not ask the network; nothing else answers then.
    told: Option<Arc<Told>>,
}

impl Sites {
    /// As the operator has set, but nothing is asked of the network: domains answer what [`Sites::tell`] says, and no page opens.
    pub fn from_memory(settings: &Ownership) -> Result<Self, Fault> {
        Ok(Self { told: Some(Arc::default()), ..Self::open(settings)? })
    }

    /// Puts a TXT record at a domain that answers from memory.
    pub fn tell(&self, domain: &str, record: &str) {
        if let Some(told) = &self.told {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.entry(domain.to_owned()).or_default().push(record.to_owned());
        }
    }

    /// As the operator has set.
    pub fn open(settings: &Ownership) -> Result<Self, Fault> {
        let word = &settings.word;
        if word.is_empty()
            || word.len() > 30
            || !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Err(Fault::Setting(format!(
                "ownership.word: {word:?} is not a word of lower-case letters, digits and hyphens"
            )));
        }
        let own = resolver(settings);
        let names = own.clone().filter(|_| !settings.resolvers.is_empty());
        let outbound = Outbound::for_sites(&settings.allow, names, settings.timeout.0)?;
        Ok(Self {
            outbound,
            resolver: own,
            failures: Failures::new(settings.attempts, settings.window.0),
            looks: Failures::new(LOOKS.0, LOOKS.1),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            timeout: settings.timeout.0,
            told: None,
        })
    }

    /// Begins a look that an owner asked for, or says how long to wait.
    pub(super) fn begin(&self, owner_id: i64, now: Millis) -> Result<Attempt, Duration> {
        self.failures.begin(&owner_id.to_string(), now)
    }

    /// Whether one more look may be had at the website of an owner's applications; it is counted, whatever comes of it.
    pub(crate) fn may_look(&self, owner_id: i64, now: Millis) -> bool {
        self.looks.begin(&owner_id.to_string(), now).is_ok()
    }

    /// Whether a host may be looked at by plain http.
    pub(super) fn may_be_plain(&self, host: &str) -> bool {
        self.outbound.lists(host)
    }

    /// The TXT records of a domain, each with its pieces joined.
    pub(super) async fn txt(&self, domain: &str) -> Result<Vec<String>, Found> {
        if let Some(told) = &self.told {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(told.get(domain).cloned().unwrap_or_default());
        }
        let Some(resolver) = &self.resolver else { return Err(Found::new(Problem::NoAnswer, "")) };
        let _permit = self.at_once.acquire().await;
        // With its root's point, so that no search domain is tried.
        let asked = tokio::time::timeout(self.timeout, resolver.txt_lookup(format!("{domain}."))).await;
        match asked {
            Err(_) => Err(Found::new(Problem::TooSlow, "")),
            Ok(Ok(records)) => Ok(records
                .iter()
                .map(|record| record.txt_data().iter().map(|piece| String::from_utf8_lossy(piece)).collect())
                .collect()),
            Ok(Err(fault)) => {
                let problem = match fault.proto().map(ProtoError::kind) {
                    Some(ProtoErrorKind::NoRecordsFound { response_code: ResponseCode::NoError, .. }) => return Ok(Vec::new()),
                    Some(ProtoErrorKind::NoRecordsFound { response_code: ResponseCode::NXDomain, .. }) => Problem::NoDomain,
                    Some(ProtoErrorKind::Timeout) => Problem::TooSlow,
                    _ => Problem::NoAnswer,
                };
                tracing::debug!(%fault, "no TXT records");
                Err(Found::new(problem, ""))
            }
        }
    }

    /// One GET through the guard.
    pub(super) async fn get(&self, url: &str, most: usize) -> Result<Got, Refused> {
        if self.told.is_some() {
            return Err(Refused::Call("nothing is asked of the network here"));
        }
        let _permit = self.at_once.acquire().await;
        self.outbound.get(url, most).await
    }
}

fn resolver(settings: &Ownership) -> Option<TokioResolver> {
    let mut builder = if settings.resolvers.is_empty() {
        match TokioResolver::builder_tokio() {
            Ok(builder) => builder,
            Err(fault) => {
                tracing::warn!(%fault, "the system names no name servers: set ownership.resolvers, or no domain can be verified");
                return None;
            }
        }
    } else {
        let mut config = ResolverConfig::new();
        for address in &settings.resolvers {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                config.add_name_server(NameServerConfig::new(*address, protocol));
            }
        }
        TokioResolver::builder_with_config(config, TokioConnectionProvider::default())
    };
    let options: &mut ResolverOpts = builder.options_mut();
    // Who has just put the record there must not be told what was remembered from before.
    options.cache_size = 0;
    options.timeout = QUESTION;
    options.attempts = 2;
    Some(builder.build())
}
