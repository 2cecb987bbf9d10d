//! `POST /v1/auth/nonce`

use app::ports::System;
use app::request_nonce::{NonceRequest, Site, request_nonce};
use runtime::http::{self, Reply};
use runtime::settings::{EdgeSettings, SessionSecret};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let nonce_lifetime = environment.number("NONCE_SECONDS")?;
        let aws = runtime::aws::config().await;
        let sessions = SessionSecret::new(&environment, &aws)?;
        let edge = EdgeSettings::new(&environment, &aws)?;
        let (sessions, edge) = (&sessions, &edge);
        http::serve(move |request| async move {
            let NonceRequest { account } = http::body(&request)?;
            let edge = edge.get().await?;
            let site = Site {
                origin: edge.origin.clone(),
                domain: edge.signing_domain.clone(),
                keys: sessions.keys().await?,
                nonce_lifetime,
            };
            Reply::json(200, &request_nonce(&System, &site, &account))
        })
        .await
    })
}
