//! One provider's address, and how it is posted to.

use crate::Failure;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use std::fmt;

/// The longest body that is read.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Where a provider is. Its address may hold a key: it is shown to nobody.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    address: Url,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Endpoint")
    }
}

impl Endpoint {
    /// Of an http(s) address; `None` if it is none.
    pub fn new(address: &str) -> Option<Self> {
        let address = Url::parse(address).ok()?;
        if !matches!(address.scheme(), "http" | "https") {
            return None;
        }
        // reqwest is built without a provider of its own; a second install only says it was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would carry the request, and what it says about us, to who knows whom.
        let client = Client::builder().redirect(Policy::none()).build().ok()?;
        Some(Self { client, address })
    }

    /// Posts JSON and reads the answer, [`MAX_BODY`] at most. No time limit in here: that is
    /// [`crate::attempts`]' to keep.
    pub async fn post(&self, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let request = self
            .client
            .post(self.address.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let mut response = request.send().await.map_err(|_| Failure::Unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                return Err(Failure::Busy);
            }
            status => return Err(Failure::Status(status.as_u16())),
        }
        if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
            return Err(Failure::TooLong);
        }
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|_| Failure::Unreachable)? {
            if answer.len() + piece.len() > MAX_BODY {
                return Err(Failure::TooLong);
            }
            answer.extend_from_slice(&piece);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with these bytes, then closes.
    async fn answers(response: Vec<u8>) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            // Whoever has read enough closes before all is written.
            let _ = stream.write_all(&response).await;
        });
        Endpoint::new(&format!("http://{address}/v2/key")).unwrap()
    }

    async fn post(head: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let response = [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat();
        answers(response).await.post(b"{}".to_vec()).await
    }

    #[tokio::test]
    async fn a_body_is_read_no_further_than_it_may_be_long() {
        let long = vec![b' '; MAX_BODY + 1];
        assert_eq!(post("200 OK", &long[1..]).await.unwrap().len(), MAX_BODY);
        assert_eq!(post("200 OK", &long).await, Err(Failure::TooLong));
        let announced = format!("200 OK\r\ncontent-length: {}", MAX_BODY + 1);
        assert_eq!(post(&announced, b"").await, Err(Failure::TooLong));
        assert_eq!(post("200 OK\r\ncontent-length: 5", b"abc").await, Err(Failure::Unreachable));
    }

    #[tokio::test]
    async fn statuses_are_told_apart_and_nothing_is_followed() {
        let empty = "\r\ncontent-length: 0";
        for (status, failure) in [
            ("429 Slow", Failure::Busy),
            ("503 No", Failure::Busy),
            ("401 No", Failure::Status(401)),
            ("302 Found\r\nlocation: http://127.0.0.1:1/", Failure::Status(302)),
        ] {
            assert_eq!(post(&format!("{status}{empty}"), b"").await, Err(failure));
        }
    }

    #[tokio::test]
    async fn addresses_are_http_and_are_not_shown() {
        for text in ["", "ftp://a/", "127.0.0.1:80", "file:///etc/passwd", "http://"] {
            assert!(Endpoint::new(text).is_none(), "{text}");
        }
        let endpoint = Endpoint::new("https://key@host.example/v2/key").unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint");
    }
}
