//! `POST /v1/auth/session` and `DELETE /v1/auth/session`

use adapter_dynamodb::Nonces;
use adapter_evm::Evm;
use app::end_session::end_session;
use app::open_session::{SignedMessage, open_session};
use app::ports::System;
use app::request_nonce::Site;
use runtime::http::{self, Reply};
use runtime::settings::{Chains, EdgeSettings, Sessions};
use std::time::Duration;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let nonce_lifetime = environment.number("NONCE_SECONDS")?;
        let lifetime = environment.number("SESSION_MINUTES")? * 60;
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let edge = &EdgeSettings::new(&environment, &aws)?;
        let chains = &Chains::new(&environment, &aws)?;
        let nonces = &Nonces::new(&aws, environment.text("NONCES_TABLE")?);
        let head = Duration::from_secs(environment.number("HEAD_SECONDS")?);
        let evm = &Evm::with_head(head);
        http::serve(move |request| async move {
            if http::route_key(&request).starts_with("DELETE") {
                end_session(&System, nonces, &sessions.caller(&request).await?).await?;
                return Ok(Reply::empty());
            }
            let signed: SignedMessage = http::body(&request)?;
            let shown = match signed.link {
                true => Some(sessions.caller(&request).await?),
                false => None,
            };
            let edge = edge.get().await?;
            let site = Site {
                origin: edge.origin.clone(),
                domain: edge.signing_domain.clone(),
                keys: sessions.keys().await?,
                nonce_lifetime,
            };
            // Chains are configured and connected to only when a contract wallet signs in.
            let contracts = async || {
                let chains = chains.get().await?;
                Ok((chains, evm.with(chains)))
            };
            let shown = shown.as_ref();
            let session =
                open_session(&System, nonces, contracts, &site, lifetime, shown, &signed).await?;
            Reply::json(200, &session)
        })
        .await
    })
}
