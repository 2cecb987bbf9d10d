//! An example of a plug-in, to be copied: lets viewers in on some days of the week.
//!
//! In a policy:
//! `{"kind": "lambda", "function": "example", "parameters": {"weekdays": ["saturday", "sunday"]}}`

use runtime::plugin::{self, Answer};
use time::{OffsetDateTime, Weekday};

/// What a policy says to it. Whatever else there is, or has another form, is an error that names
/// the field: a creator's slip should not open a film.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    weekdays: Vec<Day>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase", remote = "Weekday")]
enum DayName {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

#[derive(serde::Deserialize)]
struct Day(#[serde(with = "DayName")] Weekday);

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |_| {
        // A plug-in about wallets looks at `question.accounts`; this one asks the clock alone.
        plugin::serve("plugin-example", async |question: &plugin::Question<Parameters>| {
            // UTC, as all times here.
            let today = OffsetDateTime::now_utc().weekday();
            let yes = question.parameters.weekdays.iter().any(|day| day.0 == today);
            // The reason is shown to the viewer, whether yes or no.
            Ok(Answer { yes, reason: format!("today is {today}") })
        })
        .await
    })
}
