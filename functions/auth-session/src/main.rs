//! `POST /v1/auth/session`

use adapter_dynamodb::Nonces;
use app::open_session::{SignedMessage, open_session};
use app::ports::System;
use app::request_nonce::Site;
use runtime::http::{self, Reply};
use runtime::settings::{EdgeSettings, Sessions};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let nonce_lifetime = environment.number("NONCE_SECONDS")?;
        let lifetime = environment.number("SESSION_MINUTES")? * 60;
        let aws = runtime::aws::config().await;
        let sessions = Sessions::new(&environment, &aws)?;
        let edge = EdgeSettings::new(&environment, &aws)?;
        let nonces = Nonces::new(&aws, environment.text("NONCES_TABLE")?);
        let (sessions, edge, nonces) = (&sessions, &edge, &nonces);
        http::serve(move |request| async move {
            let SignedMessage { message, signature } = http::body(&request)?;
            let edge = edge.get().await?;
            let site = Site {
                origin: edge.origin.clone(),
                domain: edge.signing_domain.clone(),
                key: sessions.key().await?,
                nonce_lifetime,
            };
            let session =
                open_session(&System, nonces, &site, lifetime, &message, &signature).await?;
            Reply::json(200, &session)
        })
        .await
    })
}
