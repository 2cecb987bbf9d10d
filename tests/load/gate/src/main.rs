//! What a decision costs, and how often it asks no chain.
//!
//! ```text
//! load-gate decide                          CPU of one decision of 20 conditions, all facts known
//! load-gate hit-rate memory|dynamodb SECS   10,000 viewers for 30 minutes; SECS: how long a yes is good
//! ```
//!
//! Prints one JSON object. The clock of `hit-rate` is simulated; everything else is the real thing:
//! `app::gate`, the domain, and the stores. For `dynamodb` `FACTS_TABLE` names the table.

mod decide;
mod viewers;

use serde_json::Value;

#[expect(clippy::print_stdout, reason = "it is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let answer: Value = match words.as_slice() {
        ["decide"] => decide::run()?,
        ["hit-rate", store, seconds] => viewers::run(store, seconds.parse()?)?,
        _ => return Err("usage: load-gate decide | hit-rate memory|dynamodb SECONDS".into()),
    };
    println!("{answer}");
    Ok(())
}
