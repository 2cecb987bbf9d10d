//! The trusted key group: whose signatures CloudFront takes.
//!
//! The group is ours and not CloudFormation's, which would put its own keys back at every deploy.
//! It is found by its name. API reference: `CreatePublicKey`, `UpdateKeyGroup`, `DeletePublicKey`.

use adapter_aws::failed;
use app::ports::{KeyPlace, PortError};
use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::types::{KeyGroupConfig, PublicKeyConfig};
use domain::keyring::{self, Key};

const SYSTEM: &str = "cloudfront";

/// The key group of that name, and the public keys `<name>-<key's id>`.
#[derive(Debug, Clone)]
pub struct EdgeKeys {
    client: Client,
    name: String,
}

/// A key group as it is.
struct Group {
    id: String,
    etag: String,
    items: Vec<String>,
}

/// A public key that CloudFront has.
struct PublicKey {
    id: String,
    name: String,
    pem: String,
}

impl EdgeKeys {
    /// The group `name`: unique in the account.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        Self { client: Client::new(config), name: name.into() }
    }

    /// CloudFront's id of the group, once it is there.
    ///
    /// # Errors
    /// When CloudFront can't be asked.
    pub async fn group_id(&self) -> Result<Option<String>, PortError> {
        Ok(self.group().await?.map(|group| group.id))
    }

    /// Removes the group and its keys; what is gone already is fine. No distribution may use it.
    ///
    /// # Errors
    /// When CloudFront can't be asked, or says no.
    pub async fn remove(&self) -> Result<(), PortError> {
        if let Some(group) = self.group().await? {
            let removed =
                self.client.delete_key_group().id(group.id).if_match(group.etag).send().await;
            match removed {
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_no_such_resource()) => {}
                Err(error) => return Err(failed(SYSTEM, &error)),
                Ok(_) => {}
            }
        }
        self.remove_keys(&[]).await
    }

    async fn group(&self) -> Result<Option<Group>, PortError> {
        let mut marker = None;
        let id = loop {
            let request = self.client.list_key_groups().set_marker(marker);
            let page = request.send().await.map_err(|error| failed(SYSTEM, &error))?;
            let Some(list) = page.key_group_list else { return Ok(None) };
            let named = list.items().iter().filter_map(|summary| summary.key_group());
            let found = named
                .filter(|group| {
                    group.key_group_config().is_some_and(|config| config.name() == self.name)
                })
                .map(|group| group.id().to_owned())
                .next();
            match (found, list.next_marker) {
                (Some(id), _) => break id,
                (None, Some(next)) if !next.is_empty() => marker = Some(next),
                (None, _) => return Ok(None),
            }
        };
        let answer = match self.client.get_key_group().id(&id).send().await {
            Ok(answer) => answer,
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_no_such_resource()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(SYSTEM, &error)),
        };
        let config = answer.key_group.and_then(|group| group.key_group_config);
        match (answer.e_tag, config) {
            (Some(etag), Some(config)) => Ok(Some(Group { id, etag, items: config.items })),
            _ => Err(PortError::new(SYSTEM, "a key group without version or keys")),
        }
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        let (mut keys, mut marker) = (Vec::new(), None);
        loop {
            let request = self.client.list_public_keys().set_marker(marker);
            let page = request.send().await.map_err(|error| failed(SYSTEM, &error))?;
            let Some(list) = page.public_key_list else { return Ok(keys) };
            keys.extend(list.items().iter().map(|summary| PublicKey {
                id: summary.id().to_owned(),
                name: summary.name().to_owned(),
                pem: summary.encoded_key().to_owned(),
            }));
            match list.next_marker {
                Some(next) if !next.is_empty() => marker = Some(next),
                _ => return Ok(keys),
            }
        }
    }

    /// CloudFront's id of a key, which is made where it is not there. One that a crash left behind,
    /// or CloudFormation made before rotation was, is taken over: it is known by its content.
    async fn ensure(&self, key: &Key, known: &[PublicKey]) -> Result<String, PortError> {
        let pem = key.material.public_pem();
        let pem = pem.ok_or_else(|| PortError::new("keys", "a key without a public half"))?;
        if let Some(found) = known.iter().find(|found| found.pem.trim() == pem.trim()) {
            return Ok(found.id.clone());
        }
        let name = format!("{}-{}", self.name, key.id);
        let config = PublicKeyConfig::builder()
            // With its age: the reference of a key that was removed may not be taken again.
            .caller_reference(format!("{name}-{}", key.created_at))
            .name(name)
            .encoded_key(pem)
            .build()
            .map_err(|error| PortError::new(SYSTEM, error))?;
        let made = self.client.create_public_key().public_key_config(config).send().await;
        let made = made.map_err(|error| failed(SYSTEM, &error))?.public_key;
        made.map(|key| key.id).ok_or_else(|| PortError::new(SYSTEM, "a public key without an id"))
    }

    /// Whether a public key has a name that we give.
    fn is_ours(&self, key: &PublicKey) -> bool {
        key.name
            .strip_prefix(&self.name)
            .is_some_and(|rest| rest.strip_prefix('-').is_some_and(keyring::is_id))
    }

    /// Removes our public keys but those to keep.
    async fn remove_keys(&self, keep: &[String]) -> Result<(), PortError> {
        for key in self.public_keys().await? {
            if !self.is_ours(&key) || keep.contains(&key.id) {
                continue;
            }
            let answer = match self.client.get_public_key().id(&key.id).send().await {
                Ok(answer) => answer,
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_no_such_public_key()) =>
                {
                    continue;
                }
                Err(error) => return Err(failed(SYSTEM, &error)),
            };
            let removed =
                self.client.delete_public_key().id(&key.id).set_if_match(answer.e_tag).send().await;
            match removed {
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_no_such_public_key()) => {}
                Err(error) => return Err(failed(SYSTEM, &error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

impl KeyPlace for EdgeKeys {
    async fn look(&self) -> Result<Option<String>, PortError> {
        Ok(self.group().await?.map(|group| group.etag))
    }

    async fn publish(
        &self,
        seen: Option<&str>,
        keys: &[Key],
    ) -> Result<Option<Vec<(String, String)>>, PortError> {
        let known = self.public_keys().await?;
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for key in keys {
            let id = self.ensure(key, &known).await?;
            names.push((key.id.clone(), id.clone()));
            ids.push(id);
        }
        let config = KeyGroupConfig::builder()
            .name(&self.name)
            .set_items(Some(ids.clone()))
            .build()
            .map_err(|error| PortError::new(SYSTEM, error))?;
        match self.group().await? {
            Some(group) if same(&group.items, &ids) => {}
            None if seen.is_none() => {
                let made = self.client.create_key_group().key_group_config(config).send().await;
                match made {
                    Err(error)
                        if error
                            .as_service_error()
                            .is_some_and(|error| error.is_key_group_already_exists()) =>
                    {
                        return Ok(None);
                    }
                    Err(error) => return Err(failed(SYSTEM, &error)),
                    Ok(_) => {}
                }
            }
            Some(group) if seen == Some(group.etag.as_str()) => {
                let request = self.client.update_key_group().id(group.id).if_match(group.etag);
                match request.key_group_config(config).send().await {
                    Err(error)
                        if error.as_service_error().is_some_and(|error| {
                            error.meta().code() == Some("PreconditionFailed")
                        }) =>
                    {
                        return Ok(None);
                    }
                    Err(error) => return Err(failed(SYSTEM, &error)),
                    Ok(_) => {}
                }
            }
            _ => return Ok(None),
        }
        self.remove_keys(&ids).await?;
        Ok(Some(names))
    }
}

/// Whether both have the same members.
fn same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|item| other.contains(item))
}
