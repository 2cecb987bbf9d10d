//! SQS: something that live grants rest on has changed.

use adapter_dynamodb::{Audit, Grants, PolicyList, Videos};
use adapter_sqs::Sqs;
use app::ports::System;
use app::review_grants::review_grants;
use runtime::queue;
use runtime::settings::EdgeSettings;
use runtime_gate::Gatehouse;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let gatehouse = &Gatehouse::new(&environment, &aws)?;
        let grants = &Grants::given(&aws, environment.text("GRANTS_TABLE")?);
        let table = environment.text("VIDEOS_TABLE")?;
        let (videos, policies) = (&Videos::new(&aws, &table), &PolicyList::new(&aws, &table));
        let edge = &Sqs::in_groups(&aws, environment.text("REVOKE_QUEUE_URL")?, "group");
        let audit = &Audit::new(&aws, environment.text("AUDIT_TABLE")?);
        let settings = &EdgeSettings::new(&environment, &aws)?;
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        let reviews = &own.clone();
        queue::serve("grant-review", own, async move |message| {
            // What is read for reviews does not make others' answers younger than they were asked for.
            let gate = &gatehouse.gate(false).await?;
            let review = &message.json()?;
            let audit = (audit, &*settings.get().await?.origin);
            let (s, v, p) = (&System, videos, policies);
            review_grants(s, v, p, grants, audit, gate, edge, reviews, review).await
        })
        .await
    })
}
