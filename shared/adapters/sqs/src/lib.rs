//! The workers' queues, in SQS.

use app::ports::{PortError, Queue};
use aws_sdk_sqs::Client;
use domain::Seconds;
use serde::Serialize;

/// SQS keeps no message back for longer, in seconds.
const LONGEST_DELAY: Seconds = 900;

/// One queue.
#[derive(Debug, Clone)]
pub struct Sqs {
    client: Client,
    url: String,
    /// Which field of a message names its group, of a FIFO queue.
    group: Option<&'static str>,
}

impl Sqs {
    /// The queue at `url`.
    pub fn new(config: &aws_config::SdkConfig, url: impl Into<String>) -> Self {
        Self { client: Client::new(config), url: url.into(), group: None }
    }

    /// The FIFO queue at `url`: messages with the same text in the field `group` are worked on one
    /// after the other.
    pub fn in_groups(
        config: &aws_config::SdkConfig,
        url: impl Into<String>,
        group: &'static str,
    ) -> Self {
        Self { group: Some(group), ..Self::new(config, url) }
    }

    /// Keeps a message that is being worked on from others for `seconds` more.
    ///
    /// # Errors
    /// When SQS can't be reached or the receipt is no longer the message's.
    pub async fn extend(&self, receipt: &str, seconds: i32) -> Result<(), PortError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .send()
            .await
            .map(drop)
            .map_err(|error| adapter_aws::failed("sqs", &error))
    }
}

impl<Message: Serialize> Queue<Message> for Sqs {
    async fn send_later(&self, message: &Message, seconds: Seconds) -> Result<(), PortError> {
        // A FIFO queue refuses even a delay of 0.
        let delay = i32::try_from(seconds.min(LONGEST_DELAY)).ok().filter(|delay| *delay > 0);
        let body = serde_json::to_value(message).map_err(|error| PortError::new("sqs", error))?;
        let group = self.group.and_then(|field| body[field].as_str()).map(str::to_owned);
        // Every message counts: one that was lost is sent again with the same text, and the queue
        // would take that for a copy.
        let unlike_any = group.as_ref().map(|_| format!("{:032x}", rand::random::<u128>()));
        self.client
            .send_message()
            .queue_url(&self.url)
            .set_message_group_id(group)
            .set_message_deduplication_id(unlike_any)
            .set_delay_seconds(delay)
            .message_body(body.to_string())
            .send()
            .await
            .map(drop)
            .map_err(|error| adapter_aws::failed("sqs", &error))
    }
}
