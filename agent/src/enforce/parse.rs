//! Policy files → policies: the frame of a document (`apiVersion`, `kind`, `metadata`).

use super::{
    fields::{Fields, Problems},
    parse_spec,
    policy::Policy,
    yaml::{self, Node},
};
use crate::control::api::{PolicyFile, Refusal};

/// The version of the policy language.
pub const API_VERSION: &str = "weir.dev/v1";

/// Longest name, as in Kubernetes.
const NAME_LENGTH: usize = 253;

/// Longest `namespace/name`: rule names stand in a kernel map for the next start of the daemon.
const KEY_LENGTH: usize = 255;

/// Fields of `metadata` that say nothing about traffic: kept out, not refused.
const METADATA_IGNORED: [&str; 11] = [
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
];

/// Reads every policy of a file, or says all that is wrong with it.
pub fn parse(file: &PolicyFile) -> Result<Vec<Policy>, Vec<Refusal>> {
    let mut problems = Problems::new(&file.name);
    let documents = match yaml::documents(&file.text) {
        Ok(documents) => documents,
        Err(error) => {
            problems.refuse(error.line, "", error.reason, error.remedy);
            return Err(problems.into_refusals());
        }
    };
    let policies: Vec<Policy> = documents
        .iter()
        .filter_map(|document| parse_document(document, &file.name, &mut problems))
        .collect();
    if problems.is_empty() {
        Ok(policies)
    } else {
        Err(problems.into_refusals())
    }
}

fn parse_document(document: &Node, source: &str, problems: &mut Problems) -> Option<Policy> {
    let mut fields = Fields::open(document, document.line, "", problems)?;
    let version_known = read_version(&mut fields, problems);
    let kind = read_kind(&mut fields, problems);
    let metadata = read_metadata(&mut fields, problems);
    fields.take_unlisted("status");
    let spec = fields.take("spec");
    // Of a kind that is not known nothing else can be judged.
    let kind = kind?;
    let spec = match spec {
        Some(entry) => parse_spec::parse(kind, entry, problems),
        None => {
            problems.refuse(
                fields.line,
                "spec",
                "is missing",
                "say what the policy asks for under `spec:`",
            );
            None
        }
    };
    fields.finish(problems);
    if !version_known {
        return None;
    }
    let (name, namespace, line) = metadata?;
    Some(Policy {
        name,
        namespace,
        source: source.to_owned(),
        line,
        spec: spec?,
    })
}

fn read_version(fields: &mut Fields<'_>, problems: &mut Problems) -> bool {
    let before = problems.len();
    match fields.text("apiVersion", problems) {
        Some((version, _)) if version == API_VERSION => {}
        Some((version, line)) => problems.refuse(
            line,
            "apiVersion",
            format!("`{version}` is not known"),
            format!("write `apiVersion: {API_VERSION}`"),
        ),
        None if problems.len() == before => problems.refuse(
            fields.line,
            "apiVersion",
            "is missing",
            format!("write `apiVersion: {API_VERSION}`"),
        ),
        None => {}
    }
    problems.len() == before
}

/// Which reader a document's `spec` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A traffic policy.
    Traffic,
    /// A default policy.
    Default,
}

fn read_kind(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Kind> {
    let before = problems.len();
    let remedy = "write `kind: TrafficPolicy` or `kind: DefaultPolicy`";
    match fields.text("kind", problems) {
        Some((kind, _)) if kind == "TrafficPolicy" => return Some(Kind::Traffic),
        Some((kind, _)) if kind == "DefaultPolicy" => return Some(Kind::Default),
        Some((kind, line)) if kind == "VirtualService" => problems.refuse(
            line,
            "kind",
            "`VirtualService` is not enforceable yet",
            "take this document out of the file",
        ),
        Some((kind, line)) => {
            problems.refuse(line, "kind", format!("`{kind}` is not known"), remedy);
        }
        None if problems.len() == before => {
            problems.refuse(fields.line, "kind", "is missing", remedy);
        }
        None => {}
    }
    None
}

/// `metadata.name`, `metadata.namespace` and the line of the name.
fn read_metadata(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<(String, Option<String>, u32)> {
    let remedy = "write `metadata: { name: checkout-to-payments }`";
    let Some(entry) = fields.take("metadata") else {
        problems.refuse(fields.line, "metadata.name", "is missing", remedy);
        return None;
    };
    let mut metadata = Fields::open(&entry.node, entry.line, "metadata", problems)?;
    let before = problems.len();
    let name = metadata.text("name", problems);
    if name.is_none() && problems.len() == before {
        problems.refuse(entry.line, "metadata.name", "is missing", remedy);
    }
    let namespace = metadata.text("namespace", problems);
    for ignored in METADATA_IGNORED {
        metadata.take_unlisted(ignored);
    }
    metadata.finish(problems);
    for (path, text) in [("metadata.name", &name), ("metadata.namespace", &namespace)] {
        if let Some((text, line)) = text
            && !is_name(text)
        {
            problems.refuse(
                *line,
                path,
                format!("`{text}` is not a name"),
                format!(
                    "use lower-case letters, digits, `-` and `.`, beginning and ending with a \
                     letter or digit, at most {NAME_LENGTH}"
                ),
            );
            return None;
        }
    }
    let (name, line) = name?;
    let length = name.len() + namespace.as_ref().map_or(0, |(text, _)| text.len() + 1);
    if length > KEY_LENGTH {
        problems.refuse(
            line,
            "metadata.name",
            format!("has {length} characters together with its namespace"),
            format!("use at most {KEY_LENGTH}"),
        );
        return None;
    }
    Some((name, namespace.map(|(text, _)| text), line))
}

/// A Kubernetes object name (RFC 1123 subdomain).
fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= NAME_LENGTH
        && text.bytes().all(|b| letter(b) || b == b'-' || b == b'.')
        && text.bytes().next().is_some_and(letter)
        && text.bytes().last().is_some_and(letter)
}
