//! The grants, and the queues that end them.

use crate::{Memory, lock};
use app::apply_revocations::RevokeMessage;
use app::forget_video::ForgetMessage;
use app::ports::{GrantStore, PortError, Queue};
use domain::Seconds;
use domain::account::Wallet;
use domain::grant::{Ended, Grant, GrantId};
use domain::lease::Sheet;

impl GrantStore for Memory {
    async fn create(&self, grant: &Grant) -> Result<(), PortError> {
        self.step("grant.create").await?;
        lock(&self.grants).insert(grant.grant.clone(), grant.clone());
        Ok(())
    }

    async fn get(&self, id: &GrantId) -> Result<Option<Grant>, PortError> {
        self.step("grant.get").await?;
        Ok(lock(&self.grants).get(id).cloned())
    }

    async fn renew(&self, grant: &Grant) -> Result<bool, PortError> {
        self.step("grant.renew").await?;
        match lock(&self.grants).get_mut(&grant.grant) {
            Some(known) if known.ended.is_none() => {
                *known = grant.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn end(&self, id: &GrantId, ended: &Ended) -> Result<bool, PortError> {
        self.step("grant.end").await?;
        match lock(&self.grants).get_mut(id) {
            Some(known) if known.ended.is_none() => {
                known.ended = Some(ended.clone());
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn of_wallet(&self, wallet: Wallet, now: Seconds) -> Result<Vec<Grant>, PortError> {
        self.step("grant.of_wallet").await?;
        let is_theirs =
            |grant: &Grant| grant.wallets.iter().any(|holder| holder.account.wallet == wallet);
        Ok(self.live(now, is_theirs))
    }

    async fn of_video(&self, video: &str, now: Seconds) -> Result<Vec<Grant>, PortError> {
        self.step("grant.of_video").await?;
        Ok(self.live(now, |grant| grant.video == video))
    }

    async fn sheets(&self, subjects: &[String]) -> Result<Vec<Sheet>, PortError> {
        self.step("grant.sheets").await?;
        let sheets = lock(&self.sheets);
        let known = |subject: &String| sheets.get(subject).cloned();
        Ok(subjects.iter().map(|one| known(one).unwrap_or_else(|| Sheet::empty(one))).collect())
    }

    async fn write_sheets(&self, new: &[Sheet]) -> Result<bool, PortError> {
        self.step("grant.write_sheets").await?;
        let mut sheets = lock(&self.sheets);
        let revision = |sheet: &Sheet| sheets.get(&sheet.subject).map_or(0, |known| known.revision);
        if new.iter().any(|sheet| revision(sheet) != sheet.revision) {
            return Ok(false);
        }
        for sheet in new {
            let next = Sheet { revision: sheet.revision + 1, ..sheet.clone() };
            sheets.insert(sheet.subject.clone(), next);
        }
        Ok(true)
    }
}

impl Memory {
    fn live(&self, now: Seconds, wanted: impl Fn(&Grant) -> bool) -> Vec<Grant> {
        let grants = lock(&self.grants);
        grants.values().filter(|grant| grant.is_open(now) && wanted(grant)).cloned().collect()
    }
}

impl Queue<ForgetMessage> for Memory {
    async fn send_later(&self, message: &ForgetMessage, _: Seconds) -> Result<(), PortError> {
        self.step("forget.send").await?;
        lock(&self.forget_messages).push_back(message.clone());
        Ok(())
    }
}

impl Queue<RevokeMessage> for Memory {
    async fn send_later(&self, message: &RevokeMessage, _: Seconds) -> Result<(), PortError> {
        self.step("revoke.send").await?;
        lock(&self.revoke_messages).push_back(message.clone());
        Ok(())
    }
}
