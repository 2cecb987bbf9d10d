//! The store and the caches on an engine. Ignored unless asked for: they want `AWS_ENDPOINT_URL`, credentials,
//! `EDGE_STORE_ARN` and `EDGE_DISTRIBUTION`.

use adapter_cloudfront::{Distribution, KeyValueStore};
use app::ports::{EdgeStore, Invalidations, MAX_STORE_WRITES};
use std::collections::BTreeMap;

async fn config() -> aws_config::SdkConfig {
    let client = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest());
    config.http_client(client).region("us-east-1").load().await
}

#[tokio::test]
#[ignore = "needs an engine"]
async fn what_is_written_is_read_and_a_lost_race_is_told() {
    let store = KeyValueStore::new(&config().await, std::env::var("EDGE_STORE_ARN").unwrap());
    let keys: Vec<String> = (0..MAX_STORE_WRITES).map(|number| format!("t{number:03x}")).collect();
    let puts: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), format!("a={key}"))).collect();

    let empty = store.get(&keys).await.unwrap();
    assert!(empty.values.is_empty());
    let before = store.size().await.unwrap();
    let version = store.write(&empty.version, &puts, &[]).await.unwrap().unwrap();
    assert_eq!(store.write(&empty.version, &puts, &[]).await, Ok(None), "somebody wrote since");
    let full = store.get(&keys).await.unwrap();
    assert_eq!((&full.values, &full.version), (&puts, &version));
    let after = store.size().await.unwrap();
    assert_eq!(after.items - before.items, 50);
    assert_eq!(after.bytes - before.bytes, 50 * (4 + 6));

    // More than a page.
    let one = [("t999".to_owned(), "x".to_owned())].into();
    let version = store.write(&version, &one, &[]).await.unwrap().unwrap();
    assert_eq!(store.all().await.unwrap().values.len() as u64, after.items + 1);
    let version = store.write(&version, &BTreeMap::new(), &keys).await.unwrap().unwrap();
    store.write(&version, &BTreeMap::new(), &["t999".to_owned()]).await.unwrap().unwrap();
    assert_eq!(store.size().await, Ok(before));
    assert!(store.write(&version, &puts, &["t999".to_owned()]).await.is_err(), "too many");
}

#[tokio::test]
#[ignore = "needs an engine"]
async fn the_same_paths_may_be_forgotten_again() {
    let distribution =
        Distribution::new(&config().await, std::env::var("EDGE_DISTRIBUTION").unwrap());
    for _ in 0..2 {
        distribution.invalidate(&["/v/film/*".to_owned()]).await.unwrap();
    }
}
