//! `POST /v1/videos/{id}/playback`

use adapter_dynamodb::{Audit, Grants, Videos};
use adapter_sqs::Sqs;
use app::gate::Sharing;
use app::grant_playback::{Viewing, grant_playback};
use app::ports::System;
use runtime::delivery::Delivery;
use runtime::http::{self, Reply};
use runtime::settings::Sessions;
use runtime_gate::Gatehouse;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let delivery = &Delivery::new(&environment, &aws)?;
        let gatehouse = &Gatehouse::new(&environment, &aws)?;
        let table = environment.text("VIDEOS_TABLE")?;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        let videos = &Videos::new(&aws, &table);
        let edge = &Sqs::in_groups(&aws, environment.text("REVOKE_QUEUE_URL")?, "group");
        let audit = &Audit::new(&aws, environment.text("AUDIT_TABLE")?);
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let video = &http::video_id(&request)?;
            let wish = &http::body_if_any(&request)?;
            let gate = &gatehouse.gate(Sharing::All).await?;
            let terms = &delivery.terms().await?;
            let viewing = &Viewing { caller, video, wish };
            let (system, v) = (&System, videos);
            let playback =
                grant_playback(system, v, grants, edge, audit, gate, terms, viewing).await?;
            Reply::playback(&playback)
        })
        .await
    })
}
