//! `GET /v1/videos` and `GET /v1/videos/{id}`

use adapter_dynamodb::{Tasks, Videos};
use app::ports::System;
use app::read_video::{list_videos, read_video};
use runtime::http::{self, Reply};
use runtime::settings::Sessions;
use serde_json::json;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let table = environment.text("VIDEOS_TABLE")?;
        let tasks = &Tasks::new(&aws, environment.text("TASKS_TABLE")?, &table);
        let videos = &Videos::new(&aws, &table);
        http::serve(move |request| async move {
            if http::path(&request, "id").is_err() {
                let caller = sessions.caller(&request).await?;
                let own = list_videos(videos, &caller).await?;
                return Reply::json(200, &json!({"videos": own}));
            }
            let caller = sessions.caller_if_any(&request).await?;
            let id = http::video_id(&request)?;
            let video = read_video(&System, videos, tasks, caller.as_ref(), &id).await?;
            Reply::json(200, &video)
        })
        .await
    })
}
