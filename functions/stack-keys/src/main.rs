//! CloudFormation: makes the stack's keys once, and hands on the public half.

use adapter_secrets::Secrets;
use app::ports::{Random, System};
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::rand_core::OsRng;
use runtime::custom_resource;
use serde_json::{Value, json};

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |_| {
        let aws = runtime::aws::config().await;
        let secrets = &Secrets::new(&aws);
        custom_resource::serve("stack-keys", move |properties: Value| async move {
            let name = |field: &str| {
                let name = properties[field].as_str().map(str::to_owned);
                name.ok_or_else(|| format!("the property {field} is missing"))
            };
            // A chain that can't be read should stop the deployment, not the first viewer.
            secrets.chains(&name("ChainsSecret")?).await?;
            secrets.ensure_session_key(&name("SessionSecret")?, System.bytes()).await?;
            let fresh = SigningKey::random(&mut OsRng);
            let public = secrets.ensure_signing_key(&name("SigningSecret")?, fresh).await?;
            Ok(json!({"PublicKey": public}))
        })
        .await
    })
}
