//! SQS: something that live grants rest on has changed.

use adapter_dynamodb::{Grants, Videos};
use adapter_sqs::Sqs;
use app::ports::System;
use app::review_grants::review_grants;
use runtime::queue;
use runtime_gate::Gatehouse;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let gatehouse = &Gatehouse::new(&environment, &aws)?;
        let grants = &Grants::given(&aws, environment.text("GRANTS_TABLE")?);
        let videos = &Videos::new(&aws, environment.text("VIDEOS_TABLE")?);
        let edge = &Sqs::in_groups(&aws, environment.text("REVOKE_QUEUE_URL")?, "group");
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        queue::serve("grant-review", own, async move |message| {
            let gate = &gatehouse.gate(true).await?;
            review_grants(&System, videos, grants, gate, edge, &message.json()?).await
        })
        .await
    })
}
