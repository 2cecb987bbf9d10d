//! `GET /v1/health`

use adapter_dynamodb::Videos;
use adapter_evm::Evm;
use runtime::http::{self, Reply};
use runtime::settings::Chains;
use serde_json::json;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let chains = &Chains::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let evm = &Evm::default();
        http::serve(move |_| async move {
            let mut checks = vec![(
                "videos".to_owned(),
                videos.check().await.err().map(|_| "the table can't be reached".to_owned()),
            )];
            match chains.get().await {
                Ok(chains) => {
                    let evm = evm.with(chains.iter().map(|chain| (chain.chain, &*chain.rpc)));
                    for (chain, head) in evm.heads().await {
                        checks.push((chain.to_string(), head.err()));
                    }
                }
                Err(_) => checks.push(("chains".into(), Some("the settings can't be read".into()))),
            }
            let well = checks.iter().all(|(_, trouble)| trouble.is_none());
            let checks: Vec<_> = checks
                .into_iter()
                .map(|(name, trouble)| match trouble {
                    None => json!({"name": name, "status": "ok"}),
                    Some(detail) => json!({"name": name, "status": "degraded", "detail": detail}),
                })
                .collect();
            let status = if well { "ok" } else { "degraded" };
            Reply::json(200, &json!({"status": status, "checks": checks}))
        })
        .await
    })
}
