//! SQS: something that live grants rest on has changed.

use adapter_dynamodb::{Audit, Grants, PolicyList, Videos};
use adapter_sqs::Sqs;
use app::gate::Sharing;
use app::ports::System;
use app::review_grants::review_grants;
use runtime::queue;
use runtime::schedule::WallClock;
use runtime::settings::EdgeSettings;
use runtime_gate::Gatehouse;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let gatehouse = &Gatehouse::new(&environment, &aws)?;
        let grants = &Grants::new(&aws, environment.text("GRANTS_TABLE")?);
        let table = environment.text("VIDEOS_TABLE")?;
        let (videos, policies) = (&Videos::new(&aws, &table), &PolicyList::new(&aws, &table));
        let edge = &Sqs::in_groups(&aws, environment.text("REVOKE_QUEUE_URL")?, "group");
        let audit = &Audit::new(&aws, environment.text("AUDIT_TABLE")?);
        let settings = &EdgeSettings::new(&environment, &aws)?;
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        let reviews = &own.clone();
        queue::serve("grant-review", own, async move |message| {
            // What is read for reviews does not make others' answers younger than they were asked for.
            let gate = &gatehouse.gate(Sharing::Reads).await?;
            let review = &message.json()?;
            // Only records name it: no end waits for a setting that can't be read.
            let origin = settings.get().await.map_or("", |edge| &*edge.origin);
            let audit = (audit, origin);
            let (s, v, p) = (&System, videos, policies);
            review_grants(s, v, p, grants, &WallClock, audit, gate, edge, reviews, review).await
        })
        .await
    })
}
