//! `GET /v1/videos/{id}/playlists/{name}?grant=..`

use adapter_dynamodb::{Grants, Videos};
use adapter_s3::S3;
use adapter_secrets::Secrets;
use app::ports::{PortError, System};
use app::sign_playlist::{Opened, Signer, Wanted, sign_playlist};
use runtime::http::{self, Reply};
use runtime::settings::EdgeSettings;
use tokio::sync::OnceCell;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let key_pair_id = &environment.text("KEY_PAIR_ID")?;
        let secret = &environment.text("SIGNING_SECRET")?;
        let aws = runtime::aws::config().await;
        let secrets = &Secrets::new(&aws);
        let edge = &EdgeSettings::new(&environment, &aws)?;
        let grants = &Grants::reader(&aws, environment.text("GRANTS_TABLE")?);
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let media = &S3::new(&aws, environment.text("MEDIA_BUCKET")?);
        let signer = &OnceCell::new();
        http::serve(move |request| async move {
            let id = http::video_id(&request)?;
            let name = http::path(&request, "name")?;
            let token = http::query(&request, "grant").unwrap_or_default();
            let load = async || {
                let key = secrets.signing_key(secret).await?;
                let origin = edge.get().await?.origin.clone();
                Ok::<_, PortError>(Signer { origin, key, key_pair_id: key_pair_id.clone() })
            };
            let signer = signer.get_or_try_init(load).await?;
            let wanted = Wanted { video: &id, name: &name, token: &token };
            let opened = sign_playlist(&System, videos, grants, media, signer, &wanted).await?;
            Ok(match opened {
                Opened::Playlist(playlist) => Reply::text(playlist.content_type, playlist.text),
                Opened::At(address) => Reply::elsewhere(address),
            })
        })
        .await
    })
}
