//! On a schedule: keys come and go. An operator asks for new ones at once with
//! `{"rotate": ["signing"]}`.

use adapter_cloudfront::KeyValueStore;
use adapter_cloudfront::keys::EdgeKeys;
use app::apply_revocations::ShardKeys;
use app::ports::{Nowhere, PortError, System};
use app::rotate_keys::{KeyTerms, RotateRequest, rotate_keys};
use domain::keyring::KeyKind;
use runtime::{keys, schedule};

const DAY: u64 = 86_400;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let terms = KeyTerms {
            lifetime: environment.number("KEY_DAYS")? * DAY,
            propagation: environment.number_or("PROPAGATION_SECONDS", keys::PROPAGATION)?,
            grant: environment.number("GRANT_MINUTES")? * 60,
            session: environment.number("SESSION_MINUTES")? * 60,
        };
        let aws = runtime::aws::config().await;
        let store = &keys::keyrings(&aws, |kind| environment.text(keys::variable(kind)))?;
        let edge = &EdgeKeys::new(&aws, environment.text("KEY_GROUP")?);
        let values = &KeyValueStore::new(&aws, environment.text("EDGE_STORE")?);
        let shards = &ShardKeys { clock: &System, store: values };
        schedule::serve("key-rotate", async move |request: RotateRequest| {
            let mut outcome = Ok::<_, PortError>(());
            for kind in KeyKind::ALL {
                let terms = request.terms(kind, terms);
                let rotated = match kind {
                    KeyKind::Signing => rotate_keys(&System, store, edge, kind, terms).await,
                    KeyKind::Token => rotate_keys(&System, store, shards, kind, terms).await,
                    _ => rotate_keys(&System, store, &Nowhere, kind, terms).await,
                };
                // One kind's trouble is not the others'.
                if let Err(error) = rotated {
                    tracing::error!(kind = kind.as_str(), %error, "keys could not be rotated");
                    outcome = Err(error);
                }
            }
            outcome
        })
        .await
    })
}
