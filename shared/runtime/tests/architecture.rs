//! Who may depend on whom, held over `cargo metadata`, and what template.yaml and code must agree
//! on.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// What only adapters may name: the ways to the outside.
const OUTSIDE: [&str; 3] = ["aws-sdk-", "alloy", "solana-"];
/// What has no place below `app` and `domain`, however deep: waiting, networks, vendors.
const IMPURE: [&str; 11] = [
    "tokio",
    "futures-executor",
    "lambda_",
    "aws",
    "alloy",
    "solana-",
    "hyper",
    "reqwest",
    "rustls",
    "axum",
    "mio",
];
/// Pure all the same: an encoding that `ruint`, the numbers' crate, knows where `alloy` is near.
const PURE: [&str; 1] = ["alloy-rlp"];
/// What adapters may name of each other: what those of one vendor, or of any chain, share.
const SHARED_BY_ADAPTERS: [&str; 2] = ["adapter-aws", "adapter-provider"];
/// Where functions run; what other systems would link is not looked at.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A function's main is wiring.
const MAIN_LINES: usize = 60;

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../..")
        .canonicalize()
        .unwrap()
}

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(Workspace::load);

struct Workspace {
    metadata: Value,
    /// Our packages, and the folder of each.
    folders: BTreeMap<String, String>,
}

impl Workspace {
    fn load() -> Self {
        let output = Command::new(std::env::var_os("CARGO").unwrap())
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let members: BTreeSet<_> =
            metadata["workspace_members"].as_array().unwrap().iter().map(text).collect();
        let folders = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|package| members.contains(text(&package["id"])))
            .map(|package| {
                let manifest = Path::new(text(&package["manifest_path"]));
                let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap();
                (text(&package["name"]).to_owned(), folder.to_str().unwrap().to_owned())
            })
            .collect();
        Self { metadata, folders }
    }

    /// The room that one of ours stands in.
    fn room(&self, name: &str) -> &str {
        let folder = self.folders[name].as_str();
        match folder {
            "shared/domain" => "domain",
            "shared/app" => "app",
            // The gate's part stands apart, for who does not decide should not link it.
            "shared/runtime" | "shared/runtime/gate" => "runtime",
            "localstack/edge" => "edge",
            _ if folder.starts_with("tests/load/") => "load",
            _ if folder.starts_with("shared/adapters/") => "adapter",
            _ if folder.starts_with("functions/") => "function",
            _ => "nowhere",
        }
    }

    fn package(&self, name: &str) -> &Value {
        let packages = self.metadata["packages"].as_array().unwrap();
        packages
            .iter()
            .find(|package| package["name"] == *name && package["source"].is_null())
            .unwrap()
    }

    /// What a package of ours names in its manifest; `dev` for its tests only.
    fn named(&self, name: &str, dev: bool) -> Vec<String> {
        self.package(name)["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| (dependency["kind"] == "dev") == dev)
            .map(|dependency| text(&dependency["name"]).to_owned())
            .collect()
    }

    /// All that is linked into a package of ours.
    fn linked(&self, name: &str) -> BTreeSet<String> {
        let nodes: BTreeMap<_, _> = self.metadata["resolve"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| (text(&node["id"]), node))
            .collect();
        let names: BTreeMap<_, _> = self.metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let start = text(&self.package(name)["id"]);
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            for dependency in nodes[id]["deps"].as_array().unwrap() {
                let kinds = dependency["dep_kinds"].as_array().unwrap();
                if kinds.iter().any(|kind| kind["kind"].is_null()) {
                    open.push(text(&dependency["pkg"]));
                }
            }
        }
        seen.remove(start);
        seen.into_iter().map(|id| names[id].to_owned()).collect()
    }

    fn all(&self, room: &str) -> Vec<&str> {
        self.folders.keys().map(String::as_str).filter(|name| self.room(name) == room).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn every_package_stands_in_a_room() {
    let workspace = &*WORKSPACE;
    for name in workspace.folders.keys() {
        assert_ne!(workspace.room(name), "nowhere", "{name}");
    }
    for (room, least) in
        [("domain", 1), ("app", 1), ("runtime", 2), ("adapter", 12), ("function", 17)]
    {
        assert!(workspace.all(room).len() >= least, "{room}");
    }
    assert_eq!(workspace.all("edge"), ["edge"]);
}

#[test]
fn dependencies_point_one_way() {
    let workspace = &*WORKSPACE;
    let allowed = |room: &str| -> &[&str] {
        match room {
            "app" => &["domain"],
            "adapter" => &["domain", "app"],
            "runtime" => &["domain", "app", "adapter", "runtime"],
            "function" | "load" => &["domain", "app", "adapter", "runtime"],
            // The domain knows nobody, and the edge stands outside: it knows what CloudFront says.
            _ => &[],
        }
    };
    for name in workspace.folders.keys() {
        let room = workspace.room(name);
        for dev in [false, true] {
            for other in workspace.named(name, dev) {
                if !workspace.folders.contains_key(&other) {
                    continue;
                }
                // Tests may use the fakes, and adapters of one kind share what that needs.
                let fake = dev && other == "adapter-memory";
                let shared = room == "adapter" && SHARED_BY_ADAPTERS.contains(&other.as_str());
                // The edge's function is tested against what mints for it.
                let minted = dev && name == "edge" && other == "domain";
                let fine =
                    fake || shared || minted || allowed(room).contains(&workspace.room(&other));
                assert!(fine, "{name} ({room}) may not depend on {other}");
            }
        }
    }
}

#[test]
fn only_adapters_name_the_outside() {
    let workspace = &*WORKSPACE;
    for name in workspace.folders.keys() {
        if workspace.room(name) == "adapter" {
            continue;
        }
        for other in workspace.named(name, false).into_iter().chain(workspace.named(name, true)) {
            let outside = OUTSIDE.iter().any(|stem| other.starts_with(stem));
            assert!(!outside, "{name} may not depend on {other}; that is for an adapter");
        }
    }
}

#[test]
fn domain_and_app_are_pure() {
    let workspace = &*WORKSPACE;
    for name in ["domain", "app"] {
        let linked = workspace.linked(name);
        assert!(linked.contains("serde"), "the walk finds what is there");
        for other in linked {
            let impure = IMPURE.iter().any(|stem| other.starts_with(stem));
            assert!(
                !impure || PURE.iter().any(|stem| other.starts_with(stem)),
                "{name} links {other}"
            );
        }
    }
}

/// The fakes ship in nothing, and a function links no adapter that neither it names nor a part of
/// the runtime that it names.
#[test]
fn a_function_links_only_the_adapters_that_it_uses() {
    let workspace = &*WORKSPACE;
    for name in workspace.all("function") {
        let named = workspace.named(name, false);
        assert!(named.iter().any(|other| other == "runtime"), "{name}");
        let parts = named.iter().filter(|other| {
            workspace.folders.contains_key(*other) && workspace.room(other) == "runtime"
        });
        let mut used: Vec<_> = parts.flat_map(|part| workspace.named(part, false)).collect();
        used.extend(SHARED_BY_ADAPTERS.map(str::to_owned));
        used.extend(named.iter().cloned());
        for other in workspace.linked(name) {
            assert_ne!(other, "adapter-memory", "{name}");
            let adapter =
                workspace.folders.contains_key(&other) && workspace.room(&other) == "adapter";
            assert!(!adapter || used.contains(&other), "{name} links {other}");
        }
    }
}

/// What can be asked is heavy: it is for those that decide, or say how the chains are.
#[test]
fn only_what_decides_links_the_gate() {
    let workspace = &*WORKSPACE;
    let names = |adapter: &str| -> Vec<&str> {
        let links = |name: &&str| workspace.linked(name).contains(adapter);
        workspace.all("function").into_iter().filter(links).collect()
    };
    assert_eq!(
        names("runtime-gate"),
        ["chain-verify", "grant-renew", "grant-review", "playback-grant"]
    );
    assert_eq!(
        names("adapter-lambda"),
        ["chain-verify", "grant-renew", "grant-review", "playback-grant"]
    );
    assert_eq!(
        names("adapter-solana"),
        [
            "chain-verify",
            "grant-renew",
            "grant-review",
            "health",
            "ownership-watch",
            "playback-grant"
        ]
    );
    assert_eq!(names("aws-sdk-mediaconvert"), ["transcode-convert"]);
}

#[test]
fn a_main_is_wiring_and_short() {
    let workspace = &*WORKSPACE;
    for name in workspace.all("function") {
        let folder = root().join(&workspace.folders[name]);
        let files: Vec<_> = fs::read_dir(folder.join("src"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(files, ["main.rs"], "{name}");
        assert_eq!(folder.file_name().unwrap(), name);
        let lines = fs::read_to_string(folder.join("src/main.rs")).unwrap().lines().count();
        assert!(lines < MAIN_LINES, "{name}: {lines} lines");
    }
}

/// `Message::is_last_attempt` is how a creator learns that a video failed: the queue must not give
/// up before, nor go on after.
#[test]
fn queues_give_up_when_the_code_thinks_they_do() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let counts: Vec<u32> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("maxReceiveCount: "))
        .map(|count| count.parse().unwrap())
        .collect();
    assert_eq!(counts, [runtime::queue::MAX_ATTEMPTS; 7]);
}

/// Every function of the folder is in the template, by its name and from its folder.
#[test]
fn the_template_has_every_function() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let lines: BTreeSet<_> = template.lines().map(str::trim).collect();
    let workspace = &*WORKSPACE;
    for name in workspace.all("function") {
        assert!(lines.contains(format!("Binary: {name}").as_str()), "{name}");
    }
}

/// CloudFormation takes a CloudFront Function's code inline only: `infra/edge/inline.py` puts it there.
#[test]
fn the_template_has_the_edge_function_as_its_file_is() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let code = fs::read_to_string(root().join("infra/edge/viewer-request.js")).unwrap();
    let start =
        "      FunctionCode: | # infra/edge/viewer-request.js, put here by infra/edge/inline.py\n";
    let (_, rest) = template.split_once(start).unwrap();
    let (inline, _) = rest.split_once("      # the end of infra/edge/viewer-request.js\n").unwrap();
    let inline: Vec<_> =
        inline.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    assert_eq!(inline, code.lines().collect::<Vec<_>>(), "run infra/edge/inline.py");
}
