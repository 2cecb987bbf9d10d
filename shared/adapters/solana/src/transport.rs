//! How solana-client's requests reach a provider: its own sender retries as it likes, reads
//! bodies of any length and puts addresses into its errors.

use adapter_provider::{Endpoint, Failure};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use solana_client::client_error::{ClientError, ClientErrorKind, Result};
use solana_client::rpc_custom_error::{
    JSON_RPC_SERVER_ERROR_MIN_CONTEXT_SLOT_NOT_REACHED, JSON_RPC_SERVER_ERROR_NODE_UNHEALTHY,
};
use solana_client::rpc_request::RpcRequest;
use solana_client::rpc_sender::{RpcSender, RpcTransportStats};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// One request, one POST. Retries and time limits are for whoever sends.
pub(crate) struct Transport {
    endpoint: Endpoint,
    requests: AtomicU64,
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    // A member that is null is there; one that is missing is not.
    #[serde(default, deserialize_with = "there")]
    result: Option<Value>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

/// Its message is a stranger's text, and stays with the stranger.
#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
}

fn there<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl Transport {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, requests: AtomicU64::new(0) }
    }
}

#[async_trait]
impl RpcSender for Transport {
    async fn send(&self, request: RpcRequest, params: Value) -> Result<Value> {
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        let body = request.build_request_json(id, params).to_string().into_bytes();
        let body = self.endpoint.post(body).await.map_err(wrap)?;
        read(id, &body).map_err(wrap)
    }

    fn get_transport_stats(&self) -> RpcTransportStats {
        RpcTransportStats::default()
    }

    fn url(&self) -> String {
        String::new()
    }
}

fn read(id: u64, body: &[u8]) -> std::result::Result<Value, Failure> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| Failure::Garbage)?;
    match answer {
        Answer { error: Some(ErrorObject { code }), .. } => Err(match code {
            JSON_RPC_SERVER_ERROR_MIN_CONTEXT_SLOT_NOT_REACHED
            | JSON_RPC_SERVER_ERROR_NODE_UNHEALTHY => Failure::Behind,
            code => Failure::Error(code),
        }),
        Answer { id: of, result: Some(result), .. } if of == id => Ok(result),
        _ => Err(Failure::Garbage),
    }
}

fn wrap(failure: Failure) -> ClientError {
    io::Error::other(failure).into()
}

/// What went wrong, out of solana-client's error. Anything but ours is an answer that it could
/// not read.
pub(crate) fn unwrap(error: &ClientError) -> Failure {
    match error.kind() {
        ClientErrorKind::Io(error) => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Failure>())
            .map_or(Failure::Unreachable, Failure::clone),
        _ => Failure::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(text: &str) -> std::result::Result<Value, Failure> {
        read(7, text.as_bytes())
    }

    #[test]
    fn answers_are_told_from_errors_and_from_garbage() {
        assert_eq!(answer(r#"{"jsonrpc":"2.0","id":7,"result":[1]}"#), Ok(json!([1])));
        assert_eq!(answer(r#"{"id":7,"result":null,"error":null}"#), Ok(Value::Null));
        for (code, failure) in
            [(-32016, Failure::Behind), (-32005, Failure::Behind), (-32601, Failure::Error(-32601))]
        {
            let text = json!({"id": 7, "error": {"code": code, "message": "m"}}).to_string();
            assert_eq!(answer(&text), Err(failure));
        }
        for text in [
            "",
            "<html>",
            "null",
            "[]",
            "{}",
            r#"{"id":7}"#,
            r#"{"id":8,"result":1}"#,
            r#"{"result":1}"#,
            r#"{"id":7,"error":"no"}"#,
        ] {
            assert_eq!(answer(text), Err(Failure::Garbage), "{text}");
        }
    }

    #[test]
    fn failures_survive_the_way_through_solana_client() {
        for failure in [Failure::Busy, Failure::TooLong, Failure::Error(-1)] {
            assert_eq!(unwrap(&wrap(failure.clone())), failure);
        }
        let garbage = serde_json::from_str::<u8>("x").unwrap_err();
        assert_eq!(unwrap(&ClientErrorKind::from(garbage).into()), Failure::Garbage);
    }
}
