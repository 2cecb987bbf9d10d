//! HTTP requests of API Gateway in, answers and problem documents (RFC 9457) out.

use crate::telemetry;
use app::deliver::{Cookie, Playback};
use app::problem::{Error, Problem, RETRY_AFTER};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::grant::GrantToken;
use domain::video;
use flate2::Compression;
use flate2::write::GzEncoder;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, COOKIE,
    LOCATION, RETRY_AFTER as RETRY_AFTER_HEADER, WWW_AUTHENTICATE,
};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{LambdaEvent, Request, RequestExt, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::Instant;

/// The longest body that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// An answer.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    content_type: &'static str,
    content_encoding: Option<&'static str>,
    location: Option<String>,
    cookies: Vec<String>,
    body: String,
    /// Whether the body is written in base64, for what is no text.
    base64: bool,
}

impl Reply {
    /// JSON.
    ///
    /// # Errors
    /// When the value can't be written, which is a fault of ours.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_string(value).map_err(|_| Problem::Internal)?;
        Ok(Self { status, ..Self::text("application/json", body) })
    }

    /// What a player needs, with the cookies that it is to send.
    ///
    /// # Errors
    /// As [`Reply::json`].
    pub fn playback(playback: &Playback) -> Result<Self, Error> {
        let cookies = playback.cookies.iter().map(Cookie::header).collect();
        Ok(Self { cookies, ..Self::json(200, playback)? })
    }

    /// Text of some media type.
    pub fn text(content_type: &'static str, body: String) -> Self {
        Self {
            status: 200,
            content_type,
            content_encoding: None,
            location: None,
            cookies: Vec::new(),
            body,
            base64: false,
        }
    }

    /// Text of some media type, in gzip if the caller takes that (RFC 9110 12.5.3). For long texts of
    /// which nothing is the caller's choice: how short a text gets says what of it is repeated.
    ///
    /// # Errors
    /// When it can't be packed, which is a fault of ours.
    pub fn packed(
        request: &Request,
        content_type: &'static str,
        body: String,
    ) -> Result<Self, Error> {
        if !takes_gzip(request) {
            return Ok(Self::text(content_type, body));
        }
        // Signatures are most of it, and repeat: more effort hardly makes it shorter.
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = packer.write_all(body.as_bytes()).and_then(|()| packer.finish());
        let packed = packed.map_err(|_| Problem::Internal)?;
        Ok(Self { content_encoding: Some("gzip"), ..Self::bytes(content_type, &packed) })
    }

    /// Bytes of some media type.
    pub fn bytes(content_type: &'static str, bytes: &[u8]) -> Self {
        Self { base64: true, ..Self::text(content_type, STANDARD.encode(bytes)) }
    }

    /// Nothing to say.
    pub fn empty() -> Self {
        Self { status: 204, ..Self::text("", String::new()) }
    }

    /// Nothing to say, but for cookies that are to be forgotten.
    pub fn forgotten(cookies: &[Cookie]) -> Self {
        Self { cookies: cookies.iter().map(Cookie::header).collect(), ..Self::empty() }
    }

    /// It is at another address.
    pub fn elsewhere(address: String) -> Self {
        Self { status: 302, location: Some(address), ..Self::empty() }
    }
}

/// Answers requests with `handle` for as long as the function lives, one log line each.
///
/// The runtime of one thread needs no future that can move to another, and whether one of a deep
/// decision's can is more than the compiler finds out. So this stands below `lambda_http::run`,
/// which asks for that.
///
/// # Errors
/// When the runtime API is lost.
pub async fn serve<F: Future<Output = Result<Reply, Error>>>(
    handle: impl Fn(Request) -> F,
) -> Result<(), lambda_http::Error> {
    let handle = &handle;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<LambdaRequest>| async move {
        let since = Instant::now();
        let request = Request::from(event.payload).with_lambda_context(event.context);
        let route = route(&request);
        let id = request.lambda_context().request_id;
        // Boxed, or the compiler gives up on the size of what all functions make of it together.
        let (outcome, reply) = match Box::pin(handle(request)).await {
            Ok(reply) => ("ok", reply),
            Err(error) => refusal(&id, error),
        };
        telemetry::finished(&id, &route, outcome, reply.status, since);
        Ok::<_, lambda_http::Error>(respond(reply))
    }))
    .await
}

fn route(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.route_key.clone().unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn refusal(id: &str, error: Error) -> (&'static str, Reply) {
    let problem = match error {
        Error::Problem(problem) => problem,
        Error::Port(error) => {
            tracing::error!(request = id, %error, "an outside system failed");
            Problem::Unavailable("something this needs could not be reached".into())
        }
    };
    let body = problem.to_json().to_string();
    let content_type = "application/problem+json";
    (problem.slug(), Reply { status: problem.status(), ..Reply::text(content_type, body) })
}

/// In API Gateway's form, payload format 2.0.
fn respond(reply: Reply) -> Value {
    // Answers are one caller's and one moment's.
    let mut headers = Map::from_iter([(CACHE_CONTROL.to_string(), "no-store".into())]);
    if !reply.content_type.is_empty() {
        headers.insert(CONTENT_TYPE.to_string(), reply.content_type.into());
    }
    if let Some(encoding) = reply.content_encoding {
        headers.insert(CONTENT_ENCODING.to_string(), encoding.into());
    }
    if let Some(location) = reply.location {
        headers.insert(LOCATION.to_string(), location.into());
    }
    if reply.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE.to_string(), "Bearer".into());
    }
    if reply.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER_HEADER.to_string(), RETRY_AFTER.to_string().into());
    }
    let mut response = json!({
        "statusCode": reply.status,
        "headers": headers,
        "body": reply.body,
        "isBase64Encoded": reply.base64,
    });
    if !reply.cookies.is_empty() {
        response["cookies"] = json!(reply.cookies);
    }
    response
}

/// The JSON body.
///
/// # Errors
/// 413 over [`MAX_BODY`], 422 when it is not what it should be.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    body_up_to(MAX_BODY, request)
}

/// The JSON body, of at most so many bytes.
///
/// # Errors
/// As [`body`].
pub fn body_up_to<T: DeserializeOwned>(most: usize, request: &Request) -> Result<T, Error> {
    let bytes: &[u8] = request.body();
    if bytes.len() > most {
        return Err(Problem::BodyTooLarge(format!("at most {most} bytes")).into());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let whole = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = match error.path().to_string() {
            // "?" is a place in what is no JSON.
            path if path == "." || path == "?" => "body".to_owned(),
            path => path.chars().take(100).collect(),
        };
        (field, error.into_inner())
    });
    whole
        .and_then(|value| reader.end().map(|()| value).map_err(|error| ("body".into(), error)))
        .map_err(|(field, error)| {
            let reason = error.to_string().chars().take(200).collect();
            Problem::BodyInvalid { field, reason }.into()
        })
}

/// The JSON body, or what stands for none.
///
/// # Errors
/// As [`body`], where there is one.
pub fn body_if_any<T: DeserializeOwned + Default>(request: &Request) -> Result<T, Error> {
    let bytes: &[u8] = request.body();
    if bytes.is_empty() { Ok(T::default()) } else { body(request) }
}

/// The session token that a request shows, if it shows one.
///
/// # Errors
/// 401 when it shows something else.
pub fn bearer(request: &Request) -> Result<Option<&str>, Error> {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok(None) };
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token);
    let reason = "Authorization is not of the form: Bearer TOKEN";
    token.map(Some).ok_or_else(|| Problem::SessionInvalid(reason.into()).into())
}

/// The grant's token that a request for `/v1/grants/{grant}` shows. It must be of that grant.
///
/// # Errors
/// 401 when it shows none, 403 when it is another's.
pub fn grant_token(request: &Request) -> Result<&str, Error> {
    let token = bearer(request)?.ok_or(Problem::GrantTokenRequired)?;
    let named = path(request, "grant")?;
    match GrantToken::read(token) {
        Some(read) if read.id.as_str() == named => Ok(token),
        _ => Err(Problem::GrantInvalid.into()),
    }
}

/// The path's video id; what can't be one is not found.
///
/// # Errors
/// 404.
pub fn video_id(request: &Request) -> Result<String, Error> {
    let id = path(request, "id")?;
    if video::is_id(&id) { Ok(id) } else { Err(Problem::NotFound.into()) }
}

/// A parameter of the path.
///
/// # Errors
/// 404 when it is not there.
pub fn path(request: &Request, name: &str) -> Result<String, Error> {
    let parameters = request.path_parameters();
    parameters.first(name).map(str::to_owned).ok_or_else(|| Problem::NotFound.into())
}

/// A cookie's value. Two of a name are none.
pub fn cookie(request: &Request, name: &str) -> Option<String> {
    let headers = request.headers().get_all(COOKIE);
    let texts = headers.iter().filter_map(|header| header.to_str().ok());
    let mut found = texts
        .flat_map(|text| text.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned());
    found.next().filter(|_| found.next().is_none())
}

fn takes_gzip(request: &Request) -> bool {
    let headers = request.headers().get_all(ACCEPT_ENCODING);
    let mut codings = headers
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|coding| coding.split_once(';').unwrap_or((coding, "q=1")));
    codings.any(|(name, weight)| {
        let weight = weight.trim().trim_start_matches(['q', 'Q', '=']).parse();
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight: f32| weight > 0.0)
    })
}

/// A parameter of the query.
pub fn query(request: &Request, name: &str) -> Option<String> {
    request.query_string_parameters().first(name).map(str::to_owned)
}

/// The value of a header that is there exactly once.
pub fn only_header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The route that was asked for, as in `GET /v1/videos`.
pub fn route_key(request: &Request) -> String {
    route(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::ports::PortError;
    use lambda_http::Body;
    use std::io::Read;

    fn answer(error: Error) -> (&'static str, Value) {
        let (outcome, reply) = refusal("id", error);
        (outcome, respond(reply))
    }

    #[test]
    fn a_fault_outside_is_unavailable_and_what_it_said_stays_in_the_log() {
        let (outcome, response) = answer(PortError::new("dynamodb", "s3cret").into());
        assert_eq!((outcome, &response["statusCode"]), ("unavailable", &json!(503)));
        assert_eq!(response["headers"]["retry-after"], RETRY_AFTER.to_string());
        let text = response.to_string();
        assert!(!text.contains("s3cret") && !text.contains("dynamodb"), "{text}");
    }

    #[test]
    fn a_problem_is_a_document_that_nobody_keeps() {
        let (outcome, response) = answer(Problem::NotACreator.into());
        assert_eq!((outcome, &response["statusCode"]), ("not-a-creator", &json!(403)));
        let headers = json!({
            "content-type": "application/problem+json",
            "cache-control": "no-store",
        });
        assert_eq!(response["headers"], headers);
        let document: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(document["type"], "https://streamgate.dev/problems/not-a-creator");
        assert_eq!(document["status"], 403);
    }

    #[test]
    fn who_must_sign_in_is_told_how() {
        let (_, response) = answer(Problem::SessionRequired.into());
        assert_eq!(response["statusCode"], 401);
        assert_eq!(response["headers"]["www-authenticate"], "Bearer");
    }

    #[test]
    fn nothing_to_say_has_no_media_type() {
        let response = respond(Reply::empty());
        assert_eq!((&response["statusCode"], &response["body"]), (&json!(204), &json!("")));
        assert_eq!(response["headers"], json!({"cache-control": "no-store"}));
    }

    #[test]
    fn who_takes_gzip_gets_it() {
        for (header, takes) in [
            ("gzip", true),
            ("identity;q=1, GZIP;q=0.5", true),
            ("br, gzip ; q=1.0", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, br", false),
            ("br, x-gzip, identity", false),
            ("", false),
        ] {
            let mut request = Request::new(Body::Empty);
            request.headers_mut().insert(ACCEPT_ENCODING, header.parse().unwrap());
            let text = "#EXTM3U\n".repeat(100);
            let response = respond(Reply::packed(&request, "text/x", text.clone()).unwrap());
            assert_eq!(response["isBase64Encoded"], takes, "{header}");
            if !takes {
                assert_eq!(
                    (&response["body"], response["headers"].get("content-encoding")),
                    (&json!(text), None)
                );
                continue;
            }
            assert_eq!(response["headers"]["content-encoding"], "gzip");
            let body = STANDARD.decode(response["body"].as_str().unwrap()).unwrap();
            let mut read = String::new();
            flate2::read::GzDecoder::new(&*body).read_to_string(&mut read).unwrap();
            assert!(read == text && body.len() < text.len() / 10);
        }
    }

    #[test]
    fn bytes_travel_in_base64() {
        let response = respond(Reply::bytes("application/octet-stream", &[0, 255]));
        assert_eq!(
            (&response["body"], &response["isBase64Encoded"]),
            (&json!("AP8="), &json!(true))
        );
        assert_eq!(response["headers"]["cache-control"], "no-store");
        assert_eq!(respond(Reply::empty())["isBase64Encoded"], false);
    }

    #[test]
    fn a_bad_field_is_named() {
        #[derive(Debug, serde::Deserialize)]
        struct Film {
            #[serde(rename = "size")]
            _size: u64,
        }
        for (text, field) in
            [(r#"{"size":"x"}"#, "size"), ("{}", "body"), (r#"{"size":1} 2"#, "body")]
        {
            let refused = body::<Film>(&Request::new(Body::Text(text.into()))).unwrap_err();
            let Error::Problem(Problem::BodyInvalid { field: named, .. }) = refused else {
                panic!("{refused}")
            };
            assert_eq!(named, field, "{text}");
        }
    }

    #[test]
    fn a_body_may_be_left_out_where_that_is_said() {
        let request = |text: &str| Request::new(Body::Text(text.into()));
        assert!(body_if_any::<Vec<u8>>(&Request::new(Body::Empty)).unwrap().is_empty());
        assert!(body_if_any::<Vec<u8>>(&request("")).unwrap().is_empty());
        assert_eq!(body_if_any::<Vec<u8>>(&request("[1]")).unwrap(), [1]);
        for bad in ["null", "{", " "] {
            assert!(body_if_any::<Vec<u8>>(&request(bad)).is_err(), "{bad}");
        }
        assert!(body::<Vec<u8>>(&request("")).is_err());
    }

    #[test]
    fn a_header_that_is_there_twice_is_none() {
        let mut request = Request::new(Body::Empty);
        assert_eq!(only_header(&request, "x-signature"), None);
        request.headers_mut().append("X-Signature", "one".parse().unwrap());
        assert_eq!(only_header(&request, "x-signature"), Some("one"));
        request.headers_mut().append("x-signature", "two".parse().unwrap());
        assert_eq!(only_header(&request, "x-signature"), None);
    }

    #[test]
    fn a_body_has_a_limit() {
        let request = |size| Request::new(Body::Text(format!("\"{}\"", "x".repeat(size - 2))));
        assert!(body::<String>(&request(MAX_BODY)).is_ok());
        let refused = body::<String>(&request(MAX_BODY + 1));
        assert!(matches!(refused, Err(Error::Problem(Problem::BodyTooLarge(_)))));
    }
}
