use std::collections::BTreeMap;

use super::*;

fn run(code: &str) -> Result<Outcome, Failed> {
    let store: BTreeMap<_, _> = [("known".to_owned(), "7".to_owned())].into();
    let viewed = Viewed {
        uri: "/a",
        method: "GET",
        query: vec![("a", "1"), ("b", "2"), ("a", "3")],
        headers: vec![("Host", "edge"), ("X-Two", "x"), ("x-two", "y")],
        ..Viewed::default()
    };
    Interpreter::new(code)?.run(&viewed, Some(Arc::new(store)), 1_800_000_000_123)
}

/// The value of an expression, as text.
fn value(expression: &str) -> Result<String, Failed> {
    let code = format!(
        "import cf from 'cloudfront'; const crypto = require('crypto'); const qs = require('querystring');
         async function handler(event) {{ return {{ statusCode: 200, body: String({expression}) }}; }}"
    );
    match run(&code)? {
        Outcome::Response { body, .. } => Ok(body),
        Outcome::Request { .. } => Err(Failed::NoAnswer),
    }
}

#[test]
fn the_documented_modules_are_there() {
    for (expression, expected) in [
        ("Buffer.from('aGk', 'base64url').toString()", "hi"),
        ("Buffer.from('a-_b', 'base64url').toString('base64url')", "a-_b"),
        ("Buffer.from([1, 255]).toString('hex')", "01ff"),
        ("Buffer.concat([Buffer.from('a'), Buffer.alloc(2, 'b')]).toString()", "abb"),
        ("Buffer.from('abc').subarray(1).equals(Buffer.from('bc'))", "true"),
        ("Buffer.isBuffer(Buffer.from('abc').subarray(1))", "true"),
        ("Buffer.compare(Buffer.from('a'), Buffer.from('b'))", "-1"),
        ("Buffer.byteLength('\\u00e9')", "2"),
        ("atob(btoa('hi'))", "hi"),
        ("new TextDecoder().decode(new TextEncoder().encode('\\u00e9'))", "\u{e9}"),
        ("crypto.createHash('sha256').update('abc').digest('hex').slice(0, 8)", "ba7816bf"),
        // RFC 4231, case 2.
        (
            "crypto.createHmac('sha256', 'Jefe').update('what do ya want for nothing?').digest('hex').slice(0, 8)",
            "5bdcc146",
        ),
        ("JSON.stringify(qs.parse('a=1&b=%20&a=2'))", r#"{"a":["1","2"],"b":" "}"#),
        ("qs.stringify({ a: ['x', 'y'], b: '' })", "a=x&a=y&b="),
        ("Date.now()", "1800000000123"),
        ("new Date().getTime()", "1800000000123"),
        ("await cf.kvs().get('known')", "7"),
        ("await cf.kvs().get('known', { format: 'json' }) + 1", "8"),
        ("await cf.kvs().exists('unknown')", "false"),
        (
            "JSON.stringify(event.request.querystring)",
            r#"{"a":{"multiValue":[{"value":"1"},{"value":"3"}],"value":"1"},"b":{"value":"2"}}"#,
        ),
        (
            "JSON.stringify(event.request.headers)",
            r#"{"host":{"value":"edge"},"x-two":{"multiValue":[{"value":"x"},{"value":"y"}],"value":"x"}}"#,
        ),
    ] {
        assert_eq!(value(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_the_runtime_has_not_throws() {
    for expression in [
        "eval('1')",
        "new Function('return 1')()",
        "(() => 1).constructor('return 1')()",
        "setTimeout",
        "fetch",
        "process",
        "require('fs')",
        "await cf.kvs().get('unknown')",
        "cf.cwt.validateToken('text', { key: 'k' })",
        "cf.cwt.validateToken(Buffer.alloc(2000), { key: 'k' })",
    ] {
        assert!(matches!(value(expression), Err(Failed::Threw(_))), "{expression}");
    }
}

/// RFC 8392, A.4, with the whole tag: its own is of HMAC 256/64, which the module does not take.
#[test]
fn the_standards_own_token_is_refused_for_its_algorithm() {
    let token = "d83dd18443a10104a1044c53796d6d65747269633235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d\
                 02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610\
                 d9f007420b7148093101ef6d789200";
    let key = "403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388";
    let checked = |token: &str| {
        value(&format!(
            "JSON.stringify(cf.cwt.validateToken(Buffer.from('{token}', 'hex'), {{ key: Buffer.from('{key}', 'hex') }}).payload)"
        ))
    };
    assert!(checked(token).unwrap_err().to_string().contains("HS256"));
    let mac = |message: Vec<u8>| {
        use hmac::Mac as _;
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&hex::decode(key).unwrap()).unwrap();
        hex::encode(mac.chain_update(message).finalize().into_bytes())
    };
    let payload = &token[token.len() - 178..token.len() - 18];
    let message = format!("84644d41433043a101054058{:02x}{payload}", payload.len() / 2);
    let tag = mac(hex::decode(message).unwrap());
    let whole = format!("{}05{}5820{tag}", &token[..14], &token[16..token.len() - 18]);
    let claims: Value = serde_json::from_str(&checked(&whole).unwrap()).unwrap();
    assert_eq!(claims["2"], "erikw");
    assert_eq!(claims["4"], 1_444_064_944);
    assert_eq!(claims["7"]["0"], 0x0b);
    let untagged = &whole[4..];
    assert!(checked(untagged).is_ok(), "the CWT tag is optional");
    assert!(checked(&untagged[2..]).is_err(), "the COSE tag is not");
}

#[test]
fn answers_are_read_back() {
    let request =
        run("function handler(event) { event.request.uri = '/b'; return event.request; }");
    let query = Some("a=1&a=3&b=2".to_owned());
    assert_eq!(request, Ok(Outcome::Request { uri: "/b".to_owned(), query }));
    let response = run(
        "async function handler() { return { statusCode: 403, headers: { x: { value: 'y' } } }; }",
    );
    let headers = vec![("x".to_owned(), "y".to_owned())];
    assert_eq!(response, Ok(Outcome::Response { status: 403, headers, body: String::new() }));
    for code in ["function handler() {}", "function handler() { return {}; }"] {
        assert_eq!(run(code), Err(Failed::NoAnswer), "{code}");
    }
}

#[test]
fn nothing_runs_for_ever_or_without_bounds() {
    for code in [
        "function handler() { for (;;) {} }",
        "function handler() { const all = []; for (;;) all.push('x'.repeat(1000) + all.length); }",
        "function handler() { return handler(); }",
        "function handler( {",
        "function other() {}",
        "import fs from 'fs'; function handler() {}",
    ] {
        assert!(matches!(run(code), Err(Failed::Threw(_))), "{code}");
    }
    let large = format!("function handler() {{}} //{}", "x".repeat(LARGEST_CODE));
    assert_eq!(run(&large), Err(Failed::TooLarge(large.len())));
}
