//! What reviewers look at, as it is published.

/// A part of the checklist.
pub(super) struct Part {
    /// What it is about.
    pub(super) title: &'static str,
    /// What is looked at, each with the codes that can follow.
    pub(super) checks: &'static [(&'static str, &'static [&'static str])],
}

/// The whole checklist, in the order in which a case is gone through.
pub(super) static PARTS: &[Part] = &[
    Part {
        title: "Who is asking",
        checks: &[
            (
                "The organisation exists: a register, a domain, a site, a contact. Research groups and associations show it in another way.",
                &["ORG_NOT_FOUND"],
            ),
            (
                "The applicant can be reached there, at an address on the organisation’s domain.",
                &["ID_UNVERIFIED", "EMAIL_DOMAIN_MISMATCH"],
            ),
            (
                "The domain of the app is proven, and the site is live and is the organisation’s.",
                &["DOMAIN_NOT_PROVEN", "SITE_NOT_LIVE", "SITE_MISMATCH"],
            ),
            (
                "Nothing stands against access by law: regulators, region, gatekeepers.",
                &["REGULATOR_ACTION", "INELIGIBLE_REGION", "INELIGIBLE_GATEKEEPER", "JURISDICTION_RISK"],
            ),
        ],
    },
    Part {
        title: "What is asked for, and why",
        checks: &[
            ("Each scope is explained: what the app does with it for the person whose data it is.", &["SCOPE_UNEXPLAINED"]),
            ("Nothing narrower would do.", &["SCOPE_NOT_NEEDED"]),
            (
                "The purpose is the person’s: data is not sold, licensed or used against them.",
                &["SALE_OR_LICENSING", "INCOMPATIBLE_PURPOSE"],
            ),
            ("Children and young people are not put at risk.", &["MINORS_RISK"]),
        ],
    },
    Part {
        title: "What people see",
        checks: &[
            (
                "Mockups show the way: connect, what happens with the data, our page, the result. They match the scopes.",
                &["MOCKUPS_INCOMPLETE", "MOCKUP_SCOPE_MISMATCH"],
            ),
            (
                "It is clear what to press, and said beforehand what data goes where, how often and for what.",
                &["CTA_MISSING", "DISCLOSURE_INSUFFICIENT"],
            ),
            ("People can stop it, in the app too.", &["NO_STOP_CONTROL"]),
            (
                "A privacy policy is online, linked from the site and the app, and says what is done with this data.",
                &["POLICY_MISSING", "POLICY_NOT_LINKED", "POLICY_DISCLOSURE_INCOMPLETE"],
            ),
        ],
    },
    Part {
        title: "How the data is protected",
        checks: &[
            ("People can have their data shown, corrected and deleted, and know how.", &["DSR_PROCESS_MISSING"]),
            ("It is said for how long data is kept, and what happens when somebody withdraws.", &["RETENTION_UNCLEAR"]),
            ("Who else works with the data is listed.", &["PROCESSOR_LIST_INCOMPLETE"]),
            (
                "Security is described and, where evidence is given, it is in date.",
                &["SECURITY_EVIDENCE_MISSING", "SECURITY_EVIDENCE_EXPIRED"],
            ),
        ],
    },
    Part {
        title: "The application itself",
        checks: &[
            ("It is in a language that is enabled here, uploads too.", &["LANGUAGE_NOT_ENABLED"]),
            ("It is true, and not the same as another one that is open.", &["MISREPRESENTATION", "DUPLICATE"]),
            ("Questions are answered in time.", &["NO_RESPONSE"]),
        ],
    },
];

#[cfg(test)]
mod tests {
    use platform::applications::codes;

    use super::*;

    #[test]
    fn the_checklist_names_codes_that_are_published() {
        for (check, named) in PARTS.iter().flat_map(|part| part.checks) {
            for code in *named {
                assert!(codes::find(code).is_some(), "{check}: {code}");
            }
        }
    }
}
