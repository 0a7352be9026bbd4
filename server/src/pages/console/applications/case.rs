//! The whole case on one page: what was handed in and what changed, what was found, what was said, and what is to be done.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::accounts::{self, Role};
use platform::applications::case::{self, Decision, Evidence, EvidenceRow, Question};
use platform::applications::{self, Application, State as Standing, Version, canned, codes, decide, questions, queue, rows};
use platform::apps::{self, App};
use platform::db::Tx;
use platform::forms::Answers;
use platform::{Fault, Millis};

use super::tickets::{self, Concerned};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::Staff;
use crate::pages::cases::{self, Due, Names, OutcomeView, Remark, StepView};
use crate::pages::frame::{Frame, app_badge};
use crate::pages::parts::form::Field;
use crate::pages::parts::{Badge, Choice, Comment, Event, Form, Notice, Row, Summary, Thread, Timeline, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, moment};
use crate::state::State;

/// Earlier applications that are listed.
const EARLIER: i64 = 10;

/// The page.
#[derive(Template)]
#[template(path = "console/case.html")]
pub(super) struct CasePage {
    shell: Frame,
    form: Form,
    path: String,
    version: i64,
    app: String,
    owner: String,
    reference: String,
    badge: Badge,
    due: Option<Due>,
    usual: Option<Moment>,
    submitted: Moment,
    answer_due: Option<Moment>,
    notices: Vec<Notice>,
    clash: Option<Clash>,
    sensitive: bool,
    reviewer: String,
    own: bool,
    may: May,
    reviewers: Vec<Choice>,
    decided: Option<DecisionView>,
    waiting: Vec<DecisionView>,
    questions: Vec<QuestionView>,
    steps: Vec<StepView>,
    general: Thread,
    compared: String,
    changed: usize,
    remarks: Vec<Remark>,
    versions: Vec<VersionView>,
    declared: Summary,
    earlier: Vec<EarlierView>,
    side: Summary,
    timeline: Timeline,
    evidence: Vec<EvidenceView>,
    missing: Vec<&'static str>,
    families: Vec<FamilyForm>,
    texts: Vec<Choice>,
    question_texts: Vec<Choice>,
    fields: Vec<Choice>,
    codes: Vec<Choice>,
    internal: bool,
    tickets: Concerned,
}

impl CasePage {
    fn verdict(&self, part: &FamilyForm) -> Field {
        self.form.radios(&format!("verdict.{}", part.family), "Decision", &part.verdicts)
    }

    fn code(&self, part: &FamilyForm) -> Field {
        self.form.select(&format!("code.{}", part.family), "If refused: the reason", &self.codes).optional()
    }

    fn text(&self, part: &FamilyForm) -> Field {
        let field = self.form.area(&format!("text.{}", part.family), "If refused: in your words").optional().rows(3);
        field.help("Without words of yours the published text of the code is sent. With OTHER they are needed.")
    }

    fn conditions(&self, part: &FamilyForm) -> Field {
        self.form.area(&format!("conditions.{}", part.family), "If with conditions: what has to be done").optional().rows(3)
    }

    fn deadline(&self, part: &FamilyForm) -> Field {
        self.form.date(&format!("deadline.{}", part.family), "By when").optional()
    }

    fn canned(&self, part: &FamilyForm) -> Field {
        self.form.select(&format!("canned.{}", part.family), "Start from a text", &self.texts).optional()
    }

    fn comment(&self, field: &str) -> Field {
        self.form.area(&format!("comment.{field}"), "Comment").rows(3)
    }

    fn visible(&self, field: &str) -> Field {
        self.form.check(&format!("visible.{field}"), "The applicant sees it, at once")
    }

    fn evidence_field(&self, piece: &EvidenceView) -> Field {
        let field = if piece.tick {
            self.form.check(&piece.name, piece.label)
        } else {
            self.form.area(&piece.name, piece.label).rows(2)
        };
        let help =
            if piece.who.is_empty() { piece.help.to_owned() } else { format!("{} Recorded by {}.", piece.help, piece.who) };
        field.help(help.trim())
    }

    fn can_act(&self) -> bool {
        let may = &self.may;
        may.triage || may.take || may.ask || may.decide || may.record
    }
}

/// What somebody may do with the case as it stands.
#[derive(Clone, Copy, Debug, Default)]
struct May {
    triage: bool,
    take: bool,
    assign: bool,
    comment: bool,
    record: bool,
    conflict: bool,
    ask: bool,
    decide: bool,
    second: bool,
    revoke: bool,
}

/// What somebody was about to do when another came first.
pub(super) struct Clash {
    /// What they had written.
    pub(super) mine: Vec<OutcomeView>,
    /// Words that they had written.
    pub(super) words: String,
    /// What happened since.
    pub(super) since: Vec<Event>,
}

impl Clash {
    fn timeline(&self) -> Timeline {
        Timeline(self.since.clone())
    }
}

struct DecisionView {
    decision_id: i64,
    who: String,
    at: Moment,
    own: bool,
    text: String,
    outcomes: Vec<OutcomeView>,
    /// Set on a decision that a second reviewer can agree with.
    open: bool,
}

struct QuestionView {
    who: String,
    at: Moment,
    text: String,
    fields: Vec<String>,
    due: Moment,
    answered: Option<Moment>,
    answer: String,
    closed: bool,
    reminders: i32,
}

struct VersionView {
    number: i32,
    at: Moment,
    who: String,
    shown: bool,
    path: String,
}

struct EarlierView {
    path: String,
    app: String,
    reference: String,
    badge: Badge,
    at: Moment,
    scopes: String,
    reasons: Vec<(String, String, String)>,
}

struct EvidenceView {
    name: String,
    label: &'static str,
    help: &'static str,
    who: String,
    tick: bool,
}

/// The part of the decision's form that is about one family.
struct FamilyForm {
    family: String,
    title: String,
    scopes: String,
    verdicts: Vec<Choice>,
}

fn one<'a>(params: &'a Params, name: &'a str) -> &'a str {
    params.all(name).next().unwrap_or_default().trim()
}

/// What was done, by the word in the address.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "triage" => "It waits for a reviewer.",
        "take" => "The application is yours.",
        "assign" => "The application was given to them.",
        "comment" => "Your comment is there.",
        "evidence" => "The evidence is recorded.",
        "conflict" => "Your conflict of interest is recorded. You cannot decide about this application.",
        "ask" => "The question is on its way. The clock stands until it is answered.",
        "decide" => "The decision is made, and on its way to the applicant.",
        "waits" => "Your decision is recorded. A second reviewer has to agree before it takes effect.",
        "disagrees" => "The two decisions differ. Both are shown below; it takes effect when two agree.",
        "revoke" => "The approval is revoked. Its scopes are off.",
        _ => return None,
    })
}

/// `GET /console/applications/{case}`
pub(super) async fn show(
    With(state): With<State>,
    id: CallId,
    staff: Staff,
    Path(case): Path<String>,
    request: Request,
) -> Response {
    let page = Page::new(&state, &id);
    let Ok(params) = Params::parse(request.uri().query().unwrap_or_default().as_bytes()) else {
        return page.problem(StatusCode::BAD_REQUEST);
    };
    let Ok(application_id) = case.parse::<i64>() else { return page.problem(StatusCode::NOT_FOUND) };
    match load(&state, &staff, application_id, &params, None, None).await {
        Ok(Some(view)) => page.show(StatusCode::OK, &view),
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

/// Reads everything the page shows. `form` is what was typed, if something was refused.
pub(super) async fn load(
    state: &State,
    staff: &Staff,
    application_id: i64,
    params: &Params,
    form: Option<Form>,
    clash: Option<Clash>,
) -> Result<Option<CasePage>, Fault> {
    let platform = &state.platform;
    let texts = canned::texts(platform).await?;
    let mut tx = platform.db.read().await?;
    let Some(application) = applications::by_id(&mut tx, application_id).await?.filter(|it| it.submissions > 0) else {
        return Ok(None);
    };
    let Some(app) = apps::by_id(&mut tx, application.app_id).await? else { return Ok(None) };
    let mut names = Names::default();
    let reader = Reader { state, staff, application: &application, app: &app };
    let internal = reader.internal();
    let decisions = case::decisions(&mut tx, application_id).await?;
    let conflicts = case::conflicts(&mut tx, application_id).await?;
    let conflicted = case::is_conflicted(&mut tx, application_id, staff.account.account_id).await?;
    let waiting = case::waiting(&decisions, application.submissions, &conflicts);
    let recorded = case::evidence(&mut tx, application_id).await?;
    let may = reader.may(&waiting, conflicted);

    let versions = applications::versions(&mut tx, application_id).await?;
    let wanted: Option<i32> = one(params, "version").parse().ok();
    let Some(shown) = versions.iter().find(|version| Some(version.number) == wanted).or(versions.last()) else {
        return Ok(None);
    };
    let answers: Answers = serde_json::from_str(&shown.answers).unwrap_or_default();
    let (before, compared) = reader.compared(&mut tx, params, &versions, shown).await?;
    let asked = platform.forms.of(&application.form);
    let all: Vec<&Answers> = std::iter::once(&answers).chain(before.as_ref()).collect();
    let files = cases::files(&mut tx, asked, &all).await?;
    let mut steps = cases::steps(platform, asked, &answers, before.as_ref(), &files, "/console/uploads/");
    let remarks = cases::remarks(&shown.findings);
    let mut general = Vec::new();
    for comment in case::comments(&mut tx, application_id).await?.into_iter().filter(|comment| internal || comment.visible) {
        let view = Comment {
            who: names.of(&mut tx, comment.account_id).await?,
            at: Moment::minute(moment(comment.at)),
            text: comment.text,
            badge: Some(if comment.visible {
                Badge::new(Tone::Plain, "Applicant sees it")
            } else {
                Badge::new(Tone::Draft, "Internal")
            }),
            own: comment.account_id == staff.account.account_id,
            internal: !comment.visible,
            files: Vec::new(),
        };
        match steps.iter_mut().flat_map(|step| &mut step.fields).find(|field| field.name == comment.field) {
            Some(field) => field.comments.0.push(view),
            None => general.push(view),
        }
    }
    for field in steps.iter_mut().flat_map(|step| &mut step.fields) {
        field.findings = remarks.iter().filter(|remark| remark.field == field.name).cloned().collect();
    }
    let changed = steps.iter().flat_map(|step| &step.fields).filter(|field| field.has_changed()).count();

    let mut form = form.unwrap_or_default();
    for row in &recorded {
        let name = format!("evidence.{}", row.kind);
        // What was typed into another form of the page leaves these as they are recorded.
        if form.value("evidence").is_empty() {
            form.set(&name, if row.kind == Evidence::Language { "yes" } else { row.text.as_str() });
        }
    }
    let mut evidence = Vec::new();
    for kind in Evidence::ALL {
        evidence.push(reader.evidence(&mut tx, &mut names, *kind, &recorded).await?);
    }
    let mut waiting_views = Vec::new();
    for decision in waiting.iter().filter(|_| internal && !application.state.is_final()) {
        waiting_views.push(reader.decision(&mut tx, &mut names, decision, may.second).await?);
    }
    let decided = match decisions.iter().find(|decision| decision.in_force) {
        Some(decision) => Some(reader.decision(&mut tx, &mut names, decision, false).await?),
        None => None,
    };
    let asked_before = case::questions(&mut tx, application_id).await?;
    let mut question_views = Vec::new();
    for question in asked_before.iter().rev() {
        question_views.push(reader.question(&mut tx, &mut names, question).await?);
    }
    let events = rows::events(&mut tx, application_id).await?;
    let timeline = cases::timeline(&mut tx, &mut names, &events, internal, true).await?;
    let owner = cases::owner(&mut tx, &mut names, &application).await?;
    let reviewer = match application.assigned_to {
        Some(account_id) => names.of(&mut tx, account_id).await?,
        None => String::new(),
    };
    let mut reviewers = vec![Choice::new("", "Choose a reviewer")];
    for account in accounts::with_role(&mut tx, Role::Reviewer).await? {
        if Some(account.account_id) != application.assigned_to && !conflicts.iter().any(|it| it.account_id == account.account_id)
        {
            reviewers.push(Choice::new(account.account_id.to_string(), account.name));
        }
    }
    let mut version_views = Vec::new();
    for version in versions.iter().rev() {
        let who = match version.submitted_by {
            Some(account_id) => names.of(&mut tx, account_id).await?,
            None => "by the mailed link".to_owned(),
        };
        version_views.push(VersionView {
            number: version.number,
            at: Moment::minute(moment(version.submitted_at)),
            who,
            shown: version.number == shown.number,
            path: format!("{}?version={}#answers", super::path(application_id), version.number),
        });
    }
    let earlier = reader.earlier(&mut tx).await?;
    let tickets = tickets::of(&mut tx, staff, &application, platform.now()).await?;
    let side = reader.side(&mut tx, &owner).await?;
    let families = reader.families();
    let mut notices = reader.notices(&waiting_views, conflicted);
    if applications::case::missing(&recorded).contains(&Evidence::Register) && may.decide && families.is_empty() {
        notices.push(Notice::info("The application names no scope."));
    }
    let choice = |text: &canned::Canned, at: usize| Choice::new(at.to_string(), format!("{}: {}", text.code, text.title));
    let of = |questions: bool| {
        let first = Choice::new("", "Choose a text");
        let fitting = texts.iter().enumerate().filter(move |(_, text)| (text.code == "QUESTION") == questions);
        std::iter::once(first).chain(fitting.map(|(at, text)| choice(text, at))).collect::<Vec<_>>()
    };
    let mut known_codes = vec![Choice::new("", "Choose a reason")];
    known_codes.extend(codes::CODES.iter().map(|code| Choice::new(code.code, format!("{}: {}", code.code, code.title))));
    let fields = asked.fields().filter(|field| questions::can_open(field));
    Ok(Some(CasePage {
        shell: Frame::staff(state, staff).at("applications").done(done(one(params, "done"))),
        path: super::path(application_id),
        version: application.version,
        app: app.name.clone(),
        reference: application.reference(),
        badge: cases::badge(application.state, true),
        due: cases::due(platform, application.state, application.due_at, application.stopped_at),
        usual: application.usual_at.filter(|_| !application.state.is_final()).map(|at| cases::day(platform, at)),
        submitted: application.submitted_at.map(|at| Moment::minute(moment(at))).unwrap_or_default(),
        answer_due: application.answer_due_at.map(|at| cases::day(platform, at)),
        notices,
        clash,
        sensitive: application.sensitive,
        own: application.assigned_to == Some(staff.account.account_id),
        reviewer,
        may,
        reviewers,
        decided,
        waiting: waiting_views,
        questions: question_views,
        general: Thread(general),
        compared,
        changed,
        remarks,
        versions: version_views,
        declared: declared(shown),
        earlier,
        side,
        timeline: Timeline(timeline),
        evidence,
        missing: case::missing(&recorded).into_iter().map(Evidence::words).collect(),
        families,
        texts: of(false),
        question_texts: of(true),
        fields: fields.map(|field| Choice::new(field.name.clone(), field.label.clone())).collect(),
        codes: known_codes,
        internal,
        tickets,
        owner,
        steps,
        form,
    }))
}

/// What the applicant declared with a version.
fn declared(version: &Version) -> Summary {
    let said: BTreeMap<String, serde_json::Value> = serde_json::from_str(&version.declarations).unwrap_or_default();
    let words = |name: &str| match name {
        "accurate" => "All of it is accurate",
        "english" | "language" => "All of it is in an enabled language",
        "checks" => "Agrees to checks",
        _ => "",
    };
    let mut rows: Vec<Row> = Vec::new();
    for (name, value) in &said {
        match value {
            serde_json::Value::Bool(yes) if !words(name).is_empty() => {
                rows.push(Row::new(words(name)).text(if *yes { "Declared" } else { "Not declared" }));
            }
            serde_json::Value::Object(remarks) => {
                for (field, remark) in remarks.iter().filter_map(|(field, remark)| Some((field, remark.as_str()?))) {
                    rows.push(Row::new(format!("Remark on {field}")).text(remark));
                }
            }
            _ => {}
        }
    }
    rows.push(Row::new("Programme terms").text(format!("Version {}", version.terms_version)));
    Summary(rows)
}

struct Reader<'a> {
    state: &'a State,
    staff: &'a Staff,
    application: &'a Application,
    app: &'a App,
}

impl Reader<'_> {
    /// Whether they see what reviewers keep among themselves. Support helps applicants: they see what applicants see.
    fn internal(&self) -> bool {
        [Role::Reviewer, Role::Compliance, Role::Administrator].iter().any(|role| self.staff.is(*role))
    }

    fn may(&self, waiting: &[Decision], conflicted: bool) -> May {
        let (state, me) = (self.application.state, self.staff.account.account_id);
        let reviewer = self.staff.is(Role::Reviewer);
        let own = self.application.assigned_to == Some(me);
        let others = waiting.iter().any(|decision| decision.account_id != me);
        let first = own || (self.application.sensitive && others);
        May {
            triage: reviewer && state == Standing::Submitted,
            take: reviewer && !state.is_final() && self.application.assigned_to.is_none() && !conflicted,
            assign: (reviewer || self.staff.is(Role::Administrator)) && !state.is_final(),
            comment: reviewer,
            record: reviewer && !state.is_final(),
            conflict: reviewer && !state.is_final() && !conflicted,
            ask: own && state == Standing::InReview,
            decide: reviewer && state == Standing::InReview && first && !conflicted,
            second: reviewer && state == Standing::InReview && others && !conflicted,
            revoke: self.staff.is(Role::Compliance) && Standing::Revoked.may_come_from().contains(&state),
        }
    }

    fn notices(&self, waiting: &[DecisionView], conflicted: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        let late = self.application.is_late(self.state.platform.now()) && !self.application.state.is_final();
        if late {
            let told = if self.application.escalated_at.is_some() {
                "The applicant and the administrators were told. The delay decides nothing."
            } else {
                "The applicant and the administrators are told within the hour. The delay decides nothing."
            };
            notices.push(Notice::danger("The limit for this decision was missed.").text(told));
        }
        match waiting {
            [] => {}
            [_] => notices.push(
                Notice::warn("One of two decisions is made.").text("A second reviewer has to agree before it takes effect."),
            ),
            _ => notices.push(
                Notice::warn("The reviewers differ.").text("Both decisions are below. It takes effect when two reviewers agree."),
            ),
        }
        if conflicted {
            notices.push(Notice::warn("You cannot decide about this application.").text("You have a conflict of interest."));
        }
        notices
    }

    /// What the version on the page is compared with: what the address says, else the version before it, else the application before it.
    async fn compared(
        &self,
        tx: &mut Tx,
        params: &Params,
        versions: &[Version],
        shown: &Version,
    ) -> Result<(Option<Answers>, String), Fault> {
        let against = one(params, "against");
        let number = against.parse::<i32>().unwrap_or(shown.number - 1);
        let parse = |version: &Version| serde_json::from_str::<Answers>(&version.answers).ok();
        if against == "nothing" {
            return Ok((None, String::new()));
        }
        if let Some(version) = versions.iter().find(|version| version.number == number && number != shown.number) {
            return Ok((parse(version), format!("version {number}")));
        }
        let Some(previous_id) = self.application.previous_id else { return Ok((None, String::new())) };
        let Some(last) = applications::versions(tx, previous_id).await?.pop() else { return Ok((None, String::new())) };
        Ok((parse(&last), format!("the earlier application {}", applications::reference(previous_id))))
    }

    async fn decision(&self, tx: &mut Tx, names: &mut Names, decision: &Decision, open: bool) -> Result<DecisionView, Fault> {
        let own = decision.account_id == self.staff.account.account_id;
        Ok(DecisionView {
            decision_id: decision.decision_id,
            who: names.of(tx, decision.account_id).await?,
            at: Moment::minute(moment(decision.at)),
            own,
            text: decision.text.clone(),
            outcomes: cases::outcomes(&self.state.platform, &decision.outcomes(), decision.at),
            open: open && !own,
        })
    }

    async fn question(&self, tx: &mut Tx, names: &mut Names, question: &Question) -> Result<QuestionView, Fault> {
        let minute = |at: Millis| Moment::minute(moment(at));
        Ok(QuestionView {
            who: names.of(tx, question.asked_by).await?,
            at: minute(question.asked_at),
            text: question.text.clone(),
            fields: questions::labels(&self.state.platform, self.application, question),
            due: cases::day(&self.state.platform, question.due_at),
            answered: question.answered_at.map(minute),
            answer: question.answer.clone().unwrap_or_default(),
            closed: question.closed_at.is_some(),
            reminders: question.reminders,
        })
    }

    async fn evidence(
        &self,
        tx: &mut Tx,
        names: &mut Names,
        kind: Evidence,
        recorded: &[EvidenceRow],
    ) -> Result<EvidenceView, Fault> {
        let (label, help) = match kind {
            Evidence::Register => ("Register", "Which register, and the number in it."),
            Evidence::NoRegister => {
                ("No register", "For research groups, associations, single persons: what it is, and who stands behind it.")
            }
            Evidence::Domain => ("Domain", "What shows that the domain is the organisation's."),
            Evidence::Site => ("Site", "What the live site shows of the organisation and the app."),
            Evidence::Contact => ("Contact", "Where the applicant was found, or how they were reached."),
            Evidence::Language => ("All of it, pictures and short answers included, is in an enabled language", ""),
        };
        let who = match recorded.iter().find(|row| row.kind == kind) {
            Some(row) => format!("{}, {}", names.of(tx, row.account_id).await?, Moment::day(moment(row.at)).words),
            None => String::new(),
        };
        Ok(EvidenceView { name: format!("evidence.{kind}"), label, help, who, tick: kind == Evidence::Language })
    }

    /// Earlier applications of the app and of its owner, with the reasons they were refused or revoked for.
    async fn earlier(&self, tx: &mut Tx) -> Result<Vec<EarlierView>, Fault> {
        let (app_id, owner_id, id) = (self.application.app_id, self.application.owner_id, self.application.application_id);
        let mut views = Vec::new();
        for line in queue::earlier(tx, app_id, owner_id, id, EARLIER).await? {
            let mut reasons = Vec::new();
            if let Some(decision) = decide::in_force(tx, line.application_id).await? {
                for reason in decision.outcomes().iter().filter_map(|outcome| outcome.reason()) {
                    reasons.push((reason.code, reason.title, reason.text));
                }
            }
            for event in rows::events(tx, line.application_id).await? {
                if event.to_state == Some(Standing::Revoked) {
                    let code = event.code.unwrap_or_default();
                    let title = codes::find(&code).map_or("", |code| code.title).to_owned();
                    reasons.push((code, title, event.text));
                }
            }
            let asked = applications::versions(tx, line.application_id).await?.pop();
            let asked: Answers = asked.and_then(|version| serde_json::from_str(&version.answers).ok()).unwrap_or_default();
            views.push(EarlierView {
                path: super::path(line.application_id),
                app: line.app,
                reference: applications::reference(line.application_id),
                badge: cases::badge(line.state, true),
                at: line.ended_at.or(line.submitted_at).map(|at| Moment::day(moment(at))).unwrap_or_default(),
                scopes: applications::asked_families(&asked).join(", "),
                reasons,
            });
        }
        Ok(views)
    }

    /// The app as it is now, to be compared with what the application says.
    async fn side(&self, tx: &mut Tx, owner: &str) -> Result<Summary, Fault> {
        let copy = apps::working_copy(tx, self.app.app_id).await?;
        let details = &copy.details;
        let review = format!("Revision {}, {}", copy.number, copy.state.words().to_lowercase());
        let mut rows = vec![
            Row::new("Status").badge(app_badge(self.app.status)),
            // What was never handed in is the developer's own, and has no page here.
            match copy.submitted_at {
                Some(_) => Row::new("App review").link(review, format!("/console/apps/{}", copy.revision_id)),
                None => Row::new("App review").text(review),
            },
            Row::new("Owner").text(owner),
            Row::new("App ID").code(self.app.app_id.to_string()),
            Row::new("Category").text(details.category.clone()),
            Row::new("Description").text(details.description.clone()),
        ];
        let mut sites = Row::new("Website");
        for site in [&details.web.url, &details.desktop.url] {
            if !site.is_empty() {
                sites = sites.link(site.clone(), site.clone());
            }
        }
        rows.push(sites);
        for (label, address) in [("Privacy policy", &details.privacy_url), ("Terms", &details.terms_url)] {
            let row = Row::new(label);
            rows.push(if address.is_empty() { row } else { row.link(address.clone(), address.clone()) });
        }
        let mut redirects = Row::new("Redirect URIs");
        for redirect in details.web.redirects.iter().chain(&details.desktop.redirects).chain(&details.android.redirects) {
            redirects = redirects.text(redirect.clone());
        }
        rows.push(redirects);
        let approved = apps::approvals(tx, self.app.app_id).await?;
        let approved: Vec<String> = approved.into_iter().map(|approval| approval.family).collect();
        let row = Row::new("Approved scopes");
        rows.push(if approved.is_empty() { row.text("None yet") } else { row.text(approved.join(", ")) });
        Ok(Summary(rows))
    }

    fn families(&self) -> Vec<FamilyForm> {
        let platform = &self.state.platform;
        let answers = self.application.answers();
        let chosen = applications::asked_scopes(&answers);
        let verdicts = || {
            vec![
                Choice::new("approve", "Approve"),
                Choice::new("conditions", "Approve with conditions"),
                Choice::new("refuse", "Refuse"),
            ]
        };
        let form = |family: String| {
            let category = platform.catalogue.categories().iter().find(|category| category.scope == family);
            let of_it = chosen.iter().filter(|scope| wire::Scope::parse(scope).is_ok_and(|scope| scope.family() == family));
            FamilyForm {
                title: category.map_or_else(|| family.clone(), |category| category.title.best("en").to_owned()),
                scopes: of_it.cloned().collect::<Vec<_>>().join(", "),
                verdicts: verdicts(),
                family,
            }
        };
        applications::asked_families(&answers).into_iter().map(form).collect()
    }
}
