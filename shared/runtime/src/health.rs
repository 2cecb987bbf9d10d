//! What `GET /v1/health` answers. No addresses of providers: those may hold keys.

use serde::Serialize;

/// All checks.
#[derive(Debug, Serialize)]
pub struct Report {
    status: Status,
    checks: Vec<Check>,
}

/// One thing that the stack needs.
#[derive(Debug, Serialize)]
pub struct Check {
    name: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Of a chain: how far it is, in blocks or slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<u64>,
    /// Of a chain: how many providers must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    quorum: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<Provider>,
}

/// One of a chain's providers, by its place in the settings.
#[derive(Debug, Serialize)]
pub struct Provider {
    status: Status,
    /// `closed` while it is asked, `open` while it is not, `half-open` while it is tried.
    breaker: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Degraded,
}

impl Status {
    fn well(well: bool) -> Self {
        if well { Self::Ok } else { Self::Degraded }
    }
}

impl Report {
    /// Well if every check is.
    pub fn new(checks: Vec<Check>) -> Self {
        Self { status: Status::well(checks.iter().all(|check| check.status == Status::Ok)), checks }
    }
}

impl Check {
    /// Of something that has no more to it than whether it is there.
    pub fn new(name: impl Into<String>, trouble: Option<&str>) -> Self {
        Self {
            name: name.into(),
            status: Status::well(trouble.is_none()),
            detail: trouble.map(str::to_owned),
            head: None,
            quorum: None,
            providers: Vec::new(),
        }
    }

    /// Of a chain: well while it has a head and enough of its providers are well.
    pub fn chain(
        name: impl ToString,
        head: Result<u64, String>,
        quorum: usize,
        providers: impl Iterator<Item = Provider>,
    ) -> Self {
        let providers: Vec<_> = providers.collect();
        let well = providers.iter().filter(|provider| provider.status == Status::Ok).count();
        let (head, trouble) = match head {
            Ok(_) if well < quorum => {
                (None, Some(format!("{well} of {} providers are well", providers.len())))
            }
            Ok(head) => (Some(head), None),
            Err(trouble) => (None, Some(trouble)),
        };
        let note = match (quorum, providers.len()) {
            (1, 1) => Some("single provider"),
            (1, _) => Some("a single provider decides"),
            _ => None,
        };
        Self {
            name: name.to_string(),
            status: Status::well(trouble.is_none()),
            detail: trouble.or_else(|| note.map(str::to_owned)),
            head,
            quorum: Some(quorum),
            providers,
        }
    }
}

impl Provider {
    /// Well if it told its head.
    pub fn new<Head, Trouble: ToString>(
        breaker: &'static str,
        head: Result<Head, Trouble>,
    ) -> Self {
        let detail = head.err().map(|trouble| trouble.to_string());
        Self { status: Status::well(detail.is_none()), breaker, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chain(head: Result<u64, String>, quorum: usize, down: &[bool]) -> serde_json::Value {
        let providers = down.iter().map(|down| match down {
            true => Provider::new("open", Err::<u64, _>("late")),
            false => Provider::new("closed", Ok::<_, String>(7)),
        });
        json!(Report::new(vec![
            Check::new("videos", None),
            Check::chain("eip155:1", head, quorum, providers)
        ]))
    }

    #[test]
    fn a_chain_is_well_while_a_quorum_is() {
        let report = chain(Ok(7), 2, &[false, true, false]);
        assert_eq!(
            report,
            json!({"status": "ok", "checks": [
                {"name": "videos", "status": "ok"},
                {"name": "eip155:1", "status": "ok", "head": 7, "quorum": 2, "providers": [
                    {"status": "ok", "breaker": "closed"},
                    {"status": "degraded", "breaker": "open", "detail": "late"},
                    {"status": "ok", "breaker": "closed"},
                ]},
            ]})
        );
        let report = chain(Ok(7), 2, &[false, true, true]);
        assert_eq!(report["status"], "degraded");
        assert_eq!(report["checks"][1]["detail"], "1 of 3 providers are well");
        let report = chain(Err("stuck".into()), 1, &[false]);
        assert_eq!(
            (&report["status"], &report["checks"][1]["detail"]),
            (&json!("degraded"), &json!("stuck"))
        );
    }

    #[test]
    fn to_trust_one_provider_is_said() {
        for (down, detail) in [
            (&[false] as &[bool], "single provider"),
            (&[false, true], "a single provider decides"),
        ] {
            let report = chain(Ok(7), 1, down);
            assert_eq!(report["status"], "ok");
            assert_eq!(report["checks"][1]["detail"], detail);
        }
    }

    #[test]
    fn what_is_not_there_degrades_all() {
        let report = json!(Report::new(vec![Check::new("videos", Some("it can't be reached"))]));
        assert_eq!(report["status"], "degraded");
        assert_eq!(report["checks"][0]["detail"], "it can't be reached");
    }
}
