//! `DELETE /v1/grants/{grant}` and `POST /v1/videos/{id}/revocations`

use adapter_dynamodb::{Grants, Videos};
use adapter_sqs::Sqs;
use app::end_grant::{end_grant, revoke_grants};
use app::ports::System;
use runtime::http::{self, Reply};
use runtime::settings::Sessions;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let edge = &Sqs::in_groups(&aws, environment.text("REVOKE_QUEUE_URL")?, "group");
        http::serve(move |request| async move {
            if http::route_key(&request).starts_with("DELETE") {
                let token = http::grant_token(&request)?;
                return Ok(Reply::forgotten(&end_grant(&System, grants, edge, token).await?));
            }
            let caller = &sessions.caller(&request).await?;
            let id = http::video_id(&request)?;
            let whom = http::body(&request)?;
            let revoked = revoke_grants(&System, videos, grants, edge, caller, &id, &whom).await?;
            Reply::json(200, &revoked)
        })
        .await
    })
}
