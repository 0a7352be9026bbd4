//! The last seven weeks of the demonstration's portal, told by the functions behind its pages.

use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use ::platform::accounts::{self, Account, NewDeveloper, NewStaff, Role};
use ::platform::applications::case::Evidence;
use ::platform::applications::decide::{self, Decided, Outcome, Verdict};
use ::platform::applications::{self, Application, questions, review};
use ::platform::apps::{self, App, AppDetails, AppStatus, Change, Details, OwnerKind, PlatformKind, Product, Revision, Site};
use ::platform::audit::Actor;
use ::platform::organisations::{self, Organisation, Seat};
use ::platform::tickets::{self, Ticket, Topic};
use ::platform::uploads::{self, NewUpload, Purpose};
use ::platform::{Millis, Platform, properties};
use anyhow::Context;
use serde_json::json;

use super::cast::{DEVELOPER, PASSWORD, STAFF};
use super::words::{self, Wish};

/// How long before now it begins.
pub(super) const LENGTH: Duration = Duration::from_secs(49 * DAY);
const DAY: u64 = 86_400;

/// Everybody and everything that the story needs at hand.
struct Story {
    /// With the clock of the past.
    past: Arc<Platform>,
    now: Millis,
    staff: Vec<Account>,
}

/// An organisation with its site.
struct House {
    organisation: Organisation,
    site: &'static str,
}

/// Tells it, from [`LENGTH`] ago to `now`.
pub(super) async fn tell(past: &Arc<Platform>, now: Millis) -> anyhow::Result<()> {
    let mut story = Story { past: Arc::clone(past), now, staff: Vec::new() };
    let (first, second) = (0, 1);
    story.gather_staff().await?;
    let dana = story.developer(DEVELOPER, "Dana Whitfield").await?;
    let emil = story.developer("emil@lumenlabs.example", "Emil Sørensen").await?;
    let finn = story.developer("finn@lumenlabs.example", "Finn Aaltonen").await?;
    let gus = story.developer("gus@lumenlabs.example", "Gus Marchetti").await?;
    let organisation = organisations::create(past, &dana, "Lumen Labs").await?;
    let lumen = House { organisation, site: "lumenlabs.example" };
    let lumen_id = lumen.organisation.organisation_id;
    organisations::invite(past, &dana, lumen_id, &emil.email, Seat::Admin, None).await?;
    story.accept(&emil).await?;
    story.prove(&dana, &lumen).await?;

    // The first app, and how it should go.
    let (atlas, copy) = story.app(&dana, &lumen, &words::ATLAS).await?;
    let atlas_review = story.submit_app(&dana, &atlas, &copy).await?;
    let atlas_application = story.apply(&dana, &atlas, &lumen, &words::ATLAS).await?;
    story.on(46);
    story.approve_app(first, &atlas_review).await?;
    let atlas_application = story.review(first, &atlas_application).await?;
    story.on(40);
    let text = "Clear mockups, and every scope is explained. Welcome.";
    story.decide(first, &atlas_application, yes, text).await?;
    for family in story.families(&words::ATLAS) {
        apps::switch_on(past, dana.actor(), atlas.app_id, &family).await?;
    }

    // Others come.
    story.on(39);
    let mut others = Vec::new();
    for (organisation, site, wish) in words::OTHERS {
        let account = story.developer(&format!("{}@{site}", wish.address), wish.applicant).await?;
        let organisation = organisations::create(past, &account, organisation).await?;
        let house = House { organisation, site };
        story.prove(&account, &house).await?;
        others.push((account, house, wish));
    }
    let [research, switchboard, shelf_of_all, coach] = others.as_slice() else { anyhow::bail!("four others were expected") };

    // One that is approved with a condition, and one that is refused twice over.
    story.on(38);
    let (watchlight, copy) = story.app(&emil, &lumen, &words::WATCHLIGHT).await?;
    let watchlight_review = story.submit_app(&emil, &watchlight, &copy).await?;
    let watchlight_application = story.apply(&emil, &watchlight, &lumen, &words::WATCHLIGHT).await?;
    story.on(35);
    story.approve_app(second, &watchlight_review).await?;
    let watchlight_application = story.review(second, &watchlight_application).await?;
    story.on(34);
    let (vault, copy) = story.app(&dana, &lumen, &words::VAULT).await?;
    let vault_review = story.submit_app(&dana, &vault, &copy).await?;
    let vault_application = story.apply(&dana, &vault, &lumen, &words::VAULT).await?;
    story.on(31);
    let due_at = (now + Duration::from_secs(20 * DAY)).0;
    let condition = "Name in your privacy policy how long the letters are kept.";
    let conditions =
        |family: &str| Outcome { family: family.to_owned(), verdict: Verdict::Conditions { text: condition.to_owned(), due_at } };
    story.decide(second, &watchlight_application, conditions, "A good use of little data.").await?;
    for family in story.families(&words::WATCHLIGHT) {
        apps::switch_on(past, emil.actor(), watchlight.app_id, &family).await?;
    }
    // Handed in so long ago that its limit is over.
    let (account, house, wish) = research;
    let (app, copy) = story.app(account, house, wish).await?;
    story.submit_app(account, &app, &copy).await?;
    let late = story.apply(account, &app, house, wish).await?;
    story.on(30);
    story.review(first, &late).await?;
    story.refuse_app(first, &vault_review, "SITE_MISMATCH", "The site shows Clip Atlas; Clipvault is not on it yet.").await?;
    let vault_application = story.review(first, &vault_application).await?;
    story.on(27);
    let reason =
        "A backup of posts and of what was watched does not need the messages of others. Ask for the two narrower scopes.";
    let no = |family: &str| Outcome {
        family: family.to_owned(),
        verdict: Verdict::Refuse { code: "SCOPE_NOT_NEEDED".to_owned(), text: reason.to_owned() },
    };
    story.decide(first, &vault_application, no, "We would be glad to see this again with narrower scopes.").await?;

    // Two that were live, and were stopped: one for a time, one for good.
    story.on(26);
    let mut stopped = Vec::new();
    for (name, status, wish) in
        [("Framekeeper", AppStatus::Suspended, words::MAP), ("Oldreel", AppStatus::Revoked, words::WATCHLIGHT)]
    {
        let wish = Wish { app: name, ..wish };
        let (app, copy) = story.app(&dana, &lumen, &wish).await?;
        let review = story.submit_app(&dana, &app, &copy).await?;
        let application = story.apply(&dana, &app, &lumen, &wish).await?;
        stopped.push((app, review, application, status));
    }
    story.on(22);
    for (_, review, application, _) in &stopped {
        story.approve_app(second, review).await?;
        let application = story.review(second, application).await?;
        story.decide(second, &application, yes, "").await?;
    }

    // What lies in the queue now.
    story.on(15);
    let (account, house, wish) = switchboard;
    let (app, copy) = story.app(account, house, wish).await?;
    story.submit_app(account, &app, &copy).await?;
    let looked_at = story.apply(account, &app, house, wish).await?;
    story.on(14);
    review::triage(past, &story.staff[second], looked_at.application_id, looked_at.version).await?;
    story.on(12);
    let (account, house, wish) = shelf_of_all;
    let (app, _) = story.app(account, house, wish).await?;
    let mistaken = story.apply(account, &app, house, wish).await?;
    story.on(11);
    let (shelf, _) = story.app(&emil, &lumen, &words::SHELF).await?;
    organisations::invite(past, &emil, lumen_id, &gus.email, Seat::Manager, Some(shelf.app_id)).await?;
    story.accept(&gus).await?;
    let asked = story.apply(&emil, &shelf, &lumen, &words::SHELF).await?;
    story.on(8);
    for (app, _, _, status) in &stopped {
        let details = Details { status: Some(*status), ..Details::default() };
        apps::change(past, Actor::Operator, &app.client_key, details).await?;
    }
    story.on(7);
    let asked = story.review(first, &asked).await?;
    let question = "Why is the history of direct messages needed, if only the clips in them are searched? Would the activity scope alone serve most people?";
    let (reviewer, fields) = (&story.staff[first], ["use_case".to_owned()]);
    questions::ask(past, reviewer, asked.application_id, asked.version, question, &fields).await?;
    story.on(6);
    let support = &story.staff[2];
    let text =
        "The name on the form lacks a word: it is Openshelf Cooperative Society. Can we correct it without starting again?";
    let about = Some((mistaken.app_id, Some(mistaken.application_id)));
    let ticket = story.ask(&shelf_of_all.0, Topic::Portability, "A wrong name on our application", text, about).await?;
    let text = "It is open for your correction; your place in the queue stays.";
    tickets::open_for_correction(past, support, ticket.ticket_id, ticket.version, text).await?;
    let (map, copy) = story.app(&dana, &lumen, &words::MAP).await?;
    organisations::invite(past, &dana, lumen_id, &finn.email, Seat::Manager, Some(map.app_id)).await?;
    story.accept(&finn).await?;
    let map_review = story.submit_app(&finn, &map, &copy).await?;
    let map_application = story.apply(&finn, &map, &lumen, &words::MAP).await?;
    let text = "We changed the address that events go to. Do deliveries that wait go to the old one or to the new one?";
    let ticket = story.ask(&emil, Topic::Webhooks, "A new address for events", text, Some((atlas.app_id, None))).await?;
    story.on(5);
    let answer = tickets::Writing {
        text: "Each delivery goes to the address that is in force when it is tried, so those that wait go to the new one."
            .to_owned(),
        ..Default::default()
    };
    tickets::answer(past, support, ticket.ticket_id, ticket.version, answer, false).await?;
    story.approve_app(second, &map_review).await?;
    story.review(second, &map_application).await?;
    story.on(4);
    let (account, house, wish) = coach;
    let (app, _) = story.app(account, house, wish).await?;
    story.apply(account, &app, house, wish).await?;
    story.on(3);
    let (garden, copy) = story.app(&dana, &lumen, &words::GARDEN).await?;
    story.submit_app(&dana, &garden, &copy).await?;
    story.apply(&dana, &garden, &lumen, &words::GARDEN).await?;
    story.on(1);
    let text = "Our launch is planned for the first of the month. Is anything missing that we could send now?";
    let about = Some((map.app_id, Some(map_application.application_id)));
    story.ask(&dana, Topic::Portability, "When will Momentmap be decided?", text, about).await?;
    apps::create_for(past, &dana, (OwnerKind::Organisation, lumen_id), "Reel Diary").await?;
    Ok(())
}

fn yes(family: &str) -> Outcome {
    Outcome { family: family.to_owned(), verdict: Verdict::Approve }
}

impl Story {
    /// Moves the clock on to so many days before now, in the morning; it never goes back.
    fn on(&self, days_ago: u64) {
        let then = self.now - Duration::from_secs(days_ago * DAY);
        self.past.clock.advance(then.since(self.past.now()));
    }

    async fn gather_staff(&mut self) -> anyhow::Result<()> {
        for member in STAFF {
            let role = Role::parse(member.role).with_context(|| format!("no role {}", member.role))?;
            let new = NewStaff {
                email: member.email.to_owned(),
                name: member.name.to_owned(),
                roles: vec![role],
                password: Some(PASSWORD.to_owned()),
            };
            let (account, _) = accounts::create_staff(&self.past, Actor::Operator, new, false).await?;
            self.staff.push(account);
        }
        Ok(())
    }

    /// Somebody signs up and proves their address.
    async fn developer(&self, email: &str, name: &str) -> anyhow::Result<Account> {
        let new = NewDeveloper { email: email.to_owned(), name: name.to_owned(), password: PASSWORD.to_owned() };
        let token = accounts::sign_up(&self.past, new).await?.map_err(|flaws| anyhow::anyhow!("{email}: {flaws:?}"))?;
        Ok(accounts::verify(&self.past, &token, PASSWORD).await?)
    }

    /// Proves that an organisation's site is its own.
    async fn prove(&self, account: &Account, house: &House) -> anyhow::Result<()> {
        let (past, owner) = (&self.past, house.organisation.organisation_id);
        let property = properties::add(past, account.actor(), owner, properties::Kind::Domain, house.site).await?;
        past.sites.tell(&property.value, &property.line(past));
        let proved = properties::verify(past, account.actor(), owner, property.property_id).await?;
        anyhow::ensure!(proved.verified_at.is_some(), "{} is not proved: {:?}", house.site, proved.problem);
        Ok(())
    }

    /// Somebody takes the one invitation they have.
    async fn accept(&self, account: &Account) -> anyhow::Result<()> {
        let now = self.past.now();
        let waiting = organisations::pending_of(&mut self.past.db.read().await?, account.account_id, now).await?;
        let first = waiting.first().with_context(|| format!("{} has no invitation", account.name))?;
        organisations::accept(&self.past, account, first.invitation_id).await?;
        Ok(())
    }

    async fn upload(&self, account: &Account, app: &App, purpose: Purpose, name: &str, bytes: &[u8]) -> anyhow::Result<i64> {
        let mut file = uploads::scratch(&self.past)?;
        file.write_all(bytes)?;
        file.rewind()?;
        let new = NewUpload {
            owner_id: app.owner_id,
            account_id: Some(account.account_id),
            app_id: Some(app.app_id),
            purpose,
            name: name.to_owned(),
        };
        Ok(uploads::take(&self.past, new, file).await?.upload_id)
    }

    /// An app with everything that its review asks for.
    async fn app(&self, account: &Account, house: &House, wish: &Wish) -> anyhow::Result<(App, Revision)> {
        let past = &self.past;
        let owner = (OwnerKind::Organisation, house.organisation.organisation_id);
        let app = apps::create_for(past, account, owner, wish.app).await?;
        let slug = wish.app.to_lowercase().replace(' ', "-");
        let site = house.site;
        let details = AppDetails {
            name: wish.app.to_owned(),
            category: wish.category.to_owned(),
            description: wish.description.to_owned(),
            terms_url: format!("https://{site}/{slug}/terms"),
            privacy_url: format!("https://{site}/{slug}/privacy"),
            platforms: vec![PlatformKind::Web],
            web: Site { url: format!("https://{site}/{slug}"), redirects: vec![format!("https://{site}/{slug}/callback")] },
            products: vec![Product::Login, Product::Portability],
            ..AppDetails::default()
        };
        let copy = apps::working_copy(&mut past.db.read().await?, app.app_id).await?;
        let copy = apps::save(past, account, app.app_id, copy.version, Change::Details(Box::new(details))).await?;
        let icon = self.upload(account, &app, Purpose::Icon, "icon.png", wish.icon).await?;
        let copy = apps::save(past, account, app.app_id, copy.version, Change::Icon(Some(icon))).await?;
        let text = "Login Kit shows who is connected. The Data Portability API fetches the person's own copy after they have read what is asked for; \
                    they can stop it on every page.";
        let copy = apps::save(past, account, app.app_id, copy.version, Change::Explanation(text.to_owned())).await?;
        Ok((app, copy))
    }

    async fn submit_app(&self, account: &Account, app: &App, copy: &Revision) -> anyhow::Result<Revision> {
        apps::review::submit(&self.past, account, app.app_id, copy.version)
            .await
            .with_context(|| format!("submitting {}", app.name))
    }

    async fn approve_app(&self, reviewer: usize, revision: &Revision) -> anyhow::Result<()> {
        let verdict = apps::review::Verdict::Approve;
        apps::review::decide(&self.past, &self.staff[reviewer], revision.revision_id, revision.version, verdict).await?;
        Ok(())
    }

    async fn refuse_app(&self, reviewer: usize, revision: &Revision, code: &str, text: &str) -> anyhow::Result<()> {
        let reason = apps::review::Reason { code: code.to_owned(), text: text.to_owned() };
        let verdict = apps::review::Verdict::Refuse(vec![reason]);
        apps::review::decide(&self.past, &self.staff[reviewer], revision.revision_id, revision.version, verdict).await?;
        Ok(())
    }

    /// The families that a wish asks for, as far as the catalogue has them; of an operator's own catalogue, the first.
    fn families(&self, wish: &Wish) -> Vec<String> {
        let known = apps::families(&self.past);
        let wished: Vec<String> = known.iter().filter(|family| wish.families.contains(&family.as_str())).cloned().collect();
        if wished.is_empty() { known.into_iter().take(1).collect() } else { wished }
    }

    /// An application is written and handed in.
    async fn apply(&self, account: &Account, app: &App, house: &House, wish: &Wish) -> anyhow::Result<Application> {
        let past = &self.past;
        let draft = applications::draft::begin(past, account, app).await?;
        let mockups = self.upload(account, app, Purpose::Mockups, "mockups.pdf", words::MOCKUPS).await?;
        let policy = self.upload(account, app, Purpose::Evidence, "data protection.pdf", words::POLICY).await?;
        let scopes: Vec<String> = self.families(wish).iter().map(|family| format!("{family}.ongoing")).collect();
        let set = json!({
            "applicant_name": account.name,
            "applicant_email": account.email,
            "organization_name": house.organisation.name,
            "organization_website": format!("https://{}", house.site),
            "app_id": app.app_id.to_string(),
            "scopes": scopes,
            "use_case": wish.use_case,
            "subject_requests": words::REQUESTS,
            "data_protection": words::PROTECTION,
        });
        let edits = applications::draft::Edits {
            set: set.as_object().cloned().unwrap_or_default(),
            add: vec![("mockups".to_owned(), mockups), ("data_protection_evidence".to_owned(), policy)],
            remove: Vec::new(),
        };
        let draft = applications::draft::save_draft(past, account, draft.application_id, draft.version, &edits).await?;
        let declarations = applications::submit::Declarations {
            accurate: true,
            english: true,
            checks: true,
            terms_version: past.settings.applications.terms.version.clone(),
            ..Default::default()
        };
        let (id, version) = (draft.application_id, draft.version);
        let seen = applications::submit::findings(past, &mut past.db.read().await?, &draft, &draft.answers()).await?;
        applications::submit::submit(past, account, id, version, &declarations, seen)
            .await
            .map_err(|refused| anyhow::anyhow!("submitting the application of {}: {refused} {refused:?}", app.name))
    }

    /// A reviewer takes an application and records what shows that the organisation exists.
    async fn review(&self, reviewer: usize, application: &Application) -> anyhow::Result<Application> {
        let (past, staff, id) = (&self.past, &self.staff[reviewer], application.application_id);
        let taken = review::take(past, staff, id, application.version).await?;
        for (kind, text) in [
            (Evidence::Register, "Found in the company register under the name on the form; active, annual report of last year."),
            (Evidence::Domain, "Registered to the organisation; the imprint gives the same address as the register."),
            (Evidence::Site, "Live; shows the product and who makes it."),
            (Evidence::Contact, "Answered a call to the number in the imprint."),
            (Evidence::Language, "Screens and policy read; all in English."),
        ] {
            review::record(past, staff, id, kind, text).await?;
        }
        Ok(applications::by_id(&mut past.db.read().await?, id).await?.unwrap_or(taken))
    }

    /// Somebody asks support, about an app and an application of theirs.
    async fn ask(
        &self,
        account: &Account,
        topic: Topic,
        subject: &str,
        text: &str,
        about: Option<(i64, Option<i64>)>,
    ) -> anyhow::Result<Ticket> {
        let new = tickets::New {
            topic: Some(topic),
            subject: subject.to_owned(),
            app_id: about.map(|(app_id, _)| app_id),
            application_id: about.and_then(|(_, application_id)| application_id),
            writing: tickets::Writing { text: text.to_owned(), ..Default::default() },
        };
        Ok(tickets::open(&self.past, account, new).await?)
    }

    async fn decide(
        &self,
        reviewer: usize,
        application: &Application,
        outcome: impl Fn(&str) -> Outcome,
        text: &str,
    ) -> anyhow::Result<()> {
        let families = applications::asked_families(&application.answers());
        let outcomes: Vec<Outcome> = families.iter().map(|family| outcome(family)).collect();
        let (past, id) = (&self.past, application.application_id);
        let decided = decide::decide(past, &self.staff[reviewer], id, application.version, &outcomes, text).await?;
        if let Decided::Waits(waiting) = decided {
            // A sensitive category: somebody else has to agree.
            let other = &self.staff[1 - reviewer];
            decide::decide(past, other, id, waiting.version, &outcomes, "").await?;
        }
        Ok(())
    }
}
