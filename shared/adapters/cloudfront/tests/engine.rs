//! The store on an engine. Ignored unless asked for: it wants `AWS_ENDPOINT_URL`, credentials and `EDGE_STORE_ARN`.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use adapter_cloudfront::KeyValueStore;
use app::ports::{EdgeStore, MAX_STORE_WRITES};
use std::collections::BTreeMap;

#[tokio::test]
#[ignore = "needs an engine"]
async fn what_is_written_is_read_and_a_lost_race_is_told() {
    let client = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest());
    let config = config.http_client(client).region("us-east-1").load().await;
    let store = KeyValueStore::new(&config, std::env::var("EDGE_STORE_ARN").unwrap());
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
