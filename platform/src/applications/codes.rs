//! The codes of decisions, as they are published: each with what it means to the applicant and what would cure it.
//!
//! App review and the later checks of those who were approved use the same codes, so that a developer meets one vocabulary.

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Something is missing or unclear; the next attempt can bring it.
    Amend,
    /// What is planned has to change.
    Change,
    /// Nothing in the application can cure it, as far as can be seen now.
    Bar,
}

impl Severity {
    /// In a word, as pages show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amend => "amend",
            Self::Change => "change",
            Self::Bar => "bar",
        }
    }

    /// In plain words.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Amend => "Something is missing or unclear. Add it and apply again.",
            Self::Change => "What is planned has to change before access can be given.",
            Self::Bar => "Access cannot be given as things stand. An appeal can show that they stand otherwise.",
        }
    }
}

/// One reason for a decision.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// As it is published, and never changed once it was used.
    pub code: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What it says to the applicant.
    pub text: &'static str,
    /// What to do about it.
    pub cure: &'static str,
    /// What would show that it is cured.
    pub evidence: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// Within how many days of the decision it can be appealed against by a ticket. Applying again is possible at any time.
    pub appeal_days: u32,
}

impl Code {
    /// Whether a reviewer has to say more in words of their own.
    pub fn needs_text(&self) -> bool {
        self.code == "OTHER"
    }
}

/// The code that is used for a language which the operator has not enabled.
pub const LANGUAGE_NOT_ENABLED: &str = "LANGUAGE_NOT_ENABLED";

/// The code of that name.
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code == code)
}

const fn code(
    code: &'static str,
    severity: Severity,
    title: &'static str,
    text: &'static str,
    cure: &'static str,
    evidence: &'static str,
) -> Code {
    // A bar is worth more time: whoever appeals has to gather what shows the opposite.
    let appeal_days = match severity {
        Severity::Amend | Severity::Change => 30,
        Severity::Bar => 60,
    };
    Code { code, title, text, cure, evidence, severity, appeal_days }
}

use Severity::{Amend, Bar, Change};

/// All of them, in the order in which they are published.
pub static CODES: &[Code] = &[
    code(
        "ID_UNVERIFIED",
        Amend,
        "Applicant not verified",
        "We could not verify that the person named as the applicant works for the organisation.",
        "Name a person who can be reached through the organisation, and use their address on its domain.",
        "A page of the organisation that names the applicant, or a signed letter on its paper.",
    ),
    code(
        "ORG_NOT_FOUND",
        Amend,
        "Organisation not found",
        "We could not find evidence that the organisation exists under the name given.",
        "Give the legal name as the register has it, the register and the number. If there is no register entry, say what kind of organisation it is and who stands behind it.",
        "An extract from a public register; for research groups and associations, a page or letter of the institution.",
    ),
    code(
        "EMAIL_DOMAIN_MISMATCH",
        Amend,
        "E-mail on another domain",
        "The applicant's e-mail address is not on the organisation's domain.",
        "Use an address on the organisation's own domain, or explain why there is none.",
        "An address on the domain of the organisation's website, confirmed by the link we send.",
    ),
    code(
        "DOMAIN_NOT_PROVEN",
        Amend,
        "Domain not proven",
        "The ownership of the app's domain has not been proven.",
        "Prove it on the app's page under URL properties, by a DNS record or a signature file.",
        "A verified URL property that covers the app's site and its redirect addresses.",
    ),
    code(
        "SITE_NOT_LIVE",
        Amend,
        "Website not live",
        "The website given could not be reached, or shows a holding page.",
        "Put the site online with what the app offers, then apply again.",
        "The address of the live site.",
    ),
    code(
        "SITE_MISMATCH",
        Amend,
        "Website does not match",
        "The website does not match the organisation or the app in the application.",
        "Give the site of this app and this organisation, or make the connection visible on the site.",
        "A page that names both the organisation and the app.",
    ),
    code(
        "POLICY_MISSING",
        Amend,
        "Privacy policy missing",
        "There is no privacy policy that covers the data asked for.",
        "Publish one and give its address in the app's details.",
        "The address of the policy.",
    ),
    code(
        "POLICY_NOT_LINKED",
        Amend,
        "Privacy policy not linked",
        "The privacy policy is not linked from the website or the app.",
        "Link it where people decide: on the home page and before the connection is made.",
        "The pages or screens that show the link.",
    ),
    code(
        "POLICY_DISCLOSURE_INCOMPLETE",
        Amend,
        "Privacy policy incomplete",
        "The privacy policy does not say what is done with the data asked for.",
        "Say in it which data is received, what for, how long it is kept, and with whom it is shared.",
        "The amended policy.",
    ),
    code(
        "SCOPE_NOT_NEEDED",
        Change,
        "Scope not needed",
        "The use described does not need this scope.",
        "Ask for the narrower scopes that serve the use, or describe the use that needs this one.",
        "For each scope, the screen or function that shows the data.",
    ),
    code(
        "SCOPE_UNEXPLAINED",
        Amend,
        "Scope not explained",
        "The application does not explain what this scope is used for.",
        "Explain for each scope what people get from it and which of the screens it belongs to.",
        "The explanation, with references to the mockups.",
    ),
    code(
        "MOCKUPS_INCOMPLETE",
        Amend,
        "Mockups incomplete",
        "The mockups do not show all four screens.",
        "Show the connection page, the explanation with a way back, the consent page, and the result, in one document.",
        "A PDF with the four screens.",
    ),
    code(
        "MOCKUP_SCOPE_MISMATCH",
        Amend,
        "Mockups and scopes differ",
        "The mockups show other data than the scopes asked for.",
        "Bring the two in line: drop scopes that no screen uses, or show the screens that use them.",
        "The amended mockups.",
    ),
    code(
        "CTA_MISSING",
        Amend,
        "No clear call to action",
        "The mockups do not show where people choose to move or copy their data.",
        "Show the button or link by which people begin, in words that say what happens.",
        "The screen with the call to action.",
    ),
    code(
        "DISCLOSURE_INSUFFICIENT",
        Amend,
        "Disclosure insufficient",
        "People are not told enough before they connect.",
        "Say on the screen before consent which data is fetched, what for, how often and for how long.",
        "The amended screen.",
    ),
    code(
        "NO_STOP_CONTROL",
        Change,
        "No way to stop",
        "There is no way for people to stop the transfer.",
        "Give people a control in the app that ends the connection, and say where it is.",
        "The screen with the control.",
    ),
    code(
        "DSR_PROCESS_MISSING",
        Amend,
        "No process for people's requests",
        "The application does not say how people can access, correct or delete their data.",
        "Describe how a request is made, who answers it, and within what time.",
        "The page or policy on which people find it.",
    ),
    code(
        "RETENTION_UNCLEAR",
        Amend,
        "Retention unclear",
        "It is not clear how long the data is kept.",
        "Give a time for each kind of data, and say when and how it is deleted.",
        "The retention schedule or the passage of the policy.",
    ),
    code(
        "SALE_OR_LICENSING",
        Change,
        "Data is sold or licensed",
        "The data would be sold, licensed or passed to brokers.",
        "Change the use so that the data serves the person who moves it.",
        "The terms under which data is shared, and with whom.",
    ),
    code(
        "INCOMPATIBLE_PURPOSE",
        Change,
        "Purpose not compatible",
        "The purpose goes beyond what people would agree to by moving their data.",
        "Limit the purpose to what people ask for, and ask them separately about anything further.",
        "The amended purpose, and the screen on which people agree to it.",
    ),
    code(
        "MINORS_RISK",
        Change,
        "Risk to minors",
        "It is not clear how minors are protected.",
        "Say how age is known, from what age the app may be used, and what is different for minors.",
        "The age rules in the terms, and the screens that keep them.",
    ),
    code(
        "PROCESSOR_LIST_INCOMPLETE",
        Amend,
        "Processors not listed",
        "Those who process the data on the organisation's behalf are not all named.",
        "List each processor with its country and what it does.",
        "The list of processors.",
    ),
    code(
        "SECURITY_EVIDENCE_MISSING",
        Amend,
        "Security evidence missing",
        "What is said about security is not supported.",
        "Describe how data is encrypted, who has access and how that is logged; add evidence where there is some.",
        "A security description; a certificate or test report where there is one.",
    ),
    code(
        "SECURITY_EVIDENCE_EXPIRED",
        Amend,
        "Security evidence expired",
        "The certificate or report handed in is no longer valid.",
        "Hand in a current one, or describe the measures without it.",
        "The current certificate or report.",
    ),
    code(
        "JURISDICTION_RISK",
        Change,
        "Risk from the jurisdiction",
        "The data would be kept or reached from where it cannot be protected as the law here asks.",
        "Name the safeguards for the transfer, or keep the data elsewhere.",
        "The transfer tool and its assessment.",
    ),
    code(
        "INELIGIBLE_GATEKEEPER",
        Bar,
        "Gatekeepers are not eligible",
        "A company designated as a gatekeeper cannot receive this data under the Data Act.",
        "If the designation does not concern the applicant, appeal and say why.",
        "The ownership of the applicant, or the end of the designation.",
    ),
    code(
        "INELIGIBLE_REGION",
        Bar,
        "No eligible people",
        "The app does not serve people in the regions where this access is offered.",
        "If it does, say which regions it serves and how their people are told apart.",
        "The regions in the app's terms or store listing.",
    ),
    code(
        "REGULATOR_ACTION",
        Bar,
        "Action by a regulator or court",
        "A regulator or court has acted against the applicant over how it treats data.",
        "Say what was decided and what has changed since.",
        "The decision, and proof that it was complied with.",
    ),
    code(
        "MISREPRESENTATION",
        Bar,
        "Statements found to be untrue",
        "Statements in the application were found to be untrue.",
        "If this is a misunderstanding, appeal and say what is the case.",
        "What shows the statements to be true.",
    ),
    code(
        "DUPLICATE",
        Amend,
        "Another application covers it",
        "Another application covers the same app and the same scopes.",
        "Go on with that one.",
        "None.",
    ),
    code(
        "NO_RESPONSE",
        Amend,
        "Question not answered",
        "A question that is needed for the decision was not answered in time.",
        "Apply again and answer the question in the new application.",
        "The answer.",
    ),
    code(
        LANGUAGE_NOT_ENABLED,
        Amend,
        "Language not enabled",
        "The application, or a file in it, is in a language that is not enabled here.",
        "Hand it in again in one of the languages that the application form names.",
        "The translated answers and files.",
    ),
    code(
        "TERMS_BREACHED",
        Bar,
        "Terms breached",
        "The programme terms were breached.",
        "Say what was done to end the breach and to keep it from happening again.",
        "What shows that the breach has ended.",
    ),
    code(
        "APP_CHANGED",
        Change,
        "App changed since",
        "The app has changed since it was reviewed.",
        "Submit the changed app for review, and apply again for what it needs.",
        "The changed details, in a new revision.",
    ),
    code(
        "SITE_CHANGED",
        Amend,
        "Website changed since",
        "The website or the privacy policy has changed since it was reviewed.",
        "Say what has changed, and bring the application in line with it.",
        "The changed pages.",
    ),
    code(
        "USAGE_EXCEEDS_DECLARATION",
        Change,
        "More use than declared",
        "The app has asked for more data, or more often, than was declared.",
        "Bring the use back to what was declared, or apply with the real figures.",
        "An account of the use, and what it is for.",
    ),
    code(
        "OTHER",
        Change,
        "Another reason",
        "The reason is told in the reviewer's own words.",
        "As the reviewer's words say. If they do not, ask by a ticket.",
        "As the reviewer's words say.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_published_list_is_there_once_with_all_its_words() {
        // field.md 5.4, in its order.
        const PUBLISHED: &str = "ID_UNVERIFIED ORG_NOT_FOUND EMAIL_DOMAIN_MISMATCH DOMAIN_NOT_PROVEN SITE_NOT_LIVE SITE_MISMATCH POLICY_MISSING \
             POLICY_NOT_LINKED POLICY_DISCLOSURE_INCOMPLETE SCOPE_NOT_NEEDED SCOPE_UNEXPLAINED MOCKUPS_INCOMPLETE MOCKUP_SCOPE_MISMATCH \
             CTA_MISSING DISCLOSURE_INSUFFICIENT NO_STOP_CONTROL DSR_PROCESS_MISSING RETENTION_UNCLEAR SALE_OR_LICENSING \
             INCOMPATIBLE_PURPOSE MINORS_RISK PROCESSOR_LIST_INCOMPLETE SECURITY_EVIDENCE_MISSING SECURITY_EVIDENCE_EXPIRED \
             JURISDICTION_RISK INELIGIBLE_GATEKEEPER INELIGIBLE_REGION REGULATOR_ACTION MISREPRESENTATION DUPLICATE NO_RESPONSE \
             LANGUAGE_NOT_ENABLED TERMS_BREACHED APP_CHANGED SITE_CHANGED USAGE_EXCEEDS_DECLARATION OTHER";
        let ours: Vec<&str> = CODES.iter().map(|code| code.code).collect();
        assert_eq!(ours, PUBLISHED.split_whitespace().collect::<Vec<_>>());
        for code in CODES {
            for words in [code.title, code.text, code.cure, code.evidence] {
                assert!(words.len() > 4, "{} says too little", code.code);
            }
            assert!(code.appeal_days >= 30, "{}", code.code);
            assert!(std::ptr::eq(find(code.code).unwrap(), code));
        }
        assert!(find("other").is_none());
        assert_eq!(CODES.iter().filter(|code| code.needs_text()).count(), 1);
    }
}
