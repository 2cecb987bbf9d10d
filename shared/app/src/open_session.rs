//! `POST /v1/auth/session`: a signed message in, a session out; or one more wallet for a session.

use crate::ports::{ChainSettings, Clock, EvmChains, NonceStore, PortError};
use crate::problem::{Error, Problem};
use crate::request_nonce::Site;
use domain::account::{Account, ChainId};
use domain::session::{self, Holder, Session};
use domain::sign_in::{self, NeedsContract, SignInError, Verified};
use domain::{Seconds, rfc3339};

/// The request's body.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedMessage {
    /// EIP-4361, or Sign In With Solana.
    pub message: String,
    /// Hex, as `personal_sign` answers; for Solana base58.
    pub signature: String,
    /// Whether the wallet joins the session that the request shows.
    #[serde(default)]
    pub link: bool,
}

impl std::fmt::Debug for SignedMessage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SignedMessage(..)")
    }
}

/// A session and its token.
#[derive(Debug, serde::Serialize)]
pub struct OpenedSession {
    /// For `Authorization: Bearer`.
    pub token: String,
    /// Who signed in first.
    pub account: Account,
    /// Everybody who signed in.
    pub accounts: Vec<Account>,
    /// RFC 3339.
    pub expires_at: String,
}

/// Checks the message and its signature, uses the nonce up, and signs a session.
///
/// `contracts` is called only for a message in which everything is right but the signature, which
/// no key made: then a contract wallet is asked. That comes before the nonce is used up, so that a
/// chain which does not answer costs nothing; a used nonce is found out after it.
///
/// # Errors
/// Each kind of bad message has its own [`Problem`]; of parallel replays exactly one succeeds.
/// [`Problem::Unavailable`] when a contract's word can't be learned.
pub async fn open_session<'a, E: EvmChains + 'a>(
    system: &impl Clock,
    nonces: &impl NonceStore,
    contracts: impl AsyncFnOnce() -> Result<(&'a [ChainSettings], &'a E), PortError>,
    site: &Site,
    lifetime: Seconds,
    shown: Option<&Session>,
    signed: &SignedMessage,
) -> Result<OpenedSession, Error> {
    let joins = match (signed.link, shown) {
        (false, _) => None,
        (true, Some(session)) => Some(session),
        (true, None) => return Err(Problem::SessionRequired.into()),
    };
    let now = system.now();
    let verified = sign_in::verify(&site.expected(now), &signed.message, &signed.signature);
    let (signed_in, needs_contract) = match verified.map_err(refusal)? {
        Verified::SignedIn(signed_in) => (signed_in, None),
        Verified::NeedsContract(needs) => (needs.signed_in.clone(), Some(needs)),
    };
    let holder = Holder { account: signed_in.account, contract: needs_contract.is_some() };
    let session = match joins {
        None => Session::new(&*signed_in.nonce, holder, now + lifetime),
        Some(session) => session.linked(holder, now + lifetime).map_err(|error| {
            Problem::BodyInvalid { field: "link".into(), reason: error.to_string() }
        })?,
    };
    if let Some(needs) = needs_contract {
        let (chains, evm) = contracts().await?;
        ask_contract(chains, evm, &needs).await?;
    }
    if !nonces.use_up(&signed_in.nonce, signed_in.nonce_expires_at).await? {
        return Err(Problem::NonceUsed.into());
    }
    Ok(OpenedSession {
        token: session::mint(&site.keys, &session, now)?,
        account: session.account(),
        accounts: session.accounts(),
        expires_at: rfc3339(session.expires_at),
    })
}

async fn ask_contract(
    chains: &[ChainSettings],
    evm: &impl EvmChains,
    needs: &NeedsContract,
) -> Result<(), Problem> {
    let NeedsContract { wallet, chain, digest, signature, .. } = needs;
    if !chains.iter().any(|settings| settings.chain == ChainId::Eip155(*chain)) {
        return Err(Problem::SignatureInvalid(format!(
            "no key of this wallet made the signature, and contract wallets can't be asked on \
             eip155:{chain}: this stack does not read that chain"
        )));
    }
    match evm.signed(*chain, *wallet, *digest, signature).await {
        Some(true) => Ok(()),
        Some(false) => Err(refusal(SignInError::Signature)),
        None => Err(Problem::Unavailable(format!(
            "eip155:{chain} could not be asked whether this is the contract wallet's signature; \
             the message stays good"
        ))),
    }
}

fn refusal(error: SignInError) -> Problem {
    let detail = error.to_string();
    match error {
        SignInError::Malformed(_) => Problem::MessageMalformed(detail),
        SignInError::Foreign(_) => Problem::DomainMismatch(detail),
        SignInError::Expired => Problem::MessageExpired(detail),
        SignInError::NotYet => Problem::MessageNotYetValid(detail),
        SignInError::Nonce(_) => Problem::NonceInvalid(detail),
        SignInError::Signature => Problem::SignatureInvalid(detail),
    }
}
