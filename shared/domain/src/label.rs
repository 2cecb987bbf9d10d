//! What a sound or subtitle track is called, and what it is for.

use serde::{Deserialize, Serialize};

/// Longer titles are cut, in characters.
const LONGEST_TITLE: usize = 100;
/// The longest tag that RFC 5646 (4.4.1) asks everyone to take.
const LONGEST_TAG: usize = 35;

/// What a stream of the source says of itself, made fit for playlists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// RFC 5646, the shortest form: `en`, `pt-BR`; absent when undetermined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The author's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For whom it is.
    #[serde(default, skip_serializing_if = "Purpose::is_plain")]
    pub purpose: Purpose,
}

/// For whom a track is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// For everyone.
    #[default]
    Plain,
    /// Someone talks about the film.
    Commentary,
    /// Only what must be read even by who understands the sound.
    Forced,
    /// Noises are told, too; or speech is easier to understand.
    HearingImpaired,
    /// What is seen is told.
    Described,
}

impl Purpose {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

impl Label {
    /// From what a container says; that may be anything at all.
    pub fn new(language: Option<&str>, title: Option<&str>, purpose: Purpose) -> Self {
        let title = title.map(|title| {
            let title = plain(title.chars());
            let words = title.split_whitespace().collect::<Vec<_>>().join(" ");
            words.chars().take(LONGEST_TITLE).collect::<String>()
        });
        Self {
            language: language.and_then(tag),
            title: title.filter(|title| !title.is_empty()),
            purpose,
        }
    }

    /// The name by which a viewer chooses: the title, or the language and what it is for, or
    /// `otherwise` where nothing is known. It holds no quote and no control character.
    pub fn words(&self, otherwise: &str) -> String {
        // As it is stored it may still be anything.
        if let Some(title) = self.title.as_deref().filter(|title| !title.trim().is_empty()) {
            return plain(title.chars());
        }
        let mut words = match self.language.as_deref().filter(|language| is_tag(language)) {
            Some(language) => name(language),
            None => otherwise.to_owned(),
        };
        words += match self.purpose {
            Purpose::Plain => "",
            Purpose::Commentary => " (commentary)",
            Purpose::Forced => " (forced)",
            Purpose::HearingImpaired => " (hard of hearing)",
            Purpose::Described => " (described)",
        };
        plain(words.chars())
    }
}

fn plain(text: impl Iterator<Item = char>) -> String {
    let plain = |character: char| match character {
        '"' => '\'',
        other if other.is_control() => ' ',
        other => other,
    };
    text.map(plain).collect()
}

/// Whether a text has the shape of RFC 5646.
pub fn is_tag(language: &str) -> bool {
    let plain = |part: &str| {
        (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let mut parts = language.split('-');
    // One letter is no language: `x` begins a private tag, `i` one of before.
    let primary = parts.next().is_some_and(|first| {
        let named = first.len() > 1 || (matches!(first, "x" | "i") && language.len() > 2);
        plain(first) && first.chars().all(|c| c.is_ascii_alphabetic()) && named
    });
    primary && parts.all(plain) && language.len() <= LONGEST_TAG
}

/// The tag for what a container says: `ger` and `deu` become `de`, what is in no table stays.
fn tag(language: &str) -> Option<String> {
    let language = language.trim().replace('_', "-");
    if !is_tag(&language) {
        return None;
    }
    let (primary, rest) = match language.split_once('-') {
        Some((primary, rest)) => (primary.to_ascii_lowercase(), Some(rest)),
        None => (language.to_ascii_lowercase(), None),
    };
    // Undetermined, uncoded, and no language at all.
    if matches!(&*primary, "und" | "mis" | "zxx") {
        return None;
    }
    let known = LANGUAGES.iter().find(|known| known.1.split(' ').any(|code| code == primary));
    let primary = known.map_or(&*primary, |known| known.0);
    Some(rest.map_or_else(|| primary.to_owned(), |rest| format!("{primary}-{rest}")))
}

/// In English: `pt-BR` is "Portuguese (BR)".
fn name(tag: &str) -> String {
    let (primary, rest) = tag.split_once('-').map_or((tag, ""), |parts| parts);
    let known = LANGUAGES.iter().find(|known| known.0 == primary);
    match (known, rest) {
        (None, _) => tag.to_owned(),
        (Some(known), "") => known.2.to_owned(),
        (Some(known), rest) => format!("{} ({rest})", known.2),
    }
}

/// ISO 639-1, the codes of ISO 639-2 (bibliographic and terminological), and the English name, of
/// the languages that films are mostly made in.
const LANGUAGES: [(&str, &str, &str); 68] = [
    ("af", "afr", "Afrikaans"),
    ("am", "amh", "Amharic"),
    ("ar", "ara", "Arabic"),
    ("az", "aze", "Azerbaijani"),
    ("be", "bel", "Belarusian"),
    ("bg", "bul", "Bulgarian"),
    ("bn", "ben", "Bengali"),
    ("bs", "bos", "Bosnian"),
    ("ca", "cat", "Catalan"),
    ("cs", "cze ces", "Czech"),
    ("cy", "wel cym", "Welsh"),
    ("da", "dan", "Danish"),
    ("de", "ger deu", "German"),
    ("el", "gre ell", "Greek"),
    ("en", "eng", "English"),
    ("es", "spa", "Spanish"),
    ("et", "est", "Estonian"),
    ("eu", "baq eus", "Basque"),
    ("fa", "per fas", "Persian"),
    ("fi", "fin", "Finnish"),
    ("fr", "fre fra", "French"),
    ("ga", "gle", "Irish"),
    ("gl", "glg", "Galician"),
    ("gu", "guj", "Gujarati"),
    ("he", "heb", "Hebrew"),
    ("hi", "hin", "Hindi"),
    ("hr", "hrv scr", "Croatian"),
    ("hu", "hun", "Hungarian"),
    ("hy", "arm hye", "Armenian"),
    ("id", "ind", "Indonesian"),
    ("is", "ice isl", "Icelandic"),
    ("it", "ita", "Italian"),
    ("ja", "jpn", "Japanese"),
    ("ka", "geo kat", "Georgian"),
    ("kk", "kaz", "Kazakh"),
    ("km", "khm", "Khmer"),
    ("kn", "kan", "Kannada"),
    ("ko", "kor", "Korean"),
    ("la", "lat", "Latin"),
    ("lt", "lit", "Lithuanian"),
    ("lv", "lav", "Latvian"),
    ("mk", "mac mkd", "Macedonian"),
    ("ml", "mal", "Malayalam"),
    ("mn", "mon", "Mongolian"),
    ("mr", "mar", "Marathi"),
    ("ms", "may msa", "Malay"),
    ("my", "bur mya", "Burmese"),
    ("ne", "nep", "Nepali"),
    ("nl", "dut nld", "Dutch"),
    ("no", "nor", "Norwegian"),
    ("pa", "pan", "Punjabi"),
    ("pl", "pol", "Polish"),
    ("pt", "por", "Portuguese"),
    ("ro", "rum ron", "Romanian"),
    ("ru", "rus", "Russian"),
    ("sk", "slo slk", "Slovak"),
    ("sl", "slv", "Slovenian"),
    ("sq", "alb sqi", "Albanian"),
    ("sr", "srp scc", "Serbian"),
    ("sv", "swe", "Swedish"),
    ("sw", "swa", "Swahili"),
    ("ta", "tam", "Tamil"),
    ("te", "tel", "Telugu"),
    ("th", "tha", "Thai"),
    ("tr", "tur", "Turkish"),
    ("uk", "ukr", "Ukrainian"),
    ("vi", "vie", "Vietnamese"),
    ("zh", "chi zho", "Chinese"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn languages_get_their_shortest_tag_and_a_name() {
        for (source, tag, name) in [
            ("eng", "en", "English"),
            ("GER", "de", "German"),
            ("deu", "de", "German"),
            ("fr", "fr", "French"),
            ("pt_BR", "pt-BR", "Portuguese (BR)"),
            ("por-BR", "pt-BR", "Portuguese (BR)"),
            ("tlh", "tlh", "tlh"),
            ("mul", "mul", "mul"),
        ] {
            let label = Label::new(Some(source), None, Purpose::Plain);
            assert_eq!(label.language.as_deref(), Some(tag), "{source}");
            assert_eq!(label.words("x"), name, "{source}");
        }
        for none in ["und", "", "a b", "1x", "q", "q-US", "x", "zxx", "e\"n", &"a-".repeat(40)] {
            let label = Label::new(Some(none), None, Purpose::Plain);
            assert_eq!((label.language.clone(), label.words("Sound")), (None, "Sound".into()));
        }
    }

    #[test]
    fn the_table_has_no_code_twice() {
        let mut codes = std::collections::BTreeSet::new();
        for (short, long, _) in LANGUAGES {
            assert!(codes.insert(short));
            assert!(long.split(' ').all(|code| code.len() == 3 && codes.insert(code)), "{short}");
        }
    }

    #[test]
    fn a_title_goes_before_the_language() {
        let title = |title| Label::new(Some("eng"), Some(title), Purpose::Commentary);
        assert_eq!(title("  The \"Director\"\n speaks ").words("x"), "The 'Director' speaks");
        assert_eq!(title(" \u{7} ").words("x"), "English (commentary)");
        assert_eq!(title(&"ä".repeat(5000)).words("x").chars().count(), LONGEST_TITLE);
    }

    proptest! {
        #[test]
        fn anything_makes_a_harmless_label(language: String, title: String) {
            let label = Label::new(Some(&language), Some(&title), Purpose::Plain);
            prop_assert!(label.language.as_deref().is_none_or(is_tag));
            let words = label.words("Sound");
            prop_assert!(!words.contains(|c: char| c == '"' || c.is_control()), "{words:?}");
            prop_assert!(!words.trim().is_empty());
        }
    }
}
