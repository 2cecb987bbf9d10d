//! SQS: what the edge is to be told, a batch at a time.

use adapter_cloudfront::KeyValueStore;
use adapter_sqs::Sqs;
use app::apply_revocations::{RevokeMessage, apply_revocations};
use app::ports::System;
use runtime::queue;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let store = &KeyValueStore::new(&aws, environment.text("EDGE_STORE")?);
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        queue::serve_batches("edge-revoke", own, async move |messages| {
            let messages: Vec<RevokeMessage> =
                messages.iter().map(queue::Message::json).collect::<Result<_, _>>()?;
            apply_revocations(&System, store, &messages).await
        })
        .await
    })
}
