//! CloudFormation custom resources: a request in, an answer PUT to where CloudFormation waits.
//!
//! Follows "Custom resource request objects" and "response objects" in the CloudFormation guide.

use lambda_runtime::Error;
use serde::Deserialize;
use serde_json::{Value, json};

/// What CloudFormation wants.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    /// What to do.
    pub request_type: RequestType,
    /// Given back in the answer.
    pub request_id: String,
    /// Given back in the answer.
    pub stack_id: String,
    /// Given back in the answer.
    pub logical_resource_id: String,
    /// Where it waits for the answer: presigned, so a secret.
    #[serde(rename = "ResponseURL")]
    pub response_url: String,
    /// From the template.
    #[serde(default)]
    pub resource_properties: Value,
}

/// What to do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RequestType {
    /// Make it.
    Create,
    /// Bring it up to date.
    Update,
    /// Remove it.
    Delete,
}

/// The answer to a request whose outcome is known.
pub fn answer(request: &Request, physical_id: &str, outcome: Result<Value, Error>) -> Value {
    let mut answer = json!({
        "Status": "SUCCESS",
        "PhysicalResourceId": physical_id,
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_resource_id,
    });
    match outcome {
        Ok(data) => answer["Data"] = data,
        Err(error) => {
            answer["Status"] = "FAILED".into();
            // The whole answer may have 4096 bytes.
            let reason: String = error.to_string().chars().take(500).collect();
            answer["Reason"] = reason.into();
        }
    }
    answer
}

/// Answers create, update and delete of one kind of resource.
///
/// `apply` is called on create and update with the resource's properties, and answers with the
/// attributes for `Fn::GetAtt`; `remove` on delete, for what does not go with the stack by itself.
///
/// # Errors
/// When the runtime API is lost.
#[cfg(feature = "custom-resource")]
pub async fn serve<F, G>(
    physical_id: &'static str,
    apply: impl Fn(Value) -> F,
    remove: impl Fn(Value) -> G,
) -> Result<(), Error>
where
    F: Future<Output = Result<Value, Error>>,
    G: Future<Output = Result<(), Error>>,
{
    use lambda_runtime::{LambdaEvent, service_fn};

    // reqwest is built without a provider of its own; a second install only says it was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (apply, remove) = (&apply, &remove);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Request>| async move {
        let since = std::time::Instant::now();
        let mut request = event.payload;
        let properties = request.resource_properties.take();
        let outcome = match request.request_type {
            RequestType::Delete => remove(properties).await.map(|()| json!({})),
            _ => apply(properties).await,
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, "the custom resource failed");
        }
        let (word, status) = if outcome.is_ok() { ("ok", 200) } else { ("failed", 500) };
        let sent = reply(&request.response_url, &answer(&request, physical_id, outcome)).await;
        crate::telemetry::finished(&request.request_id, physical_id, word, status, since);
        sent
    }))
    .await
}

/// The address comes with the event, from CloudFormation itself: only an IAM principal of the
/// account can invoke this function.
#[cfg(feature = "custom-resource")]
async fn reply(url: &str, answer: &Value) -> Result<(), Error> {
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(20)).build()?;
    // Without a content type: CloudFormation's presigned address is signed for none.
    // An error names the address, which is presigned; without it, it may be logged.
    let sent = client.put(url).body(answer.to_string()).send().await;
    sent.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url)?;
    Ok(())
}
