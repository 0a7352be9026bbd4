//! In which language a text is written (rule 3 of applications). Only long texts are judged, and only when the library is sure.

use whatlang::{Detector, Lang};

/// Fewer letters are never judged.
const LETTERS: usize = 200;
/// Letters of a piece that is looked at by itself, to tell mixed texts.
const PIECE: usize = 120;

/// What a text reads as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language {
    /// As in `eng`.
    pub code: &'static str,
    /// As in `English`.
    pub name: &'static str,
    /// Whether the library is sure.
    pub confident: bool,
}

/// The language of a text; none if it is too short to tell.
pub fn language(text: &str) -> Option<Language> {
    let words = prose(text);
    if letters(&words) < LETTERS {
        return None;
    }
    let found = Detector::new().detect(&words)?;
    Some(Language { code: found.lang().code(), name: found.lang().eng_name(), confident: found.is_reliable() })
}

/// The language of a code of two or three letters.
pub fn known_language(code: &str) -> Option<Lang> {
    let code = code.to_ascii_lowercase();
    TWO_LETTERS.iter().find(|(two, _)| *two == code).map(|(_, lang)| *lang).or_else(|| Lang::from_code(code))
}

/// As which language other than the enabled ones a text reads for certain; none if it is short, unsure, or has pieces in an enabled language.
pub fn readings(text: &str, enabled: &[String]) -> Option<Language> {
    let found = language(text).filter(|found| found.confident)?;
    let enabled: Vec<Lang> = enabled.iter().filter_map(|code| known_language(code)).collect();
    if enabled.iter().any(|lang| lang.code() == found.code) {
        return None;
    }
    let detector = Detector::new();
    let in_enabled =
        |piece: &String| detector.detect(piece).is_some_and(|found| enabled.contains(&found.lang()) && found.is_reliable());
    if pieces(&prose(text)).iter().any(in_enabled) { None } else { Some(found) }
}

/// The text without addresses, which are in no language.
fn prose(text: &str) -> String {
    let is_address = |word: &&str| word.contains("://") || word.contains('@') || word.starts_with("www.");
    text.split_whitespace().filter(|word| !is_address(word)).collect::<Vec<_>>().join(" ")
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

/// Runs of whole words of some letters each.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut held) = (Vec::new(), String::new(), 0);
    for word in text.split_inclusive(' ') {
        piece.push_str(word);
        held += letters(word);
        if held >= PIECE {
            pieces.push(std::mem::take(&mut piece));
            held = 0;
        }
    }
    pieces
}

/// ISO 639-1 for those that the library knows.
const TWO_LETTERS: &[(&str, Lang)] = &[
    ("af", Lang::Afr),
    ("am", Lang::Amh),
    ("ar", Lang::Ara),
    ("az", Lang::Aze),
    ("be", Lang::Bel),
    ("bg", Lang::Bul),
    ("bn", Lang::Ben),
    ("ca", Lang::Cat),
    ("cs", Lang::Ces),
    ("da", Lang::Dan),
    ("de", Lang::Deu),
    ("el", Lang::Ell),
    ("en", Lang::Eng),
    ("eo", Lang::Epo),
    ("es", Lang::Spa),
    ("et", Lang::Est),
    ("fa", Lang::Pes),
    ("fi", Lang::Fin),
    ("fr", Lang::Fra),
    ("gu", Lang::Guj),
    ("he", Lang::Heb),
    ("hi", Lang::Hin),
    ("hr", Lang::Hrv),
    ("hu", Lang::Hun),
    ("hy", Lang::Hye),
    ("id", Lang::Ind),
    ("it", Lang::Ita),
    ("ja", Lang::Jpn),
    ("jv", Lang::Jav),
    ("ka", Lang::Kat),
    ("km", Lang::Khm),
    ("kn", Lang::Kan),
    ("ko", Lang::Kor),
    ("la", Lang::Lat),
    ("lt", Lang::Lit),
    ("lv", Lang::Lav),
    ("mk", Lang::Mkd),
    ("ml", Lang::Mal),
    ("mr", Lang::Mar),
    ("my", Lang::Mya),
    ("nb", Lang::Nob),
    ("ne", Lang::Nep),
    ("nl", Lang::Nld),
    ("no", Lang::Nob),
    ("or", Lang::Ori),
    ("pa", Lang::Pan),
    ("pl", Lang::Pol),
    ("pt", Lang::Por),
    ("ro", Lang::Ron),
    ("ru", Lang::Rus),
    ("si", Lang::Sin),
    ("sk", Lang::Slk),
    ("sl", Lang::Slv),
    ("sn", Lang::Sna),
    ("sr", Lang::Srp),
    ("sv", Lang::Swe),
    ("ta", Lang::Tam),
    ("te", Lang::Tel),
    ("th", Lang::Tha),
    ("tk", Lang::Tuk),
    ("tl", Lang::Tgl),
    ("tr", Lang::Tur),
    ("uk", Lang::Ukr),
    ("ur", Lang::Urd),
    ("uz", Lang::Uzb),
    ("vi", Lang::Vie),
    ("yi", Lang::Yid),
    ("zh", Lang::Cmn),
    ("zu", Lang::Zul),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "People connect their account once and see everything they watched in the last year, month by month, with the time they \
        spent on it. We fetch the data when they press the button, show it to them, and delete our copy when they leave. Nothing is sold.";
    const GERMAN: &str = "Die Menschen verbinden ihr Konto einmal und sehen dann alles, was sie im letzten Jahr angesehen haben, Monat für Monat, mit \
        der Zeit, die sie dafür aufgewendet haben. Wir holen die Daten, wenn sie auf den Knopf drücken, und löschen unsere Kopie, wenn sie gehen.";

    fn english() -> Vec<String> {
        vec!["en".into()]
    }

    #[test]
    fn a_long_text_in_another_language_is_told() {
        assert_eq!(readings(ENGLISH, &english()), None);
        assert_eq!(readings(GERMAN, &english()).unwrap().name, "German");
        assert_eq!(readings(GERMAN, &["en".into(), "de".into()]), None);
        let french = "Les personnes relient leur compte une seule fois et voient ensuite tout ce qu'elles ont regardé au cours de l'année écoulée, \
            mois par mois, avec le temps qu'elles y ont consacré. Nous récupérons les données lorsqu'elles appuient sur le bouton, et nous les effaçons quand elles partent.";
        assert_eq!(readings(french, &english()).unwrap().code, "fra");
    }

    #[test]
    fn short_mixed_and_wordless_texts_are_never_judged() {
        let short: String = GERMAN.chars().take(150).collect();
        assert_eq!(readings(&short, &english()), None);
        assert_eq!(readings(&format!("{ENGLISH} {GERMAN}"), &english()), None);
        assert_eq!(readings(&format!("{GERMAN} {GERMAN} {ENGLISH}"), &english()), None);
        assert_eq!(readings(&"https://datenschutz.beispiel.example/ueber-uns/auskunft ".repeat(20), &english()), None);
        assert_eq!(readings(&"12345 67890 ".repeat(100), &english()), None);
        assert_eq!(readings("", &english()), None);
    }

    #[test]
    fn every_language_of_the_library_has_a_code_that_operators_can_write() {
        for lang in Lang::all() {
            let listed = TWO_LETTERS.iter().any(|(_, known)| known == lang);
            assert!(listed || known_language(lang.code()) == Some(*lang), "{lang:?}");
        }
        assert_eq!(known_language("xx"), None);
    }
}
