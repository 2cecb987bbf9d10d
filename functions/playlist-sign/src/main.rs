//! `GET /v1/videos/{id}/playlists/{name}?grant=..`

use adapter_dynamodb::{Grants, Videos};
use adapter_s3::S3;
use app::ports::System;
use app::sign_playlist::{Opened, Wanted, sign_playlist};
use runtime::delivery::EdgeSigner;
use runtime::http::{self, Reply};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let signer = &EdgeSigner::new(&environment, &aws)?;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let media = &S3::new(&aws, environment.text("MEDIA_BUCKET")?);
        http::serve(move |request| async move {
            let id = http::video_id(&request)?;
            let name = http::path(&request, "name")?;
            let token = http::query(&request, "grant").unwrap_or_default();
            let signer = &signer.get().await?;
            let wanted = Wanted { video: &id, name: &name, token: &token };
            let opened = sign_playlist(&System, videos, grants, media, signer, &wanted).await?;
            match opened {
                Opened::Playlist(playlist) => {
                    Reply::packed(&request, playlist.content_type, playlist.text)
                }
                Opened::At(address) => Ok(Reply::elsewhere(address)),
            }
        })
        .await
    })
}
