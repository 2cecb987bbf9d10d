//! `GET /v1/videos/{id}/upload` and `POST /v1/videos/{id}/upload/complete`

use adapter_dynamodb::Videos;
use adapter_s3::S3;
use app::complete_upload::complete_upload;
use app::plan_upload::plan_upload;
use app::ports::System;
use runtime::http::{self, Reply};
use runtime::settings::Sessions;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let uploads = &S3::new(&aws, environment.text("UPLOADS_BUCKET")?);
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let id = http::video_id(&request)?;
            if http::route_key(&request).starts_with("POST") {
                let video = complete_upload(&System, videos, uploads, caller, &id).await?;
                return Reply::json(200, &video);
            }
            Reply::json(200, &plan_upload(&System, videos, uploads, caller, &id).await?)
        })
        .await
    })
}
