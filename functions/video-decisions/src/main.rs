//! `GET /v1/videos/{id}/decisions`

use adapter_dynamodb::{Audit, Videos};
use app::read_decisions::read_decisions;
use runtime::http::{self, Reply};
use runtime::settings::Sessions;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let audit = &Audit::new(&aws, environment.text("AUDIT_TABLE")?);
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let id = http::video_id(&request)?;
            let before = http::query(&request, "before");
            let found = read_decisions(videos, audit, caller, &id, before.as_deref()).await?;
            Reply::json(200, &found)
        })
        .await
    })
}
