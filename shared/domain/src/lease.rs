//! Leases: places for streams that a policy limits. A player keeps its place by renewing its grant.

use crate::Seconds;
use crate::account::Account;
use crate::grant::{Grant, GrantId};
use crate::leaf::Asset;
use crate::policy::Streams;
use serde::{Deserialize, Serialize};

/// How many tokens of a viewer are tried for a place.
const MAX_TOKENS: usize = 16;

/// A place that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// By which grant.
    pub grant: GrantId,
    /// Whose it is.
    pub account: Account,
    /// Until when, unless it is renewed.
    pub until: Seconds,
    /// When the grant would have ended: so long the edge has to know that it is over.
    pub expires_at: Seconds,
}

/// The places of one wallet or token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// `wallet:<address>` or `token:<CAIP-19>`.
    pub subject: String,
    /// Raised by every write; 0 if there was none.
    pub revision: u64,
    /// Those taken, oldest first; some may have lapsed.
    pub seats: Vec<Seat>,
}

impl Sheet {
    /// Nobody's yet.
    pub fn empty(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), revision: 0, seats: Vec::new() }
    }

    /// Gives a grant's seat up; false if it had none.
    pub fn leave(&mut self, grant: &GrantId) -> bool {
        let before = self.seats.len();
        self.seats.retain(|seat| seat.grant != *grant);
        self.seats.len() < before
    }
}

/// What a grant must have a place of: one of each list, whichever is free.
pub fn subjects(streams: &Streams, account: Account, tokens: &[Asset]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    if let Some(limit) = streams.per_wallet {
        let subjects = vec![format!("wallet:{}", account.wallet)];
        wanted.push(Wanted { subjects, limit });
    }
    if let Some(limit) = streams.per_token {
        let subjects = tokens.iter().take(MAX_TOKENS).map(|token| format!("token:{token}"));
        wanted.push(Wanted { subjects: subjects.collect(), limit });
    }
    wanted
}

/// One of these must have room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub subjects: Vec<String>,
    /// How many seats each has.
    pub limit: usize,
}

/// The outcome of looking for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// These sheets are to be written, and then those are over who had a place on them.
    Yes {
        /// As they should be.
        sheets: Vec<Sheet>,
        /// Whose lease has lapsed, or was taken over.
        over: Vec<Seat>,
    },
    /// No place is free: who holds them.
    Full(Vec<Seat>),
}

/// Takes a place for `grant` on one sheet of each of `wanted`, until `until`.
///
/// `sheets` has one for each subject. A place that the grant has already is kept.
pub fn take(
    wanted: &[Wanted],
    sheets: &[Sheet],
    take_over: bool,
    grant: &Grant,
    (now, until): (Seconds, Seconds),
) -> Taken {
    let mine = Seat {
        grant: grant.grant.clone(),
        account: grant.account,
        until,
        expires_at: grant.expires_at,
    };
    let mut chosen: Vec<Sheet> = Vec::new();
    let mut over = Vec::new();
    for Wanted { subjects, limit } in wanted {
        let mut found: Vec<Sheet> = subjects
            .iter()
            .filter_map(|subject| sheets.iter().find(|sheet| sheet.subject == *subject).cloned())
            .collect();
        let holds = |sheet: &Sheet| sheet.seats.iter().any(|seat| seat.grant == mine.grant);
        let live = |sheet: &Sheet| sheet.seats.iter().filter(|seat| seat.until > now).count();
        // Where it sits already; else where there is room; else, if it may, where the oldest sits.
        found.sort_by_key(|sheet| !holds(sheet));
        let place =
            found.iter().position(|sheet| holds(sheet) || live(sheet) < *limit).or_else(|| {
                let oldest = |sheet: &Sheet| sheet.seats.first().map(|seat| seat.grant.issued_at());
                (0..found.len()).filter(|_| take_over).min_by_key(|index| oldest(&found[*index]))
            });
        let Some(place) = place else {
            let holders = found.into_iter().flat_map(|sheet| sheet.seats);
            return Taken::Full(holders.filter(|seat| seat.until > now).collect());
        };
        let mut sheet = found.swap_remove(place);
        let (kept, lapsed): (Vec<_>, Vec<_>) = std::mem::take(&mut sheet.seats)
            .into_iter()
            .filter(|seat| seat.grant != mine.grant)
            .partition(|seat| seat.until > now);
        over.extend(lapsed);
        sheet.seats = kept;
        while sheet.seats.len() >= *limit {
            over.push(sheet.seats.remove(0));
        }
        sheet.seats.push(mine.clone());
        sheet.seats.sort_by_key(|seat| seat.grant.issued_at());
        chosen.push(sheet);
    }
    Taken::Yes { sheets: chosen, over }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{Carrier, GrantToken};
    use crate::session::{Holder, Session};

    const TWO: Streams = Streams { per_wallet: Some(2), per_token: None, take_over: false };

    fn grant(random: u8, issued_at: Seconds) -> Grant {
        let account = format!("eip155:1:0x{}", "11".repeat(20)).parse().unwrap();
        let token = GrantToken::new(GrantId::new(account, issued_at, [random; 8]), [0; 32]);
        let caller = Session::new("n", Holder::with_key(account), 9000);
        Grant::new(&token, "v", &caller, Carrier::Path, (issued_at, 9000))
    }

    fn sit(sheets: Vec<Sheet>, take_over: bool, grant: &Grant, now: Seconds) -> Taken {
        let wanted = subjects(&TWO, grant.account, &[]);
        take(&wanted, &sheets, take_over, grant, (now, now + 60))
    }

    fn yes(taken: Taken) -> (Vec<Sheet>, Vec<Seat>) {
        match taken {
            Taken::Yes { sheets, over } => (sheets, over),
            Taken::Full(holders) => panic!("full: {holders:?}"),
        }
    }

    fn wallet() -> Vec<Sheet> {
        let wanted = subjects(&TWO, grant(0, 0).account, &[]);
        vec![Sheet::empty(&wanted[0].subjects[0])]
    }

    #[test]
    fn the_third_of_two_is_refused_until_a_lease_lapses() {
        let (sheets, _) = yes(sit(wallet(), false, &grant(1, 100), 100));
        let (sheets, _) = yes(sit(sheets, false, &grant(2, 110), 110));
        let Taken::Full(holders) = sit(sheets.clone(), false, &grant(3, 120), 120) else {
            panic!()
        };
        assert_eq!(holders.iter().map(|seat| seat.until).collect::<Vec<_>>(), [160, 170]);
        // The second renews, the first does not.
        let (sheets, over) = yes(sit(sheets, false, &grant(2, 110), 150));
        assert!(over.is_empty());
        let (sheets, over) = yes(sit(sheets, false, &grant(3, 160), 160));
        assert_eq!(over, [Seat { until: 160, ..over[0].clone() }]);
        assert_eq!(over[0].grant, grant(1, 100).grant);
        assert_eq!(sheets[0].seats.len(), 2);
    }

    #[test]
    fn the_oldest_gives_way_where_the_policy_says_so() {
        let (sheets, _) = yes(sit(wallet(), true, &grant(1, 100), 100));
        let (sheets, _) = yes(sit(sheets, true, &grant(2, 110), 110));
        let (sheets, over) = yes(sit(sheets, true, &grant(3, 120), 120));
        assert_eq!(over.iter().map(|seat| &seat.grant).collect::<Vec<_>>(), [&grant(1, 100).grant]);
        assert_eq!(sheets[0].seats.len(), 2);
    }

    /// Who holds two tokens may show two streams, and lending one of them does not make a third.
    #[test]
    fn each_token_is_one_stream() {
        let streams = Streams { per_wallet: None, per_token: Some(1), take_over: false };
        let token = |id: u8| format!("eip155:1/erc721:0x{}/{id}", "22".repeat(20)).parse().unwrap();
        let both = [token(1), token(2)];
        let sheets: Vec<_> =
            both.iter().map(|token| Sheet::empty(format!("token:{token}"))).collect();
        let sit = |sheets: &[Sheet], tokens: &[Asset], random| {
            let grant = grant(random, 100);
            take(&subjects(&streams, grant.account, tokens), sheets, false, &grant, (100, 160))
        };
        let merge = |sheets: &[Sheet], new: Vec<Sheet>| -> Vec<Sheet> {
            let newer =
                |sheet: &Sheet| new.iter().find(|one| one.subject == sheet.subject).cloned();
            sheets.iter().map(|sheet| newer(sheet).unwrap_or_else(|| sheet.clone())).collect()
        };
        let one = merge(&sheets, yes(sit(&sheets, &both, 1)).0);
        let two = merge(&one, yes(sit(&one, &both, 2)).0);
        assert!(matches!(sit(&two, &both, 3), Taken::Full(holders) if holders.len() == 2));
        assert!(matches!(sit(&one, &both[..1], 3), Taken::Full(_)), "the token is lent");
        assert!(matches!(sit(&sheets, &[], 3), Taken::Full(holders) if holders.is_empty()));
    }
}
