//! `DELETE /v1/videos/{id}`

use adapter_dynamodb::{Tasks, Videos};
use adapter_s3::S3;
use adapter_sqs::Sqs;
use app::delete_video::delete_video;
use app::ports::System;
use runtime::http::{self, Reply};
use runtime::settings::Sessions;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let table = environment.text("VIDEOS_TABLE")?;
        let tasks = &Tasks::new(&aws, environment.text("TASKS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        let uploads = &S3::new(&aws, environment.text("UPLOADS_BUCKET")?);
        let media = &S3::new(&aws, environment.text("MEDIA_BUCKET")?);
        // Absent where no film is converted by a job.
        let jobs = environment.text("CONVERT_QUEUE_URL").ok().map(|url| Sqs::new(&aws, url));
        let jobs = jobs.as_ref();
        let reviews = &Sqs::new(&aws, environment.text("REVIEW_QUEUE_URL")?);
        let caches = &Sqs::new(&aws, environment.text("FORGET_QUEUE_URL")?);
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let id = http::video_id(&request)?;
            let (s, v, t, u, m) = (&System, videos, tasks, uploads, media);
            delete_video(s, v, t, u, m, jobs, reviews, caches, caller, &id).await?;
            Ok(Reply::empty())
        })
        .await
    })
}
