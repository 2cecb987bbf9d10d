//! `GET /v1/videos/{id}/keys/{period}?grant=..`

use adapter_dynamodb::{Grants, Videos};
use app::deliver::GRANT_COOKIE;
use app::open_key::{WantedKey, open_key};
use app::ports::System;
use runtime::http::{self, Reply};
use runtime::settings::ContentKeys;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let content = &ContentKeys::new(&environment, &aws)?;
        http::serve(move |request| async move {
            let video = &http::video_id(&request)?;
            let period = &http::path(&request, "period")?;
            // In the address, where playlists are written for a grant; else in its cookie.
            let shown = http::query(&request, "grant");
            let token = &shown.or_else(|| http::cookie(&request, GRANT_COOKIE)).unwrap_or_default();
            let wanted = WantedKey { video, period, token };
            let key = open_key(&System, videos, grants, content, &wanted).await?;
            Ok(Reply::bytes("application/octet-stream", &key))
        })
        .await
    })
}
