use crate::{Secrets, missing, shape};
use app::ports::{KeyringStore, PortError, StoredKeyring};
use domain::keyring::{KeyKind, Keyring};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Keyrings, each in a secret of its own.
#[derive(Debug, Clone)]
pub struct Keyrings {
    secrets: Secrets,
    ids: BTreeMap<KeyKind, String>,
}

impl Keyrings {
    /// With the secret of each kind.
    pub fn new(secrets: Secrets, ids: impl IntoIterator<Item = (KeyKind, String)>) -> Self {
        Self { secrets, ids: ids.into_iter().collect() }
    }

    fn id(&self, kind: KeyKind) -> Result<&str, PortError> {
        let id = self.ids.get(&kind).map(String::as_str);
        id.ok_or_else(|| PortError::new("secretsmanager", "no secret is named for these keys"))
    }
}

impl KeyringStore for Keyrings {
    async fn load(&self, kind: KeyKind) -> Result<StoredKeyring, PortError> {
        let id = self.id(kind)?;
        let Some((text, version)) = self.secrets.versioned(id).await? else {
            return Ok(StoredKeyring::default());
        };
        let keyring = Keyring::read(&text).map_err(|_| shape(id))?;
        Ok(StoredKeyring { version: Some(version), keyring })
    }

    /// Secrets Manager has no conditional write. But a version has the name that its writer gave
    /// it, and can't be written again with another content: who names the next version by the one
    /// before it finds out that somebody else came first.
    async fn replace(
        &self,
        kind: KeyKind,
        loaded: &StoredKeyring,
        keyring: &Keyring,
    ) -> Result<bool, PortError> {
        let id = self.id(kind)?;
        let text = keyring.write().map_err(|_| shape(id))?;
        let answer = self
            .secrets
            .client
            .put_secret_value()
            .secret_id(id)
            .client_request_token(next_version(id, loaded.version.as_deref()))
            .secret_string(text)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_exists_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(adapter_aws::failed("secretsmanager", &error)),
        }
    }
}

/// The name of the version that follows another: 64 characters, as many as there may be.
fn next_version(id: &str, version: Option<&str>) -> String {
    hex::encode(Sha256::digest(format!("{id}\n{}", version.unwrap_or_default())))
}

impl Secrets {
    /// A keyring, or the single key of a stack from before keys rotated.
    ///
    /// # Errors
    /// When it can't be read, or is none.
    pub async fn keyring(&self, id: &str) -> Result<Keyring, PortError> {
        let (text, _) = self.versioned(id).await?.ok_or_else(|| missing(id))?;
        Keyring::read(&text).map_err(|_| shape(id))
    }
}

#[cfg(test)]
mod tests {
    use super::next_version;

    #[test]
    fn each_version_has_one_that_follows() {
        let first = next_version("a", None);
        let names = [
            first.clone(),
            next_version("b", None),
            next_version("a", Some(&first)),
            next_version("a", Some("other")),
        ];
        for (place, name) in names.iter().enumerate() {
            assert_eq!(name.len(), 64);
            assert!(!names[..place].contains(name), "{names:?}");
        }
        assert_eq!(next_version("a", None), first);
    }
}
