//! One provider of a cluster.

use crate::transport::{Transport, unwrap};
use adapter_provider::{Endpoint, Failure, Panel, attempts};
use domain::account::Genesis;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_client::nonblocking::rpc_client::RpcClient;
use solana_client::rpc_client::RpcClientConfig;
use solana_client::rpc_request::RpcRequest;
use std::fmt;
use tokio::sync::OnceCell;

/// What is asked for is confirmed: more than two thirds of the stake voted for it.
pub(crate) const COMMITMENT: &str = "confirmed";

/// One provider, by its place in the settings.
pub(crate) struct Provider {
    place: usize,
    client: RpcClient,
    /// Set once it has said that it serves the right cluster.
    checked: OnceCell<()>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Provider").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Provider {
    /// `None` if the address is none.
    pub(crate) fn new(place: usize, address: &str) -> Option<Self> {
        let sender = Transport::new(Endpoint::new(address)?);
        let client = RpcClient::new_sender(sender, RpcClientConfig::default());
        Some(Self { place, client, checked: OnceCell::new() })
    }

    /// Asks, and asks again where that may help.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        panel: &Panel,
        request: RpcRequest,
        params: Value,
    ) -> Result<T, Failure> {
        attempts(panel.timing(), || async {
            panel.count(self.place);
            self.client.send(request, params.clone()).await.map_err(|error| unwrap(&error))
        })
        .await
    }

    /// Whether it serves this cluster; asked until it once said so.
    pub(crate) async fn check(&self, panel: &Panel, genesis: Genesis) -> Result<(), Failure> {
        self.checked
            .get_or_try_init(|| async {
                let hash: String = self.ask(panel, RpcRequest::GetGenesisHash, json!([])).await?;
                match hash.get(..32) == Some(genesis.as_str()) {
                    true => Ok(()),
                    false => Err(Failure::WrongChain),
                }
            })
            .await
            .copied()
    }
}
