//! Takes what a provider pushes: facts are forgotten and grants decided again, sooner than polls
//! would find out. Nobody is let in by it, no chain is read, and the answer waits for nothing.

use crate::ports::{Clock, Deliveries, FactStore, Policies, Queue};
use crate::problem::{Error, Problem};
use crate::review_grants::ReviewMessage;
use crate::touched::{Notices, PolicyBook};
use domain::Seconds;
use domain::account::{ChainId, Genesis, Wallet};
use domain::fact::{Question, SolanaRead};
use domain::watch::{Changes, Followed};
use domain::webhook::{EvmNews, Hooks, MAX_BODY, Provider, SolanaNews};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// How long a delivery is remembered, in seconds: longer than any provider tries again.
const REMEMBERED: Seconds = 24 * 3600;

/// What was posted.
pub struct Delivery<'a> {
    /// The provider, by the address.
    pub provider: &'a str,
    /// The value of a header that is there exactly once.
    pub header: &'a dyn Fn(&'static str) -> Option<&'a str>,
    /// As it came.
    pub body: &'a [u8],
}

/// Takes a delivery; one that was taken before changes nothing.
///
/// It is remembered when everybody has been told, and not before: where that fails, the provider's
/// next try works. Two of the same at the same time both tell, which does no harm.
///
/// # Errors
/// 404 for a provider that this stack has no webhook of, 413 over [`MAX_BODY`], 401 where it is
/// not the provider's.
pub async fn receive_webhook<F: FactStore, Q: Queue<ReviewMessage>>(
    clock: &impl Clock,
    (policies, book): (&impl Policies, &PolicyBook),
    deliveries: &impl Deliveries,
    notices: &Notices<'_, F, Q>,
    hooks: &Hooks,
    delivery: &Delivery<'_>,
) -> Result<(), Error> {
    let Delivery { provider: name, header, body } = delivery;
    let provider = Provider::named(name).filter(|provider| hooks.has(*provider));
    let provider = provider.ok_or(Problem::NotFound)?;
    if body.len() > MAX_BODY {
        return Err(Problem::BodyTooLarge(format!("at most {MAX_BODY} bytes")).into());
    }
    let now = clock.now();
    let chain = hooks.authenticate(provider, header, body, now).ok_or_else(|| {
        Problem::SignatureInvalid("the delivery is not of a webhook of this stack".into())
    })?;
    let id = format!("webhook:{name}:{chain}:{}", hex::encode(Sha256::digest(body)));
    if deliveries.is_done(&id).await? {
        return Ok(());
    }
    let watched = book.watched(clock, policies).await?;
    if let Some(followed) = watched.on(chain) {
        let value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let news = match chain {
            ChainId::Eip155(id) => on_evm(id, followed, &value),
            ChainId::Solana(genesis) => on_solana(genesis, &value),
        };
        match news {
            Some((changes, at)) => notices.tell(chain, &changes, at).await?,
            None => {
                tracing::warn!(provider = *name, %chain, "a delivery is not understood");
                notices.tell_all(chain, &Changes::default()).await?;
            }
        }
    }
    Ok(deliveries.done(&id, now + REMEMBERED).await?)
}

/// What changes, and in which block.
type News = Option<(Changes, Option<u64>)>;

fn on_evm(chain: u64, followed: &Followed, value: &Value) -> News {
    let news = EvmNews::read(value)?;
    let changes = followed.changes(&news.touches);
    Some((changes.and(followed.native_changes(chain, &news.wallets)), news.block))
}

fn on_solana(genesis: Genesis, value: &Value) -> News {
    let news = SolanaNews::read(value)?;
    let fact = |key| Question::Solana(genesis, SolanaRead::Account(key)).key();
    let changes = Changes {
        facts: news.accounts.into_iter().map(fact).collect(),
        wallets: news.wallets.into_iter().map(Wallet::Solana).collect(),
        ..Changes::default()
    };
    Some((changes, None))
}
