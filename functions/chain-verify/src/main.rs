//! `POST /v1/verify`

use app::gate::Sharing;
use app::ports::System;
use app::verify_policy::verify_policy;
use runtime::http::{self, Reply};
use runtime::settings::Sessions;
use runtime_gate::Gatehouse;

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |environment| {
        let aws = runtime::aws::config().await;
        let sessions = &Sessions::new(&environment, &aws)?;
        let gatehouse = &Gatehouse::new(&environment, &aws)?;
        http::serve(move |request| async move {
            sessions.caller(&request).await?;
            let question = http::body(&request)?;
            let names = gatehouse.names().await?;
            let gate = &gatehouse.gate(Sharing::Reads).await?;
            let decision = verify_policy(&System, gate, &names.known(), &question).await?;
            Reply::json(200, &decision)
        })
        .await
    })
}
