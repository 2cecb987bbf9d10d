//! CloudFormation: makes the stack's keys once, and the key group that CloudFront trusts. What is
//! there stays: rotation is another function's, and no deploy undoes it.

use adapter_cloudfront::KeyValueStore;
use adapter_cloudfront::keys::EdgeKeys;
use adapter_secrets::Secrets;
use app::apply_revocations::ShardKeys;
use app::ports::{Nowhere, System};
use app::rotate_keys::{KeyTerms, rotate_keys};
use domain::keyring::KeyKind;
use runtime::{custom_resource, keys};
use serde_json::{Value, json};

/// A deploy makes what is missing, and begins no rotation. No grant or session ends by it.
const TERMS: KeyTerms =
    KeyTerms { lifetime: u64::MAX, propagation: keys::PROPAGATION, grant: 86_400, session: 86_400 };

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |_| {
        let aws = &runtime::aws::config().await;
        let apply = move |properties: Value| async move {
            // A chain that can't be read should stop the deployment, not the first viewer.
            Secrets::new(aws).chains(&text(&properties, "ChainsSecret")?).await?;
            let secret = |kind| text(&properties, keys::property(kind));
            let store = &keys::keyrings(aws, secret)?;
            let edge = &EdgeKeys::new(aws, text(&properties, "KeyGroup")?);
            rotate_keys(&System, store, edge, KeyKind::Signing, TERMS).await?;
            let values = &KeyValueStore::new(aws, text(&properties, "EdgeStore")?);
            let shards = &ShardKeys { clock: &System, store: values };
            rotate_keys(&System, store, shards, KeyKind::Token, TERMS).await?;
            for kind in [KeyKind::Session, KeyKind::Content, KeyKind::Receipt] {
                rotate_keys(&System, store, &Nowhere, kind, TERMS).await?;
            }
            Ok(json!({"KeyGroupId": edge.group_id().await?}))
        };
        let remove = move |properties: Value| async move {
            Ok(EdgeKeys::new(aws, text(&properties, "KeyGroup")?).remove().await?)
        };
        custom_resource::serve("stack-keys", apply, remove).await
    })
}

fn text(properties: &Value, field: &str) -> Result<String, String> {
    let text = properties[field].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("the property {field} is missing"))
}
