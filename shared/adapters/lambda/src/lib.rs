//! Plug-ins: functions that say whether a condition holds, in Lambda.
//!
//! A plug-in is asked with `{"version": 1, "parameters": {..}, "accounts": ["eip155:1:0x..", ..]}`
//! and says `{"yes": true, "reason": ".."}`, nothing else, within [`PATIENCE`]. What else may
//! happen makes its condition unknown, and lets nobody in.

use adapter_provider::{Breaker, Timing};
use app::ports::{Clock, Plugins, System};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use domain::account::Account;
use domain::fact::{Answer, Fact, PluginRead};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a plug-in may take, its start and the way to it included.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer, in bytes.
pub const MAX_ANSWER: usize = 16 * 1024;
/// The longest reason, in characters.
pub const MAX_REASON: usize = 200;
/// The version of question and answer.
const VERSION: u64 = 1;

/// Asks the plug-ins on the stack's list.
#[derive(Debug)]
pub struct PluginCaller {
    client: Client,
    plugins: BTreeMap<String, Plugin>,
}

#[derive(Debug)]
struct Plugin {
    function: String,
    breaker: Mutex<Breaker>,
}

impl Plugin {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    yes: bool,
    reason: String,
}

impl PluginCaller {
    /// The list: a function's name or ARN by the plug-in's name.
    pub fn new(
        config: &aws_config::SdkConfig,
        functions: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let Timing { failures, open, .. } = Timing::default();
        let plugins = functions.into_iter().map(|(name, function)| {
            let breaker = Mutex::new(Breaker::new(failures, open));
            (name, Plugin { function, breaker })
        });
        Self { client: Client::new(config), plugins: plugins.collect() }
    }

    async fn said(&self, question: &PluginRead) -> Result<Said, &'static str> {
        let plugin = self
            .plugins
            .get(&question.function)
            .ok_or("the plug-in is not on this stack's list any more")?;
        let payload = payload(question).ok_or("the plug-in's parameters can't be read")?;
        if !plugin.breaker().admit(Instant::now()) {
            return Err("the plug-in failed too often; it is asked again soon");
        }
        let call = self
            .client
            .invoke()
            .function_name(&plugin.function)
            .payload(Blob::new(payload.to_string()))
            .send();
        let name = &question.function;
        let answer = match timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                plugin.breaker().failed(Instant::now());
                let error = adapter_aws::failed("lambda", &error);
                tracing::warn!(plugin = name, %error, "a plug-in could not be asked");
                return Err("the plug-in could not be asked");
            }
            Err(_) => {
                plugin.breaker().failed(Instant::now());
                tracing::warn!(plugin = name, "a plug-in did not answer in time");
                return Err("the plug-in did not answer in time");
            }
        };
        // It answered at once, whatever it was: others are not kept waiting. A policy whose
        // parameters a plug-in can't take must not shut it for all other policies.
        plugin.breaker().succeeded();
        let said = match answer.function_error {
            Some(_) => Err("the plug-in failed"),
            None => read(answer.payload.as_ref().map_or(&[], |payload| payload.as_ref())),
        };
        if let Err(reason) = said {
            // What it said stays out of the log: it is not ours, and its own log has it.
            tracing::warn!(plugin = name, reason, "a plug-in gave no answer");
        }
        said
    }
}

impl Plugins for PluginCaller {
    async fn ask(&self, question: &PluginRead) -> Fact {
        let now = System.now();
        match self.said(question).await {
            Ok(Said { yes, reason }) => {
                Fact { answer: Answer::Said { yes, reason }, place: None, read_at: now }
            }
            Err(reason) => Fact::unknown(reason, now),
        }
    }
}

fn payload(question: &PluginRead) -> Option<Value> {
    let parameters: Value = serde_json::from_str(&question.parameters).ok()?;
    let accounts: Vec<_> = question.accounts.iter().map(Account::to_string).collect();
    Some(json!({"version": VERSION, "parameters": parameters, "accounts": accounts}))
}

fn read(answer: &[u8]) -> Result<Said, &'static str> {
    if answer.len() > MAX_ANSWER {
        return Err("the plug-in's answer is too long");
    }
    let other = "the plug-in's answer is not as agreed";
    // Serde would take a list for an object.
    if !answer.trim_ascii_start().starts_with(b"{") {
        return Err(other);
    }
    let said: Said = serde_json::from_slice(answer).map_err(|_| other)?;
    if said.reason.chars().count() > MAX_REASON || said.reason.contains(char::is_control) {
        return Err("the plug-in's reason is not at most 200 printable characters");
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_agreed_or_none() {
        let said = read(br#"{"yes": true, "reason": "it is Sunday"}"#).unwrap();
        assert_eq!(said, Said { yes: true, reason: "it is Sunday".into() });
        let long = |count| format!(r#"{{"yes": false, "reason": "{}"}}"#, "\u{fc}".repeat(count));
        assert!(!read(long(MAX_REASON).as_bytes()).unwrap().yes);
        let padded = |size: usize| format!("{:size$}", r#"{"yes": true, "reason": ""}"#);
        assert!(read(padded(MAX_ANSWER).as_bytes()).is_ok());
        for (bad, part) in [
            ("", "agreed"),
            ("null", "agreed"),
            ("true", "agreed"),
            (r#"{"yes": true}"#, "agreed"),
            (r#"{"reason": "x"}"#, "agreed"),
            (r#"{"yes": "true", "reason": "x"}"#, "agreed"),
            (r#"{"yes": 1, "reason": "x"}"#, "agreed"),
            (r#"{"yes": true, "reason": null}"#, "agreed"),
            (r#"{"yes": true, "reason": "x", "until": 9}"#, "agreed"),
            (r#"{"yes": false, "yes": true, "reason": "x"}"#, "agreed"),
            (r#"{"yes": true, "reason": "x"} {"#, "agreed"),
            (r#"[true, "x"]"#, "agreed"),
            (r#"{"yes": true, "reason": "a\nb"}"#, "printable"),
            (&long(MAX_REASON + 1), "printable"),
            (&padded(MAX_ANSWER + 1), "too long"),
        ] {
            assert!(read(bad.as_bytes()).unwrap_err().contains(part), "{bad}");
        }
    }

    /// The sample event is what a plug-in is asked with.
    #[test]
    fn a_question_is_as_the_sample_has_it() {
        let sample = include_str!("../../../../events/plugin-example.json");
        let sample: Value = serde_json::from_str(sample).unwrap();
        let accounts = sample["accounts"].as_array().unwrap().iter();
        let question = PluginRead {
            function: "example".into(),
            parameters: sample["parameters"].to_string(),
            accounts: accounts.map(|text| text.as_str().unwrap().parse().unwrap()).collect(),
        };
        assert_eq!(payload(&question).unwrap(), sample);
    }

    #[tokio::test]
    async fn a_plug_in_that_is_not_listed_is_not_asked() {
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .build();
        let caller = PluginCaller::new(&config, []);
        let question =
            PluginRead { function: "x".into(), parameters: "{}".into(), accounts: Vec::new() };
        let fact = caller.ask(&question).await;
        assert!(matches!(fact.answer, Answer::Unknown(reason) if reason.contains("list")));
    }
}
