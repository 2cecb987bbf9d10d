//! Environment variables, read once at start and typed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// A variable that is missing or can't be what it should.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    name: &'static str,
    reason: String,
}

impl Display for ConfigError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "environment variable {}: {}", self.name, self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// Where variables come from.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    lookup: fn(&str) -> Option<String>,
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment {
    /// The process's own.
    pub fn new() -> Self {
        Self { lookup: |name| std::env::var(name).ok() }
    }

    /// A variable that must be there and not empty.
    ///
    /// # Errors
    /// Names the variable.
    pub fn text(&self, name: &'static str) -> Result<String, ConfigError> {
        match (self.lookup)(name) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(ConfigError { name, reason: "is not set".into() }),
        }
    }

    /// A variable with a default.
    pub fn text_or(&self, name: &'static str, default: &str) -> String {
        (self.lookup)(name).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    }

    /// A whole number of at least 1.
    ///
    /// # Errors
    /// Names the variable.
    pub fn number(&self, name: &'static str) -> Result<u64, ConfigError> {
        match self.text(name)?.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(ConfigError { name, reason: "is not a whole number of at least 1".into() }),
        }
    }

    /// A whole number of at least 1, with a default.
    ///
    /// # Errors
    /// Names the variable.
    pub fn number_or(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        match (self.lookup)(name) {
            Some(text) if !text.is_empty() => self.number(name),
            _ => Ok(default),
        }
    }

    /// A whole number of at least 0.
    ///
    /// # Errors
    /// Names the variable.
    pub fn number_from_zero(&self, name: &'static str) -> Result<u64, ConfigError> {
        let reason = || "is not a whole number of at least 0".into();
        self.text(name)?.parse().map_err(|_| ConfigError { name, reason: reason() })
    }

    /// A list between commas, which may be empty or absent.
    ///
    /// # Errors
    /// Names the variable and the entry that can't be read.
    pub fn list<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Vec<T>, ConfigError> {
        (self.lookup)(name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| {
                entry
                    .parse()
                    .map_err(|error| ConfigError { name, reason: format!("{entry}: {error}") })
            })
            .collect()
    }

    /// Anything that can be read from text.
    ///
    /// # Errors
    /// Names the variable, and says why it can't be read, or that it is missing.
    pub fn parsed<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, ConfigError> {
        parse(name, &self.text(name)?)
    }

    /// The same, which may be absent.
    ///
    /// # Errors
    /// Names the variable, and says why it can't be read.
    pub fn parsed_or<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
        default: &str,
    ) -> Result<T, ConfigError> {
        parse(name, &self.text_or(name, default))
    }

    /// A list of `name=value` between commas, which may be empty or absent; each name once.
    ///
    /// # Errors
    /// Names the variable and the entry that can't be read.
    pub fn pairs(&self, name: &'static str) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut pairs = BTreeMap::new();
        for entry in self.list::<String>(name)? {
            let refuse = |reason: &str| ConfigError { name, reason: format!("{entry}: {reason}") };
            let (key, value) = entry.split_once('=').unwrap_or_default();
            let (key, value) = (key.trim(), value.trim());
            if key.is_empty() || value.is_empty() {
                return Err(refuse("is not name=value"));
            }
            if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(refuse("the name is there twice"));
            }
        }
        Ok(pairs)
    }
}

fn parse<T: FromStr<Err: Display>>(name: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| ConfigError { name, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let lookup = |name: &str| match name {
            "WORD" => Some("word".to_owned()),
            "EMPTY" => Some(String::new()),
            "TEN" => Some("10".to_owned()),
            "ZERO" => Some("0".to_owned()),
            "LIST" => Some(" 1, 2,,3".to_owned()),
            "PAIRS" => Some("one=f-1, two=arn:x,".to_owned()),
            "TWINS" => Some("one=f-1,one=f-2".to_owned()),
            "HALF" => Some("one=".to_owned()),
            _ => None,
        };
        Environment { lookup }
    }

    #[test]
    fn what_is_missing_or_bad_is_named() {
        let environment = environment();
        assert_eq!(environment.text("WORD").unwrap(), "word");
        assert_eq!(environment.text_or("EMPTY", "default"), "default");
        assert_eq!(environment.number("TEN").unwrap(), 10);
        assert_eq!(environment.number_or("TEN", 7).unwrap(), 10);
        assert_eq!(environment.number_or("ABSENT", 7).unwrap(), 7);
        assert_eq!(environment.number_or("EMPTY", 7).unwrap(), 7);
        assert_eq!(environment.list::<u8>("LIST").unwrap(), [1, 2, 3]);
        assert_eq!(environment.list::<u8>("ABSENT").unwrap(), [] as [u8; 0]);
        assert_eq!(environment.number_from_zero("ZERO").unwrap(), 0);
        let pairs = environment.pairs("PAIRS").unwrap();
        assert_eq!(
            (pairs["one"].as_str(), pairs["two"].as_str(), pairs.len()),
            ("f-1", "arn:x", 2)
        );
        assert!(environment.pairs("ABSENT").unwrap().is_empty());
        for (name, error) in [
            ("ABSENT", environment.text("ABSENT").unwrap_err()),
            ("EMPTY", environment.text("EMPTY").unwrap_err()),
            ("WORD", environment.number("WORD").unwrap_err()),
            ("ZERO", environment.number("ZERO").unwrap_err()),
            ("ZERO", environment.number_or("ZERO", 7).unwrap_err()),
            ("WORD", environment.list::<u8>("WORD").unwrap_err()),
            ("ABSENT", environment.number_from_zero("ABSENT").unwrap_err()),
            ("WORD", environment.number_from_zero("WORD").unwrap_err()),
            ("WORD", environment.pairs("WORD").unwrap_err()),
            ("TWINS", environment.pairs("TWINS").unwrap_err()),
            ("HALF", environment.pairs("HALF").unwrap_err()),
        ] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
