//! `POST /v1/verify`

use adapter_evm::Evm;
use app::verify_policy::verify_policy;
use runtime::http::{self, Reply};
use runtime::settings::{Chains, Sessions};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let chains = &Chains::new(&environment, &aws)?;
        let evm = &Evm::default();
        http::serve(move |request| async move {
            sessions.caller(&request).await?;
            let question = http::body(&request)?;
            let configured = chains.names().await?;
            let evm = evm.with(chains.get().await?.iter().map(|chain| (chain.chain, &*chain.rpc)));
            Reply::json(200, &verify_policy(evm, &configured, &question).await?)
        })
        .await
    })
}
