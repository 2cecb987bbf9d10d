//! `POST /v1/grants/{grant}/renew`

use adapter_dynamodb::{Audit, Grants, Videos};
use adapter_sqs::Sqs;
use app::gate::Sharing;
use app::ports::System;
use app::renew_grant::renew_grant;
use runtime::delivery::Delivery;
use runtime::http::{self, Reply};
use runtime_gate::Gatehouse;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let delivery = &Delivery::new(&environment, &aws)?;
        let gatehouse = &Gatehouse::new(&environment, &aws)?;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        // A policy that was just changed has all live grants decided again, this one too.
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?).a_moment_old();
        let edge = &Sqs::in_groups(&aws, environment.text("REVOKE_QUEUE_URL")?, "group");
        let audit = &Audit::new(&aws, environment.text("AUDIT_TABLE")?);
        let every = environment.number("COOKIE_SECONDS")?.min(environment.number("LEASE_SECONDS")?);
        let sharing = Sharing::of_renewals(gatehouse.freshness(), every);
        http::serve(move |request| async move {
            let token = http::grant_token(&request)?;
            let gate = &gatehouse.gate(sharing).await?;
            let terms = &delivery.terms().await?;
            let (s, v) = (&System, videos);
            let playback = renew_grant(s, v, grants, edge, audit, gate, terms, token).await?;
            Reply::playback(&playback)
        })
        .await
    })
}
