//! CloudFormation: puts the page's files, which are part of this binary, where CloudFront reads.

use adapter_s3::S3;
use runtime::custom_resource;
use serde_json::{Value, json};

/// Name, media type and content.
const FILES: [(&str, &str, &[u8]); 5] = [
    ("index.html", "text/html; charset=utf-8", include_bytes!("../../../web/index.html")),
    ("style.css", "text/css; charset=utf-8", include_bytes!("../../../web/style.css")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../../../web/app.js")),
    (
        "vendor/hls.min.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../web/vendor/hls.min.js"),
    ),
    (
        "vendor/hls.LICENSE.txt",
        "text/plain; charset=utf-8",
        include_bytes!("../../../web/vendor/hls.LICENSE.txt"),
    ),
];
/// Short: a new deployment should be seen soon.
const CACHE_CONTROL: &str = "public, max-age=60";

fn main() -> Result<(), runtime::Error> {
    runtime::run(async |_| {
        let aws = runtime::aws::config().await;
        let aws = &aws;
        let apply = move |properties: Value| async move {
            let bucket = properties["Bucket"].as_str().ok_or("the property Bucket is missing")?;
            let bucket = S3::new(aws, bucket);
            for (name, content_type, body) in FILES {
                bucket
                    .put_cached(&format!("page/{name}"), content_type, CACHE_CONTROL, body)
                    .await?;
            }
            Ok(json!({}))
        };
        // The page goes with its bucket.
        custom_resource::serve("stack-page", apply, async |_| Ok(())).await
    })
}
