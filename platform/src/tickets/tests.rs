//! What needs no store.

use super::acts::{LONGEST_TEXT, tidy};
use super::{State, Topic, canned, reference};

#[test]
fn every_topic_has_a_text_to_start_from() {
    let texts = canned::parse(include_str!("canned.toml")).unwrap();
    for topic in Topic::ALL {
        assert!(texts.iter().any(|text| text.fits(*topic)), "{topic}");
    }
    assert!(texts.iter().any(|text| text.fits(Topic::Portability) && !text.fits(Topic::Account)));
    assert!(
        canned::parse("[[text]]\ntopic = \"Weather\"\ntitle = \"a\"\ntext = \"b\"")
            .unwrap_err()
            .to_string()
            .contains("Data Portability API")
    );
}

#[test]
fn a_ticket_is_always_somebodys_move_or_closed() {
    for state in State::ALL {
        assert!(state.may_come_from().iter().all(|from| State::ALL.contains(from)));
    }
    assert!(!State::Answered.may_come_from().contains(&State::Closed), "staff do not answer what is closed");
    assert!(State::Open.may_come_from().contains(&State::Closed), "the developer can always write");
}

#[test]
fn texts_keep_their_lines_and_nothing_that_cannot_be_shown() {
    assert_eq!(tidy(" a\r\nb\rc ", 10).unwrap(), "a\nb\nc");
    assert!(tidy("a\u{0}b", 10).is_err() && tidy("a\u{1b}[2J", 10).is_err());
    assert!(tidy(&"x".repeat(LONGEST_TEXT), LONGEST_TEXT).is_ok() && tidy(&"x".repeat(LONGEST_TEXT + 1), LONGEST_TEXT).is_err());
}

#[test]
fn tickets_and_applications_are_named_apart() {
    assert!(reference(4_802_113).starts_with("T-") && reference(4_802_113).len() == 15);
}
