//! `PUT` and `DELETE /v1/videos/{id}/subtitles/{name}`

use adapter_dynamodb::Videos;
use adapter_s3::S3;
use adapter_sqs::Sqs;
use app::ports::System;
use app::set_subtitle::{MAX_TEXT, remove_subtitle, set_subtitle};
use runtime::http::{self, Reply};
use runtime::settings::Sessions;

/// As JSON has it, a text may be longer by its escapes.
const MAX_BODY: usize = 2 * MAX_TEXT;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let media = &S3::new(&aws, environment.text("MEDIA_BUCKET")?);
        let queue = &Sqs::in_groups(&aws, environment.text("PUBLISH_QUEUE_URL")?, "video");
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let (id, name) = (&http::video_id(&request)?, &http::path(&request, "name")?);
            if http::route_key(&request).starts_with("DELETE") {
                remove_subtitle(&System, videos, queue, caller, (id, name)).await?;
                return Ok(Reply::empty());
            }
            let new = http::body_up_to(MAX_BODY, &request)?;
            let view = set_subtitle(&System, videos, media, queue, caller, (id, name), new);
            Reply::json(200, &view.await?)
        })
        .await
    })
}
