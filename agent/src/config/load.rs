//! Reads the files in order and lays them over the defaults.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    error::ConfigError,
    file::File,
    ports::MAX_RULES,
    settings::{Config, DEFAULT_FILE, Overrides, Source, Sources, overlay},
};
use crate::observe::routes::Template;

/// Settings with the files they were read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Files read, in order.
    pub files: Vec<PathBuf>,
    sources: Sources,
}

impl Loaded {
    /// Key, value in words and source of each setting.
    pub fn describe(&self) -> Vec<(&'static str, String, Source)> {
        self.config.describe(&self.sources)
    }
}

/// Reads `file` (or [`DEFAULT_FILE`], which may be absent), then `conf.d/*.toml` beside it in
/// name order, then lays `overrides` over them.
///
/// # Errors
/// [`ConfigError`] for the first file or flag that cannot be used.
pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Loaded, ConfigError> {
    let main = file.unwrap_or(Path::new(DEFAULT_FILE));
    let mut loaded = Loaded {
        config: Config::default(),
        files: Vec::new(),
        sources: Sources::new(),
    };
    // A file that was asked for must exist; the default one need not.
    if file.is_some() || main.exists() {
        loaded.add(main)?;
    }
    for path in conf_d(main)? {
        loaded.add(&path)?;
    }
    let flags = overrides.into_file().map_err(|reason| {
        let remedy = "see `weir run --help` for the form of each flag";
        ConfigError::of_file("command line".into(), reason, remedy)
    })?;
    overlay(
        &mut loaded.config,
        &mut loaded.sources,
        flags,
        &Source::Flag,
    );
    Ok(loaded)
}

impl Loaded {
    fn add(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let file = parse(path, &text)?;
        let source = Source::File(path.into());
        overlay(&mut self.config, &mut self.sources, file, &source);
        self.files.push(path.into());
        Ok(())
    }
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    let file: File =
        toml::from_str(text).map_err(|error| ConfigError::of_toml(path.into(), text, &error))?;
    let wrong = wrong_service(&file)
        .or_else(|| wrong_routes(&file))
        .or_else(|| wrong_ports(&file));
    let Some(wrong) = wrong else {
        return Ok(file);
    };
    let table = format!("[[{}]]", wrong.key);
    let line = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim_start().starts_with(&table))
        .nth(wrong.index)
        .map_or(0, |(line, _)| line + 1);
    Err(ConfigError {
        file: path.into(),
        line,
        key: wrong.key.into(),
        reason: wrong.reason,
        remedy: wrong.remedy.into(),
    })
}

/// A table among several of one kind that says nothing, or too much.
struct Wrong {
    key: &'static str,
    index: usize,
    reason: String,
    remedy: &'static str,
}

fn wrong_service(file: &File) -> Option<Wrong> {
    let index = file
        .services
        .iter()
        .position(|rule| !rule.has_condition())?;
    Some(Wrong {
        key: "service",
        index,
        reason: format!(
            "the rule `{}` matches no process",
            file.services[index].name
        ),
        remedy: "add at least one of `process`, `exe`, `unit`",
    })
}

/// Routes of nothing, and routes that never come about, because another matches the same paths.
fn wrong_routes(file: &File) -> Option<Wrong> {
    let wrong = |index, reason, remedy| {
        Some(Wrong {
            key: "routes",
            index,
            reason,
            remedy,
        })
    };
    let mut seen: Vec<(&Option<String>, &Template)> = Vec::new();
    for (index, rule) in file.routes.iter().enumerate() {
        if rule.templates.is_empty() {
            let remedy = "write `templates = [\"/users/{id}\"]`, or remove the table";
            return wrong(index, "it names no template".into(), remedy);
        }
        for template in &rule.templates {
            let is_same = |(service, other): &&(&Option<String>, &Template)| {
                **service == rule.service && template.same_paths(other)
            };
            if let Some((_, other)) = seen.iter().find(is_same) {
                let reason = format!("`{template}` matches the same paths as `{other}`");
                return wrong(index, reason, "remove one of them");
            }
            seen.push((&rule.service, template));
        }
    }
    None
}

/// Ports that are given twice, or too many.
fn wrong_ports(file: &File) -> Option<Wrong> {
    let twice = |index: &usize| {
        let port = file.ports[*index].port;
        file.ports[..*index].iter().any(|other| other.port == port)
    };
    let (index, reason) = match (0..file.ports.len()).find(twice) {
        Some(index) => (
            index,
            format!("port {} is given twice", file.ports[index].port.0),
        ),
        None if file.ports.len() > MAX_RULES => (
            MAX_RULES,
            format!("there is room for {MAX_RULES} ports, not more"),
        ),
        None => return None,
    };
    Some(Wrong {
        key: "ports",
        index,
        reason,
        remedy: "remove the table",
    })
}

fn conf_d(main: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&folder, &error)),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    Ok(paths)
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "create it, or leave out --config to run with the defaults",
        io::ErrorKind::PermissionDenied => "run as root, or make the file readable",
        io::ErrorKind::InvalidData => "save the file as UTF-8 text",
        _ => "make sure that it is a readable file",
    };
    ConfigError::of_file(path.into(), format!("cannot be read: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OtlpProtocol;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let path =
                std::env::temp_dir().join(format!("weir-config-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            for (name, text) in files {
                let file = path.join(name);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, text).unwrap();
            }
            Self(path)
        }
        fn load(&self) -> Result<Loaded, ConfigError> {
            load(Some(&self.0.join("weir.toml")), Overrides::default())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn later_files_win_and_rules_add_up() {
        let folder = Folder::new(
            "merge",
            &[
                (
                    "weir.toml",
                    "state = \"/a\"\nring_bytes = 1048576\n[otlp]\nendpoint = \"http://x:4317\"\n\
                     headers = { a = \"1\" }\n[[service]]\nname = \"one\"\nprocess = \"p\"\n",
                ),
                (
                    "conf.d/20.toml",
                    "state = \"/c\"\nmetrics = \"off\"\n[[ports]]\nport = 9000\nprotocol = \"redis\"\n",
                ),
                (
                    "conf.d/10.toml",
                    "state = \"/b\"\n[otlp]\nprotocol = \"http/protobuf\"\nheaders = { b = \"2\" }\n\
                     [[service]]\nname = \"two\"\nunit = \"u*\"\n[[name]]\ncidr = \"10.0.0.0/8\"\nservice = \"lan\"\n\
                     [[routes]]\ntemplates = [\n  \"/users/{id}\",\n]\n\
                     [[ports]]\nport = 9000\nprotocol = \"opaque\"\n",
                ),
                ("conf.d/ignored.txt", "no toml"),
            ],
        );
        let config = folder.load().unwrap().config;
        assert_eq!(config.state, PathBuf::from("/c"));
        assert_eq!(config.metrics, None);
        assert_eq!(config.ring_bytes, 1 << 20);
        assert_eq!(config.otlp.endpoint.as_deref(), Some("http://x:4317"));
        assert_eq!(config.otlp.protocol, Some(OtlpProtocol::HttpProtobuf));
        assert_eq!(config.otlp.headers.len(), 2);
        assert_eq!(config.services.len(), 2);
        assert_eq!(config.names[0].service, "lan");
        assert_eq!(config.ports[&9000].to_string(), "redis", "later files win");
        assert_eq!(config.routes[0].templates[0].text(), "/users/{id}");
        assert!(
            !format!("{config:?}").contains("\"2\""),
            "a header value is a secret"
        );
    }

    #[test]
    fn flags_win_over_files() {
        let folder = Folder::new(
            "flags",
            &[("weir.toml", "state = \"/a\"\nmetrics = \"off\"\n")],
        );
        let flags = Overrides {
            state: Some("/flag".into()),
            otlp: Some("http://y:4317".into()),
            ..Overrides::default()
        };
        let loaded = load(Some(&folder.0.join("weir.toml")), flags).unwrap();
        assert_eq!(loaded.config.state, PathBuf::from("/flag"));
        assert_eq!(
            loaded.config.otlp.endpoint.as_deref(),
            Some("http://y:4317")
        );
        let rows = loaded.describe();
        assert_eq!(rows[1].2, Source::Flag);
        assert!(matches!(rows[3].2, Source::File(_)));
        assert_eq!(rows[0].2, Source::Default);
    }

    #[test]
    fn errors_name_line_key_and_remedy() {
        for (name, text, line, key, remedy) in [
            (
                "unknown",
                "state = \"/a\"\nsockt = \"/b\"\n",
                2,
                "sockt",
                "did you mean `socket`?",
            ),
            (
                "type",
                "detail_per_second = \"many\"\n",
                1,
                "detail_per_second",
                "detail_per_second = 2000",
            ),
            (
                "ring",
                "\n\nring_bytes = 5\n",
                3,
                "ring_bytes",
                "power of two",
            ),
            (
                "otlp",
                "[otlp]\nendpoint = \"localhost:4317\"\n",
                2,
                "otlp.endpoint",
                "http://127.0.0.1:4317",
            ),
            (
                "protocol",
                "[otlp]\nprotocol = \"http\"\n",
                2,
                "otlp.protocol",
                "http/protobuf",
            ),
            ("deep", "[otlp]\nurl = \"x\"\n", 2, "otlp.url", "known keys"),
            (
                "rule",
                "[[service]]\nname = \"a\"\nunit = \"u\"\n[[service]]\nname = \"b\"\n",
                4,
                "service",
                "process",
            ),
            (
                "cidr",
                "[[name]]\ncidr = \"10.0.0.0/33\"\nservice = \"a\"\n",
                2,
                "name.cidr",
                "10.1.0.0/16",
            ),
            (
                "metrics",
                "metrics = \"9464\"\n",
                1,
                "metrics",
                "127.0.0.1:9464",
            ),
            (
                "route",
                "[[routes]]\nservice = \"a\"\ntemplates = [\"/a\", \"/oauth2\"]\n",
                3,
                "routes.templates",
                "/users/{id}",
            ),
            (
                "no-route",
                "[[routes]]\ntemplates = [\"/a\"]\n[[routes]]\ntemplates = []\n",
                3,
                "routes",
                "/users/{id}",
            ),
            (
                "same-route",
                "[[routes]]\ntemplates = [\"/a/{b}\"]\n[[routes]]\ntemplates = [\"/a/{c}\"]\n",
                3,
                "routes",
                "remove one",
            ),
            (
                "port",
                "[[ports]]\nport = 70000\nprotocol = \"redis\"\n",
                2,
                "ports.port",
                "port = 9000",
            ),
            (
                "port-protocol",
                "[[ports]]\nport = 9000\nprotocol = \"reddis\"\n",
                3,
                "ports.protocol",
                "redis",
            ),
            (
                "port-twice",
                "[[ports]]\nport = 9000\nprotocol = \"redis\"\n\
                 [[ports]]\nport = 9000\nprotocol = \"opaque\"\n",
                4,
                "ports",
                "remove the table",
            ),
            ("syntax", "state = \n", 1, "state", "/var/lib/weir"),
        ] {
            let folder = Folder::new(name, &[("weir.toml", text)]);
            let error = folder.load().unwrap_err();
            assert_eq!(
                (error.line, error.key.as_str()),
                (line, key),
                "{name}: {error}"
            );
            assert!(error.remedy.contains(remedy), "{name}: {error}");
            assert!(error.to_string().contains("weir.toml:"), "{name}: {error}");
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = load(
            Some(Path::new("/nonexistent/weir.toml")),
            Overrides::default(),
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("/nonexistent/weir.toml")
        );
    }
}
