//! `POST /v1/videos/{id}/playback`

use adapter_dynamodb::{Grants, Videos};
use adapter_evm::Evm;
use app::grant_playback::{Gate, grant_playback};
use app::ports::System;
use runtime::http::{self, Reply};
use runtime::settings::{Chains, EdgeSettings, Sessions};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let lifetime = environment.number("GRANT_MINUTES")? * 60;
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let chains = &Chains::new(&environment, &aws)?;
        let edge = &EdgeSettings::new(&environment, &aws)?;
        let evm = &Evm::default();
        let table = environment.text("VIDEOS_TABLE")?;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        http::serve(move |request| async move {
            let caller = sessions.caller(&request).await?;
            let id = http::video_id(&request)?;
            let evm = evm.with(chains.get().await?.iter().map(|chain| (chain.chain, &*chain.rpc)));
            let gate = Gate { origin: &edge.get().await?.origin, lifetime };
            let playback = grant_playback(&System, videos, grants, evm, &gate, caller, &id).await?;
            Reply::json(200, &playback)
        })
        .await
    })
}
