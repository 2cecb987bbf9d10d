//! SQS: films that are gone.

use adapter_cloudfront::Distribution;
use adapter_sqs::Sqs;
use app::forget_video::forget_video;
use runtime::queue;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let caches = &Distribution::new(&aws, environment.text("DISTRIBUTION")?);
        let own = Sqs::new(&aws, environment.text("QUEUE_URL")?);
        queue::serve("edge-forget", own, async move |message| {
            forget_video(caches, &message.json()?).await
        })
        .await
    })
}
