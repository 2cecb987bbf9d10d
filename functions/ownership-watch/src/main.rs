//! Once a minute: follows the chains until the minute is nearly over.

use adapter_dynamodb::{Facts, Grants, PolicyList, Watch};
use adapter_evm::Evm;
use adapter_solana::Solana;
use adapter_sqs::Sqs;
use app::touched::{Notices, again_after};
use app::watch_chain::{Terms, WatchMemory, Watcher};
use runtime::schedule::{self, WallClock};
use runtime::settings::Chains;
use std::time::Duration;

/// A chain that hangs can't keep an invocation beyond this; the function's timeout is longer.
const LIMIT: Duration = Duration::from_secs(70);

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let terms = Terms {
            every: environment.number("WATCH_SECONDS")?,
            lag: environment.number("LAG_SECONDS")?,
            length: environment.number_or("RUN_SECONDS", 56)?,
        };
        let again_after = again_after(environment.number_from_zero("FACT_SECONDS")?);
        let aws = runtime::aws::config().await;
        let chains = &Chains::new(&environment, &aws)?;
        let (evm, solana) = (&Evm::default(), &Solana::default());
        let cursors = &Watch::new(&aws, environment.text("WATCH_TABLE")?);
        let policies = &PolicyList::new(&aws, environment.text("VIDEOS_TABLE")?);
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        let facts = &Facts::new(&aws, environment.text("FACTS_TABLE")?);
        let reviews = &Sqs::new(&aws, environment.text("REVIEW_QUEUE_URL")?);
        let memory = &WatchMemory::default();
        schedule::serve_ticks("ownership-watch", LIMIT, async move |holder: &str| {
            let settings = chains.get().await?;
            let notices = Notices { facts, reviews, again_after };
            let (clock, evm, solana) = (&WallClock, evm.with(settings), solana.with(settings));
            let watcher =
                Watcher { clock, evm, solana, cursors, policies, grants, notices, memory, terms };
            let watched = watcher.watch(&chains.names().await?, holder).await?;
            Ok(if watched { "ok" } else { "held" })
        })
        .await
    })
}
