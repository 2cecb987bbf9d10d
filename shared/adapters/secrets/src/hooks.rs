use crate::Secrets;
use app::ports::PortError;
use domain::webhook::Hooks;

impl Secrets {
    /// The webhooks of chain watchers; none where the secret has no value.
    ///
    /// # Errors
    /// When they can't be read, or are not as they should be.
    pub async fn hooks(&self, id: &str) -> Result<Hooks, PortError> {
        let text = self.value(id).await?.unwrap_or_else(|| "{}".to_owned());
        Hooks::read(&text).map_err(|cause| {
            PortError::new("secretsmanager", format!("Webhooks (secret {id}){cause}"))
        })
    }
}
