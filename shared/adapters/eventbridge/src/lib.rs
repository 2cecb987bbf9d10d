//! Events to the stack's bus, from the source `streamgate`.

use app::ports::{Event, Events, PortError};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

/// The bus.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// The bus of that name.
    pub fn new(config: &aws_config::SdkConfig, bus: impl Into<String>) -> Self {
        Self { client: Client::new(config), bus: bus.into() }
    }
}

impl Events for EventBridge {
    async fn emit(&self, event: &Event) -> Result<(), PortError> {
        let kind = match event {
            Event::VideoReady { .. } => "VideoReady",
            Event::VideoFailed { .. } => "VideoFailed",
        };
        let detail =
            serde_json::to_string(event).map_err(|error| PortError::new("eventbridge", error))?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source("streamgate")
            .detail_type(kind)
            .detail(detail)
            .build();
        let answer = self
            .client
            .put_events()
            .entries(entry)
            .send()
            .await
            .map_err(|error| adapter_aws::failed("eventbridge", &error))?;
        match answer.failed_entry_count() {
            0 => Ok(()),
            _ => Err(PortError::new("eventbridge", "the bus did not take the event")),
        }
    }
}
