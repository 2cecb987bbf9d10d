//! Environment variables, read once at start and typed.

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
        for (name, error) in [
            ("ABSENT", environment.text("ABSENT").unwrap_err()),
            ("EMPTY", environment.text("EMPTY").unwrap_err()),
            ("WORD", environment.number("WORD").unwrap_err()),
            ("ZERO", environment.number("ZERO").unwrap_err()),
            ("ZERO", environment.number_or("ZERO", 7).unwrap_err()),
            ("WORD", environment.list::<u8>("WORD").unwrap_err()),
        ] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
