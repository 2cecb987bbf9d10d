//! CloudFormation custom resources: a request in, an answer PUT to where CloudFormation waits.
//!
//! Follows "Custom resource request objects" and "response objects" in the CloudFormation guide.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    request_type: String,
    request_id: String,
    stack_id: String,
    logical_resource_id: String,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    #[serde(default)]
    resource_properties: Value,
}

/// Answers create, update and delete of one kind of resource.
///
/// `apply` is called on create and update with the resource's properties, and answers with the
/// attributes for `Fn::GetAtt`. Delete always succeeds and removes nothing: keys and pages outlive
/// a roll-back, and the stack's own resources go with the stack.
///
/// # Errors
/// When the runtime API is lost.
pub async fn serve<F: Future<Output = Result<Value, Error>>>(
    physical_id: &'static str,
    apply: impl Fn(Value) -> F,
) -> Result<(), Error> {
    // reqwest is built without a provider of its own; a second install only says it was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let apply = &apply;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Request>| async move {
        let request = event.payload;
        let outcome = match request.request_type.as_str() {
            "Delete" => Ok(json!({})),
            _ => apply(request.resource_properties).await,
        };
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
                tracing::error!(%error, "the custom resource failed");
                answer["Status"] = "FAILED".into();
                answer["Reason"] = error.to_string().into();
            }
        }
        reply(&request.response_url, &answer).await
    }))
    .await
}

/// The address comes with the event, from CloudFormation itself: only an IAM principal of the
/// account can invoke this function.
async fn reply(url: &str, answer: &Value) -> Result<(), Error> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    // Without a content type: CloudFormation's presigned address is signed for none.
    client.put(url).body(answer.to_string()).send().await?.error_for_status()?;
    Ok(())
}
