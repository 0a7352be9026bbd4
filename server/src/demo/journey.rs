//! The whole job as a story: a person signs in and decides, an app asks, the archive is built, downloaded and opened. Over
//! HTTP, with the client that we give to developers; nothing here reaches into the server but the count for the bar.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use client::webhook::{self, Notice};
use client::{Client, DataFormat, ErrorCode, Pkce, RequestId, random_state};
use tokio::time::{MissedTickBehavior, interval, timeout};
use url::Url;

use super::browser::{Browser, Outcome, Visit};
use super::receiver::Receiver;
use super::tell::{Tell, clipped, size, span, thousands};

/// How far the server says it is with an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Built {
    /// Rows written.
    pub(crate) rows: u64,
    /// Bytes of JSON or text before compression.
    pub(crate) bytes: u64,
    /// Sections that are done.
    pub(crate) sections_done: u64,
    /// Sections in all; 0 before the building begins.
    pub(crate) sections_total: u64,
}

/// Asks the server how far it is.
pub(crate) type Gauge = Box<dyn Fn(RequestId) -> Built + Send + Sync>;

/// Milliseconds since the epoch.
pub(crate) type Now = Box<dyn Fn() -> i64 + Send + Sync>;

/// What the journey needs.
pub(crate) struct JourneyPlan {
    /// Where the server listens.
    pub(crate) base_url: String,
    /// What the platform calls itself.
    pub(crate) platform: String,
    /// What the app calls itself.
    pub(crate) app: String,
    /// Its key.
    pub(crate) client_key: String,
    /// Its secret.
    pub(crate) client_secret: String,
    /// The person, as the story names them.
    pub(crate) person: String,
    /// Name at sign-in.
    pub(crate) username: String,
    /// Password at sign-in.
    pub(crate) password: String,
    /// What the app asks for and the person allows.
    pub(crate) scopes: Vec<String>,
    /// What the request asks for.
    pub(crate) categories: Vec<String>,
    /// The form of the archive.
    pub(crate) format: DataFormat,
    /// The app's own server; its addresses are registered with the app.
    pub(crate) receiver: Receiver,
    /// For the bar.
    pub(crate) gauge: Gauge,
    /// Rows that there will be, if anybody knows; else the bar counts sections.
    pub(crate) expected_rows: Option<u64>,
    /// Time, for the signature's age and for telling how long things took.
    pub(crate) now: Now,
    /// Where the archive goes.
    pub(crate) archive: PathBuf,
    /// Where the catalogue's sections are in a document.
    pub(crate) sections: Vec<Vec<String>>,
    /// How long the building may take.
    pub(crate) limit: Duration,
    /// A certificate to trust, when the server has one of its own.
    pub(crate) root_pem: Option<Vec<u8>>,
}

/// Webhooks come from a queue; on a busy machine it may take a moment.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(30);

/// Makes the journey and tells it. Gives back the app's own server, which people may still come back to, and the app's link to
/// the consent page, for whoever wants to see it in a browser.
pub(crate) async fn run(plan: JourneyPlan, tell: &mut Tell) -> anyhow::Result<(Receiver, Url)> {
    let mut app = Client::builder(&plan.base_url, &plan.client_key, &plan.client_secret)
        .poll(Duration::from_millis(100), Duration::from_millis(500));
    if let Some(pem) = &plan.root_pem {
        app = app.root_certificate(pem);
    }
    let journey = Journey { app: app.build()?, plan, tell };
    journey.make().await
}

struct Journey<'a> {
    app: Client,
    plan: JourneyPlan,
    tell: &'a mut Tell,
}

impl Journey<'_> {
    async fn make(mut self) -> anyhow::Result<(Receiver, Url)> {
        let token = self.consent().await.context("signing in and consent")?;
        let request = self.ask(&token).await.context("asking for the data")?;
        self.wait(&token, request).await.context("waiting for the archive")?;
        self.download(&token, request).await.context("downloading the archive")?;
        self.ask_again(&token).await.context("asking a second time")?;
        self.open().context("reading the archive")?;
        let scopes: Vec<_> = self.plan.scopes.iter().map(String::as_str).collect();
        let link = self.app.authorize_url(&scopes, &self.plan.receiver.redirect_uri(), "demo", None);
        Ok((self.plan.receiver, link))
    }

    /// The person's part, and the exchange of the code. Gives the access token.
    async fn consent(&mut self) -> anyhow::Result<String> {
        let plan = &self.plan;
        self.tell.step(&format!("{} signs in at {} and decides what {} may have", plan.person, plan.platform, plan.app));
        let (state, pkce) = (random_state(), Pkce::random());
        let redirect_uri = plan.receiver.redirect_uri();
        let scopes: Vec<_> = plan.scopes.iter().map(String::as_str).collect();
        let link = self.app.authorize_url(&scopes, &redirect_uri, &state, Some(&pkce));
        let person = Browser::new(&plan.username, &plan.password, &plan.scopes, plan.root_pem.as_deref())?;
        let (back, visits) = person.authorize(link, &redirect_uri).await?;
        // Redirects are left out: what counts is what was opened or sent, and where it led.
        let mut first = None;
        for visit in &visits {
            let opened = first.take().unwrap_or(visit);
            let led_to = match visit.outcome {
                Outcome::Onward => {
                    first = Some(opened);
                    continue;
                }
                Outcome::SignIn => "the sign-in page",
                Outcome::Consent => "the consent page",
                Outcome::Back => "back to the app, with a code",
            };
            self.tell.call(&told(opened), led_to);
        }
        let callback = client::parse_callback(back.as_str(), &state)?;
        self.tell.fact("asked for", &scopes.join(", "));
        self.tell.good("allowed", &callback.scopes.join(", "));

        self.tell.step(&format!("{} trades the code for tokens", plan.app));
        let tokens = self.app.exchange(&callback.code, &redirect_uri, Some(&pkce)).await?;
        self.tell.call("POST /v2/oauth/token/", "200");
        self.tell.fact("access token", &format!("{}  for {}", clipped(&tokens.access_token), span(tokens.expires_in)));
        self.tell.fact("refresh token", &format!("{}  for {}", clipped(&tokens.refresh_token), span(tokens.refresh_expires_in)));
        let user = self.app.user_info(&tokens.access_token, &["open_id", "display_name"]).await?;
        self.tell.call("GET  /v2/user/info/", "200");
        let text = |name: &str| user.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        ensure!(text("open_id") == tokens.open_id, "user info names another person than the tokens do");
        self.tell.fact("the person", &format!("{}, known to this app alone as {}", text("display_name"), text("open_id")));
        Ok(tokens.access_token)
    }

    async fn ask(&mut self, token: &str) -> anyhow::Result<RequestId> {
        let plan = &self.plan;
        self.tell.step(&format!("{} asks for the data", plan.app));
        let categories: Vec<_> = plan.categories.iter().map(String::as_str).collect();
        let request = self.app.add_once(token, plan.format, &categories, &random_state()).await?;
        self.tell.call("POST /v2/user/data/add/", &format!("200, request {request}"));
        self.tell.fact("categories", &format!("{}, as {}", categories.join(", "), plan.format.as_str()));
        Ok(request)
    }

    async fn wait(&mut self, token: &str, request: RequestId) -> anyhow::Result<()> {
        let plan = &self.plan;
        self.tell.step(&format!("Portward builds the archive from the database of {}", plan.platform));
        let began = (plan.now)();
        let bar = self.tell.bar(Some(plan.expected_rows.unwrap_or(1)));
        let ready = self.app.wait(token, request, plan.limit);
        tokio::pin!(ready);
        // Ten times a second looks like motion and costs nothing.
        let mut tick = interval(Duration::from_millis(100));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut built = Built::default();
        let outcome = loop {
            tokio::select! {
                outcome = &mut ready => break outcome,
                _ = tick.tick() => {
                    let now = (plan.gauge)(request);
                    if now.rows >= built.rows {
                        built = now;
                    }
                    match plan.expected_rows {
                        Some(_) => bar.set_position(built.rows),
                        None => {
                            bar.set_length(built.sections_total.max(1));
                            bar.set_position(built.sections_done);
                        }
                    }
                    bar.set_message(format!("{} rows, {}", thousands(built.rows), size(built.bytes)));
                }
            }
        };
        bar.finish_and_clear();
        outcome?;
        self.tell.call("POST /v2/user/data/check/", "200, status downloading, which is the wire's word for ready");
        self.tell.fact("built in", &seconds((plan.now)() - began));

        let picked = plan.receiver.wait_for(|call| {
            let read = webhook::read(&plan.client_secret, &call.signature, &call.body, (plan.now)() / 1000);
            match read {
                Ok(call) if call.notice == Notice::DownloadReady(request) => Some(Ok(())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }
        });
        match timeout(WEBHOOK_LIMIT, picked).await {
            Ok(read) => read.context("the webhook that came")?,
            Err(_) => bail!("no webhook came within {} s", WEBHOOK_LIMIT.as_secs()),
        }
        self.tell.good("webhook", "portability.download.ready has come, and its signature is good");
        Ok(())
    }

    async fn download(&mut self, token: &str, request: RequestId) -> anyhow::Result<()> {
        let plan = &self.plan;
        self.tell.step(&format!("{} downloads the archive", plan.app));
        let began = (plan.now)();
        let bar = self.tell.bar(None);
        let watch = |have: u64, of: Option<u64>| {
            bar.set_message(match of {
                Some(of) => format!("{} of {}", size(have), size(of)),
                None => size(have),
            })
        };
        let got = self.app.download_watched(token, request, &plan.archive, watch).await;
        bar.finish_and_clear();
        let got = got?;
        ensure!(got.hash_announced, "the server announced no hash to compare the archive with");
        self.tell.call("POST /v2/user/data/download/", &format!("200, {} in {}", size(got.bytes), seconds((plan.now)() - began)));
        self.tell.good("SHA-256", &format!("{}…, as announced", &got.sha256[..16]));
        self.tell.fact("saved as", &plan.archive.display().to_string());
        Ok(())
    }

    /// Once means once. Asked for in the other form: the very same request would be taken for a lost answer and given its id.
    async fn ask_again(&mut self, token: &str) -> anyhow::Result<()> {
        let plan = &self.plan;
        let portability: Vec<_> = plan.scopes.iter().filter(|scope| scope.starts_with("portability.")).collect();
        if !portability.iter().all(|scope| scope.ends_with(".single")) {
            return Ok(());
        }
        self.tell.step(&format!("{} asks for more, and may not: {} allowed one copy", plan.app, plan.person));
        let other = if plan.format == DataFormat::Json { DataFormat::Text } else { DataFormat::Json };
        let categories: Vec<_> = plan.categories.iter().map(String::as_str).collect();
        match self.app.add(token, other, &categories).await {
            Err(error) if error.is(ErrorCode::ScopeNotAuthorized) => {
                let refusal = error.refusal().context("a refusal")?;
                self.tell.call("POST /v2/user/data/add/", &format!("{} {}", refusal.status, refusal.code));
                self.tell.fact("it says", &refusal.message);
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(id) => bail!("a scope for one copy was used twice: request {id}"),
        }
    }

    fn open(&mut self) -> anyhow::Result<()> {
        let plan = &self.plan;
        self.tell.step("What is in it");
        let contents = archive::read::inspect_sections(&plan.archive, plan.sections.iter().cloned())?;
        super::inside::tell(&contents, self.tell);
        Ok(())
    }
}

/// Method and address, without the query: it is long, and the code in it is a secret.
fn told(visit: &Visit) -> String {
    format!("{:<4} {}", visit.method, visit.url.path())
}

fn seconds(millis: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let seconds = millis as f64 / 1000.0;
    format!("{seconds:.2} s")
}
