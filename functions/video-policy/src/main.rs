//! `PUT /v1/videos/{id}/policy`

use adapter_dynamodb::Videos;
use adapter_sqs::Sqs;
use app::ports::System;
use app::set_policy::set_policy;
use domain::policy::Known;
use runtime::http::{self, Reply};
use runtime::settings::{self, Chains, Sessions};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let plugins = &settings::plugins(&environment)?.into_keys().collect::<Vec<_>>();
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let chains = &Chains::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let reviews = &Sqs::new(&aws, environment.text("REVIEW_QUEUE_URL")?);
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let id = http::video_id(&request)?;
            let new = http::body(&request)?;
            let known = &Known { chains: &chains.names().await?, plugins };
            let video = set_policy(&System, videos, reviews, known, caller, &id, new).await?;
            Reply::json(200, &video)
        })
        .await
    })
}
