//! `GET /v1/health`

use adapter_dynamodb::Videos;
use adapter_evm::Evm;
use adapter_solana::Solana;
use runtime::health::{Check, Provider, Report};
use runtime::http::{self, Reply};
use runtime::settings::Chains;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let chains = &Chains::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let (evm, solana) = (&Evm::default(), &Solana::default());
        http::serve(move |_| async move {
            let table = videos.check().await.err().map(|_| "the table can't be reached");
            let mut checks = vec![Check::new("videos", table)];
            let Ok(chains) = chains.get().await else {
                checks.push(Check::new("chains", Some("the settings can't be read")));
                return Reply::json(200, &Report::new(checks));
            };
            // Both at the same time: each takes as long as its slowest provider.
            let (evm, solana) = (evm.with(chains).health(), solana.with(chains).health());
            let (evm, solana) = tokio::join!(evm, solana);
            for (chain, is) in evm {
                let each = is.providers.into_iter();
                let each =
                    each.map(|provider| Provider::new(provider.state.as_str(), provider.head));
                checks.push(Check::chain(chain, is.head.map(|head| head.number), is.quorum, each));
            }
            for (chain, is) in solana {
                let each = is.providers.into_iter();
                let each =
                    each.map(|provider| Provider::new(provider.state.as_str(), provider.head));
                checks.push(Check::chain(chain, is.head, is.quorum, each));
            }
            Reply::json(200, &Report::new(checks))
        })
        .await
    })
}
