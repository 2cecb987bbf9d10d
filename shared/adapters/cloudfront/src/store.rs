//! What the edges read: CloudFront's KeyValueStore, through its data plane.
//!
//! It wants SigV4A, which the SDK does in Rust. Quotas ("Quotas on key value stores" in the developer
//! guide): 5 MB for a store, 512 bytes for a key, 1 KB for a value, 50 keys or 3 MB for one UpdateKeys.

use app::ports::{EdgeStore, MAX_STORE_WRITES, PortError, StoreRead, StoreSize};
use aws_sdk_cloudfrontkeyvaluestore::config::endpoint::{
    Endpoint, EndpointFuture, Params, ResolveEndpoint,
};
use aws_sdk_cloudfrontkeyvaluestore::operation::describe_key_value_store::DescribeKeyValueStoreOutput;
use aws_sdk_cloudfrontkeyvaluestore::types::{DeleteKeyRequestListItem, PutKeyRequestListItem};
use aws_sdk_cloudfrontkeyvaluestore::{Client, Config};
use aws_smithy_types::Document;
use aws_smithy_types::endpoint::EndpointAuthScheme;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;

const SYSTEM: &str = "key value store";
/// How many keys are asked for at a time.
const AT_A_TIME: usize = 10;

/// One key value store.
#[derive(Debug, Clone)]
pub struct KeyValueStore {
    client: Client,
    arn: String,
}

impl KeyValueStore {
    /// The store with this ARN.
    pub fn new(config: &aws_config::SdkConfig, arn: impl Into<String>) -> Self {
        let mut own = Config::from(config).to_builder();
        if let Some(url) = config.endpoint_url() {
            own = own.endpoint_resolver(OneAddress(url.to_owned()));
        }
        Self { client: Client::from_conf(own.build()), arn: arn.into() }
    }

    async fn describe(&self) -> Result<DescribeKeyValueStoreOutput, PortError> {
        let asked = self.client.describe_key_value_store().kvs_arn(&self.arn);
        asked.send().await.map_err(|error| adapter_aws::failed(SYSTEM, &error))
    }

    async fn value(&self, key: &str) -> Result<Option<(String, String)>, PortError> {
        match self.client.get_key().kvs_arn(&self.arn).key(key).send().await {
            Ok(found) => Ok(Some((found.key, found.value))),
            // The store itself is there: it was described just before.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(adapter_aws::failed(SYSTEM, &error)),
        }
    }
}

impl EdgeStore for KeyValueStore {
    async fn size(&self) -> Result<StoreSize, PortError> {
        let described = self.describe().await?;
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        Ok(StoreSize {
            bytes: number(described.total_size_in_bytes),
            items: number(described.item_count.into()),
        })
    }

    async fn get(&self, keys: &[String]) -> Result<StoreRead, PortError> {
        let version = self.describe().await?.e_tag;
        let found: Vec<_> = stream::iter(keys)
            .map(|key| self.value(key))
            .buffer_unordered(AT_A_TIME)
            .try_collect()
            .await?;
        Ok(StoreRead { values: found.into_iter().flatten().collect(), version })
    }

    async fn all(&self) -> Result<StoreRead, PortError> {
        let version = self.describe().await?.e_tag;
        let mut values = BTreeMap::new();
        let mut pages =
            self.client.list_keys().kvs_arn(&self.arn).max_results(50).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| adapter_aws::failed(SYSTEM, &error))?;
            let items = page.items.unwrap_or_default();
            values.extend(items.into_iter().map(|item| (item.key, item.value)));
        }
        Ok(StoreRead { values, version })
    }

    async fn write(
        &self,
        version: &str,
        puts: &BTreeMap<String, String>,
        deletes: &[String],
    ) -> Result<Option<String>, PortError> {
        if puts.len() + deletes.len() > MAX_STORE_WRITES {
            return Err(PortError::new(SYSTEM, "too many keys at once"));
        }
        let incomplete = |error| PortError::new(SYSTEM, error);
        let mut update = self.client.update_keys().kvs_arn(&self.arn).if_match(version);
        for (key, value) in puts {
            let put = PutKeyRequestListItem::builder().key(key).value(value).build();
            update = update.puts(put.map_err(incomplete)?);
        }
        for key in deletes {
            let delete = DeleteKeyRequestListItem::builder().key(key).build();
            update = update.deletes(delete.map_err(incomplete)?);
        }
        match update.send().await {
            Ok(written) => Ok(Some(written.e_tag)),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conflict_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(adapter_aws::failed(SYSTEM, &error)),
        }
    }
}

/// A local engine's address as it is: the SDK would put the account's id before its host, and no such host is there.
#[derive(Debug)]
struct OneAddress(String);

impl ResolveEndpoint for OneAddress {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        let scheme = EndpointAuthScheme::with_capacity("sigv4a", 2)
            .put("signingName", "cloudfront-keyvaluestore")
            .put("signingRegionSet", vec![Document::from("*".to_owned())]);
        EndpointFuture::ready(Ok(Endpoint::builder()
            .url(self.0.clone())
            .auth_scheme(scheme)
            .build()))
    }
}
