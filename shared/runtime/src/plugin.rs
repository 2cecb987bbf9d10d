//! Plug-ins: functions of a team's own that say whether a policy's condition holds.
//!
//! Any function that takes [`Question`] and gives [`Answer`] as JSON within 3 seconds is one, in
//! whatever language. What it fails with goes to its log, and its condition is unknown.

use crate::telemetry;
use domain::account::Account;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Instant;

/// What a plug-in is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question<Parameters> {
    /// What the policy says, as the plug-in knows it.
    pub parameters: Parameters,
    /// The accounts that the viewer signed in with, each proven by a signature.
    pub accounts: Vec<Account>,
    /// The version of question and answer.
    pub version: Version,
}

/// The only version there is: the number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Version;

impl TryFrom<u64> for Version {
    type Error = String;
    fn try_from(number: u64) -> Result<Self, String> {
        if number == 1 { Ok(Self) } else { Err(format!("version {number} is not known")) }
    }
}

/// What it says.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Whether the condition holds.
    pub yes: bool,
    /// Why, for the viewer: at most 200 printable characters.
    pub reason: String,
}

/// Reads a question.
///
/// # Errors
/// Names the field that can't be read.
pub fn read<Parameters: DeserializeOwned>(event: &Value) -> Result<Question<Parameters>, String> {
    serde_path_to_error::deserialize(event).map_err(|error| error.to_string())
}

/// Answers questions with `decide` for as long as the function lives, one log line each.
///
/// # Errors
/// When the runtime API is lost.
pub async fn serve<Parameters: DeserializeOwned>(
    name: &'static str,
    decide: impl AsyncFn(&Question<Parameters>) -> Result<Answer, Error>,
) -> Result<(), Error> {
    let decide = &decide;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let since = Instant::now();
        let outcome = match read(&event.payload) {
            Ok(question) => decide(&question).await,
            Err(reason) => Err(reason.into()),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, "the plug-in failed");
        }
        let (word, status) = if outcome.is_ok() { ("ok", 200) } else { ("failed", 500) };
        telemetry::finished(&event.context.request_id, name, word, status, since);
        outcome
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bad_field_is_named() {
        #[derive(Debug, Deserialize)]
        struct Parameters {
            #[serde(rename = "limit")]
            _limit: u64,
        }
        let question = |version: u64, limit: Value| json!({"version": version, "parameters": {"limit": limit}, "accounts": []});
        assert!(read::<Parameters>(&question(1, json!(1))).is_ok());
        for (event, part) in [
            (question(2, json!(1)), "version: version 2"),
            (question(1, json!("x")), "parameters.limit: "),
            (json!({"version": 1, "parameters": {"limit": 1}}), "missing field `accounts`"),
            (json!({"version": 1, "parameters": {"limit": 1}, "accounts": ["x"]}), "accounts[0]: "),
            (json!("x"), "expected"),
        ] {
            let error = read::<Parameters>(&event).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
