//! `POST /v1/webhooks/chain/{provider}`

use adapter_dynamodb::{DeliveryLog, Facts, PolicyList};
use adapter_sqs::Sqs;
use app::ports::System;
use app::receive_webhook::{Delivery, receive_webhook};
use app::touched::{Notices, PolicyBook, again_after};
use runtime::http::{self, Reply};
use runtime::settings::Webhooks;
use std::collections::BTreeMap;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let again_after = again_after(environment.number_from_zero("FACT_SECONDS")?);
        let aws = runtime::aws::config().await;
        let webhooks = &Webhooks::new(&environment, &aws)?;
        let policies = &PolicyList::new(&aws, environment.text("VIDEOS_TABLE")?);
        let deliveries = &DeliveryLog::new(&aws, environment.text("NONCES_TABLE")?);
        let facts = &Facts::new(&aws, environment.text("FACTS_TABLE")?);
        let reviews = &Sqs::new(&aws, environment.text("REVIEW_QUEUE_URL")?);
        let book = &PolicyBook::default();
        http::serve(move |request| async move {
            let provider = &http::path(&request, "provider")?;
            let notices = &Notices { facts, reviews, again_after };
            let header = &|name| http::only_header(&request, name);
            let delivery = &Delivery { provider, header, body: request.body() };
            let hooks = webhooks.get().await?;
            let policies = (policies, book);
            receive_webhook(&System, policies, deliveries, notices, hooks, delivery).await?;
            // Providers want a 200 and a body that is JSON.
            Reply::json(200, &BTreeMap::<String, String>::new())
        })
        .await
    })
}
