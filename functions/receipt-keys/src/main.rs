//! `GET /v1/receipts/keys`

use domain::receipt::key_set;
use runtime::http::{self, Reply};
use runtime::settings::ReceiptKeys;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let keys = &ReceiptKeys::new(&environment, &aws)?;
        http::serve(move |_| async move { Reply::json(200, &key_set(&keys.public().await?)) }).await
    })
}
