//! `POST /v1/videos`

use adapter_dynamodb::Videos;
use adapter_s3::S3;
use app::create_video::{Rules, create_video};
use app::ports::System;
use domain::policy::Known;
use runtime::http::{self, Reply};
use runtime::settings::{self, Chains, Sessions};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let creators = environment.list("CREATORS")?;
        let rules = &Rules { creators, max_bytes: environment.number("MAX_UPLOAD_BYTES")? };
        let plugins = &settings::plugins(&environment)?.into_keys().collect::<Vec<_>>();
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let chains = &Chains::new(&environment, &aws)?;
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let uploads = &S3::new(&aws, environment.text("UPLOADS_BUCKET")?);
        http::serve(move |request| async move {
            let caller = &sessions.caller(&request).await?;
            let new = http::body(&request)?;
            let known = &Known { chains: &chains.names().await?, plugins };
            let created = create_video(&System, videos, uploads, rules, known, caller, new).await?;
            Reply::json(201, &created)
        })
        .await
    })
}
