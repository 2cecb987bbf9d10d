//! alloy's JSON-RPC client over an endpoint of ours, which reads no more of a body than is good
//! and says nothing of its address.

use adapter_provider::{Endpoint, Failure};
use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{RpcError, TransportError, TransportErrorKind, TransportFut};
use std::task::{Context, Poll};

/// The way to one provider. It knows neither time limits nor retries: those are around it.
#[derive(Debug, Clone)]
pub(crate) struct Transport(pub(crate) Endpoint);

impl Transport {
    async fn post(self, question: RequestPacket) -> Result<ResponsePacket, Failure> {
        let question = serde_json::to_vec(&question).map_err(|_| Failure::Garbage)?;
        let answer = self.0.post(question).await?;
        serde_json::from_slice(&answer).map_err(|_| Failure::Garbage)
    }
}

impl tower_service::Service<RequestPacket> for Transport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: RequestPacket) -> Self::Future {
        let answer = self.clone().post(question);
        Box::pin(async move { answer.await.map_err(TransportErrorKind::custom) })
    }
}

/// The failure behind an error of the client. Its own words are dropped: they may quote the node.
pub(crate) fn failure(error: TransportError) -> Failure {
    match error {
        RpcError::ErrorResp(error) => Failure::Error(error.code),
        RpcError::Transport(TransportErrorKind::Custom(cause)) => {
            cause.downcast_ref().cloned().unwrap_or(Failure::Garbage)
        }
        _ => Failure::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_way_through_the_client() {
        assert_eq!(failure(TransportErrorKind::custom(Failure::TooLong)), Failure::TooLong);
        let words = TransportErrorKind::custom_str("https://node.example/key");
        assert_eq!(failure(words), Failure::Garbage);
    }
}
