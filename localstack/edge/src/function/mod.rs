//! CloudFront Functions, JavaScript runtime 2.0, on QuickJS: the deployed code with the documented modules around it.
//!
//! QuickJS takes more of the language than CloudFront does; `localstack/function-lint.mjs` refuses what isn't
//! documented. Only viewer requests, and of a request that is passed on only `uri` and `querystring` are read back.

mod codec;
mod cwt;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use rquickjs::{CatchResultExt as _, Context, Ctx, Function, Module, Object, Persistent, Runtime};
use serde_json::{Map, Value, json};

/// CloudFront's quota for a function's code, in bytes.
pub const LARGEST_CODE: usize = 10_240;
/// How often QuickJS may ask whether to go on: it does so every 10,000 function calls and backward jumps. CloudFront
/// stops a function after a share of a millisecond that it does not tell.
const MOST_INTERRUPTS: u64 = 100;
/// CloudFront gives 2 MB; QuickJS keeps the prelude and its own objects in this too.
const MEMORY: usize = 8 << 20;

const PRELUDE: &str = include_str!("prelude.js");

/// The key value store that is associated with the function.
pub trait KeyValueStore: Send + Sync {
    /// The value of a key, `None` where there is none.
    ///
    /// # Errors
    /// When the store can't be read.
    fn get(&self, key: &str) -> Result<Option<String>, Unreadable>;
}

impl KeyValueStore for std::collections::BTreeMap<String, String> {
    fn get(&self, key: &str) -> Result<Option<String>, Unreadable> {
        Ok(self.get(key).cloned())
    }
}

/// The store can't be read, or the function has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key value store cannot be read")]
pub struct Unreadable;

/// Why a function gave no answer. CloudFront answers 503 then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Longer than [`LARGEST_CODE`].
    #[error("the function's code is {0} bytes long; CloudFront takes {LARGEST_CODE}")]
    TooLarge(usize),
    /// It threw, ran too long, used too much memory, or does not compile.
    #[error("the function threw: {0}")]
    Threw(String),
    /// It gave back neither a request nor a response.
    #[error("the function returned neither a request nor a response")]
    NoAnswer,
}

/// What a function gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Go on with this path and query.
    Request {
        /// The path.
        uri: String,
        /// The query, without its question mark.
        query: Option<String>,
    },
    /// Answer this at once.
    Response {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: Vec<(String, String)>,
        /// Its body.
        body: String,
    },
}

/// A viewer's request, as the event object tells it.
#[derive(Debug, Clone, Default)]
pub struct Viewed<'a> {
    /// The distribution's domain name.
    pub domain: &'a str,
    /// The distribution's id.
    pub distribution: &'a str,
    /// The viewer's address.
    pub address: String,
    /// The method.
    pub method: &'a str,
    /// The path as received.
    pub uri: &'a str,
    /// Name and value, as received; CloudFront's signature is not among them.
    pub query: Vec<(&'a str, &'a str)>,
    /// Name and value, cookies left out.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Name and value.
    pub cookies: Vec<(&'a str, &'a str)>,
}

impl Viewed<'_> {
    /// The event object: "CloudFront Functions event structure" in the developer guide.
    fn event(&self) -> Value {
        json!({
            "version": "1.0",
            "context": {
                "distributionDomainName": self.domain,
                "distributionId": self.distribution,
                "eventType": "viewer-request",
                "requestId": "local",
            },
            "viewer": {"ip": self.address},
            "request": {
                "method": self.method,
                "uri": self.uri,
                "querystring": grouped(&self.query, false),
                "headers": grouped(&self.headers, true),
                "cookies": grouped(&self.cookies, false),
            },
        })
    }
}

/// `{name: {value, multiValue}}`, the latter only when a name comes more than once.
fn grouped(pairs: &[(&str, &str)], lower: bool) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, value) in pairs {
        let name = if lower { name.to_ascii_lowercase() } else { (*name).to_owned() };
        match found.get_mut(&name) {
            None => {
                found.insert(name, json!({"value": value}));
            }
            Some(entry) => {
                if entry.get("multiValue").is_none() {
                    entry["multiValue"] = json!([{"value": entry["value"]}]);
                }
                if let Some(list) = entry["multiValue"].as_array_mut() {
                    list.push(json!({"value": value}));
                }
            }
        }
    }
    found
}

struct Host {
    store: RefCell<Option<Arc<dyn KeyValueStore>>>,
    milliseconds: Cell<f64>,
    interrupts: Cell<u64>,
    allowed: Cell<u64>,
}

/// One function, compiled, for one thread. It may serve any number of requests, one after the other.
pub struct Interpreter {
    // First, for it must go before the context.
    handler: Persistent<Function<'static>>,
    context: Context,
    host: Rc<Host>,
}

impl std::fmt::Debug for Interpreter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Interpreter").finish_non_exhaustive()
    }
}

impl Interpreter {
    /// Compiles a function.
    ///
    /// # Errors
    /// [`Failed`] as it is for [`Interpreter::run`].
    pub fn new(code: &str) -> Result<Self, Failed> {
        if code.len() > LARGEST_CODE {
            return Err(Failed::TooLarge(code.len()));
        }
        let host = Rc::new(Host {
            store: RefCell::new(None),
            milliseconds: Cell::new(0.0),
            interrupts: Cell::new(0),
            allowed: Cell::new(MOST_INTERRUPTS),
        });
        let failed = |error: rquickjs::Error| Failed::Threw(error.to_string());
        let runtime = Runtime::new().map_err(failed)?;
        runtime.set_memory_limit(MEMORY);
        let counter = Rc::clone(&host);
        runtime.set_interrupt_handler(Some(Box::new(move || {
            counter.interrupts.set(counter.interrupts.get() + 1);
            counter.interrupts.get() > counter.allowed.get()
        })));
        let context = Context::full(&runtime).map_err(failed)?;
        let handler = context.with(|ctx| {
            let compile = || -> rquickjs::Result<_> {
                let prelude: Function<'_> = ctx.eval(PRELUDE)?;
                let _: () = prelude.call((native(&ctx, &host)?,))?;
                let around = "export default globalThis.require('cloudfront');";
                for name in ["cloudfront", "crypto", "querystring", "buffer"] {
                    Module::declare(ctx.clone(), name, around.replace("cloudfront", name))?;
                }
                // The handler is a plain declaration in the deployed code; a module shows only what it exports.
                let code = format!("{code}\nexport {{ handler }};");
                let (module, ready) = Module::declare(ctx.clone(), "function", code)?.eval()?;
                ready.finish::<()>()?;
                Ok(Persistent::save(&ctx, module.get::<_, Function<'_>>("handler")?))
            };
            compile().catch(&ctx).map_err(|error| Failed::Threw(error.to_string()))
        })?;
        Ok(Self { handler, context, host })
    }

    /// Runs it on a request, at `now` in Unix milliseconds.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn run(
        &self,
        viewed: &Viewed<'_>,
        store: Option<Arc<dyn KeyValueStore>>,
        now: u64,
    ) -> Result<Outcome, Failed> {
        self.host.store.replace(store);
        self.host.milliseconds.set(now as f64);
        self.host.allowed.set(self.host.interrupts.get() + MOST_INTERRUPTS);
        let text = self.context.with(|ctx| {
            let call = || -> rquickjs::Result<Option<String>> {
                let event = ctx.json_parse(viewed.event().to_string())?;
                let handler = self.handler.clone().restore(&ctx)?;
                let answer: rquickjs::promise::MaybePromise<'_> = handler.call((event,))?;
                let answer: rquickjs::Value<'_> = answer.finish()?;
                ctx.json_stringify(answer)?.map(|text| text.to_string()).transpose()
            };
            call().catch(&ctx).map_err(|error| Failed::Threw(error.to_string()))
        })?;
        let answer = text.and_then(|text| serde_json::from_str(&text).ok());
        answer.as_ref().and_then(outcome).ok_or(Failed::NoAnswer)
    }

    /// How often the engine has asked whether to go on, which it does at every 10,000th function call or backward jump
    /// since the interpreter was made.
    pub fn interrupts(&self) -> u64 {
        self.host.interrupts.get()
    }
}

fn outcome(answer: &Value) -> Option<Outcome> {
    if let Some(status) = answer.get("statusCode") {
        let mut headers = Vec::new();
        for (name, entry) in answer["headers"].as_object().into_iter().flatten() {
            headers.push((name.clone(), entry["value"].as_str()?.to_owned()));
        }
        let body = match &answer["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            // The other documented form; base64 is not needed here.
            object => object["data"].as_str()?.to_owned(),
        };
        let status = u16::try_from(status.as_u64()?).ok().filter(|code| (100..600).contains(code));
        return Some(Outcome::Response { status: status?, headers, body });
    }
    let uri = answer["uri"].as_str().filter(|uri| uri.starts_with('/'))?.to_owned();
    let mut parts = Vec::new();
    for (name, entry) in answer["querystring"].as_object().into_iter().flatten() {
        let values = entry["multiValue"].as_array();
        for entry in values.map_or(std::slice::from_ref(entry), Vec::as_slice) {
            parts.push(format!("{name}={}", entry["value"].as_str()?));
        }
    }
    Some(Outcome::Request { uri, query: (!parts.is_empty()).then(|| parts.join("&")) })
}

/// What the prelude stands on.
fn native<'js>(ctx: &Ctx<'js>, host: &Rc<Host>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    object.set("decode", Function::new(ctx.clone(), codec::decode)?)?;
    object.set("encode", Function::new(ctx.clone(), codec::encode)?)?;
    object.set("hash", Function::new(ctx.clone(), codec::hash)?)?;
    object.set("hmac", Function::new(ctx.clone(), codec::hmac)?)?;
    object.set("validateToken", Function::new(ctx.clone(), cwt::validate)?)?;
    let clock = Rc::clone(host);
    object.set("now", Function::new(ctx.clone(), move || clock.milliseconds.get())?)?;
    let stored = Rc::clone(host);
    let get = move |key: String| -> rquickjs::Result<Option<String>> {
        let store = stored.store.borrow().clone().ok_or(Unreadable);
        store.and_then(|store| store.get(&key)).map_err(|error| codec::thrown(&error.to_string()))
    };
    object.set("get", Function::new(ctx.clone(), get)?)?;
    let log = |text: String| tracing::debug!(text, "function");
    object.set("log", Function::new(ctx.clone(), log)?)?;
    Ok(object)
}

#[cfg(test)]
mod tests;
