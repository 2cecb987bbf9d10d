//! What CloudFront knows of a viewer before any behaviour: the country, and who is kept out for it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::distribution::{Behaviour, Selection};
use crate::xml::Element;

/// The header in which a function and an origin learn the country, if a policy of the behaviour names it.
pub const COUNTRY: HeaderName = HeaderName::from_static("cloudfront-viewer-country");

/// The distribution's geographic restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Restriction {
    /// Anybody.
    #[default]
    None,
    /// Only these countries.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl Restriction {
    /// Reads a `GeoRestriction` of a distribution's configuration.
    pub fn read(config: &Element) -> Self {
        let Some(element) =
            config.child("Restrictions").and_then(|part| part.child("GeoRestriction"))
        else {
            return Self::None;
        };
        match element.value("RestrictionType") {
            Some("whitelist") => Self::Only(element.texts_here()),
            Some("blacklist") => Self::Except(element.texts_here()),
            _ => Self::None,
        }
    }

    /// Whether viewers of this country are served. One whose country is not known is: "If CloudFront can't determine a
    /// user's location, CloudFront serves the content that the user has requested" (Restrict the geographic distribution
    /// of your content).
    pub fn admits(&self, country: Option<&str>) -> bool {
        let Some(country) = country else { return true };
        match self {
            Self::None => true,
            Self::Only(countries) => countries.iter().any(|known| known == country),
            Self::Except(countries) => !countries.iter().any(|known| known == country),
        }
    }
}

/// Where a viewer's country comes from on this machine.
#[derive(Debug, Clone, Default)]
pub struct Countries {
    /// `EDGE_VIEWER_COUNTRY`: everybody's.
    pub all: Option<String>,
    /// `EDGE_COUNTRY_HEADER`: the header in which a test may say another. Not to be set where viewers are not tests.
    pub header: Option<HeaderName>,
}

impl Countries {
    /// The country of who sent these headers: two upper-case letters.
    pub fn of(&self, headers: &HeaderMap) -> Option<String> {
        let said = self.header.as_ref().and_then(|name| headers.get(name));
        let said = said.and_then(|value| value.to_str().ok());
        said.or(self.all.as_deref()).filter(|code| is_code(code)).map(str::to_owned)
    }
}

/// Whether a text is a country's code as CloudFront writes it.
pub fn is_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// Takes away what only CloudFront may say, and says the country where a policy asks for it by name.
pub fn introduce(headers: &mut HeaderMap, behaviour: &Behaviour, country: Option<&str>) {
    let claimed: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("cloudfront-")).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    let named = [&behaviour.cache.key.headers, &behaviour.forward.headers]
        .into_iter()
        .any(|names| matches!(names, Selection::Only(_)) && names.includes(COUNTRY.as_str(), true));
    if let Some(value) = country.filter(|_| named).and_then(|code| HeaderValue::from_str(code).ok())
    {
        headers.insert(COUNTRY, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_let_in_and_keep_out() {
        let read = |kind: &str| {
            let text = format!(
                "<C><Restrictions><GeoRestriction><RestrictionType>{kind}</RestrictionType><Quantity>2</Quantity>\
                 <Items><Location>DE</Location><Location>FR</Location></Items></GeoRestriction></Restrictions></C>"
            );
            Restriction::read(&Element::parse(&text).unwrap())
        };
        for (kind, german, swiss) in
            [("whitelist", true, false), ("blacklist", false, true), ("none", true, true)]
        {
            let restriction = read(kind);
            assert_eq!(restriction.admits(Some("DE")), german, "{kind}");
            assert_eq!(restriction.admits(Some("CH")), swiss, "{kind}");
            assert!(restriction.admits(None), "{kind}");
        }
        assert_eq!(Restriction::read(&Element::parse("<C/>").unwrap()), Restriction::None);
    }

    #[test]
    fn only_the_named_header_may_say_the_country() {
        let mut headers = HeaderMap::new();
        headers.insert("x-test-country", HeaderValue::from_static("FR"));
        headers.insert(COUNTRY, HeaderValue::from_static("US"));
        let mut countries = Countries::default();
        assert_eq!(countries.of(&headers), None);
        countries.all = Some("DE".to_owned());
        assert_eq!(countries.of(&headers).as_deref(), Some("DE"));
        countries.header = Some(HeaderName::from_static("x-test-country"));
        assert_eq!(countries.of(&headers).as_deref(), Some("FR"));
        headers.insert("x-test-country", HeaderValue::from_static("fr"));
        assert_eq!(countries.of(&headers), None);
    }
}
