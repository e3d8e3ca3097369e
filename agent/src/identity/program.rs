//! What a process is called by its command line: the script of an interpreter, else its program.
//! Pure.

/// The name of a process by what it runs: `app` for `python3 app.py`, `nginx` for `/usr/sbin/nginx`.
pub fn program_name(exe: &str, comm: &str, cmdline: &[String]) -> String {
    let program = base_name(exe.strip_suffix(" (deleted)").unwrap_or(exe));
    // One file with many commands is known by what it was called as.
    if program.is_empty() || matches!(program, "busybox" | "coreutils" | "toybox") {
        return comm.to_owned();
    }
    let arguments: Vec<&str> = cmdline.iter().skip(1).map(String::as_str).collect();
    let name = match interpreter(program) {
        Some(Interpreter::Java) => java_name(&arguments),
        Some(Interpreter::Script(kind)) => script_name(&kind, &arguments),
        None => called_as(comm, cmdline),
    };
    name.unwrap_or_else(|| program.to_owned())
}

/// What a program was called as, where that is another name of its file: `redis-server` is a link
/// to `redis-check-rdb` on Debian. The kernel's name for the process is the one it was called by,
/// cut off after 15 bytes; if the two agree, neither was chosen freely.
fn called_as(comm: &str, cmdline: &[String]) -> Option<String> {
    let first = cmdline.first()?.split([' ', ':']).next()?;
    let name = base_name(first);
    let agree = name == comm || (comm.len() == 15 && name.starts_with(comm));
    let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (agree && plain).then(|| name.to_owned())
}

enum Interpreter {
    Java,
    Script(Options),
}

/// Options of an interpreter that matter for finding the script.
struct Options {
    /// Take the next argument as their value.
    with_value: &'static [&'static str],
    /// Mean that there is no script, but code or a prompt.
    no_script: &'static [&'static str],
    /// Name a module by the next argument.
    module: &'static [&'static str],
}

fn interpreter(program: &str) -> Option<Interpreter> {
    let family = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let options = match family {
        "java" => return Some(Interpreter::Java),
        "python" | "pypy" => Options {
            with_value: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
            no_script: &["-c", "-"],
            module: &["-m"],
        },
        "node" | "nodejs" | "bun" | "deno" => Options {
            with_value: &[
                "-r",
                "--require",
                "--import",
                "--loader",
                "--experimental-loader",
                "-C",
                "--conditions",
                "--env-file",
            ],
            no_script: &["-e", "--eval", "-p", "--print", "-i", "-"],
            module: &[],
        },
        "ruby" | "perl" | "php" | "lua" | "Rscript" | "dotnet" => Options {
            with_value: &["-I", "-r", "-C", "-d", "-l"],
            no_script: &["-e", "-E", "-"],
            module: &[],
        },
        "sh" | "bash" | "dash" | "zsh" | "ksh" => Options {
            with_value: &["-o", "-O", "--rcfile", "--init-file"],
            no_script: &["-c", "-i", "-l", "-s", "--login"],
            module: &[],
        },
        _ => return None,
    };
    Some(Interpreter::Script(options))
}

fn script_name(options: &Options, arguments: &[&str]) -> Option<String> {
    let mut rest = arguments.iter().copied();
    while let Some(argument) = rest.next() {
        if options.no_script.contains(&argument) {
            return None;
        }
        if options.module.contains(&argument) {
            let module = rest.next()?;
            return Some(launched(module, rest).unwrap_or_else(|| module.to_owned()));
        }
        if options.with_value.contains(&argument) {
            rest.next();
        } else if !argument.starts_with('-') && !matches!(argument, "run" | "exec" | "start") {
            let stem = stem(base_name(argument));
            return Some(launched(stem, rest).unwrap_or_else(|| stem.to_owned()));
        }
    }
    None
}

/// Servers that run somebody else's application: `uvicorn shop.api:app` is `shop.api`.
fn launched<'a>(script: &str, rest: impl Iterator<Item = &'a str>) -> Option<String> {
    let is_launcher = matches!(
        script,
        "uvicorn" | "gunicorn" | "hypercorn" | "daphne" | "granian" | "waitress-serve"
    );
    if !is_launcher {
        return None;
    }
    rest.filter(|argument| !argument.starts_with('-'))
        .find_map(|argument| {
            let (module, object) = argument.split_once(':')?;
            let is_name = |text: &str| {
                text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && text
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "_.()".contains(c))
            };
            (is_name(module) && is_name(object)).then(|| module.to_owned())
        })
}

/// Options of `java` that take the next argument as their value.
const JAVA_WITH_VALUE: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-opens",
    "--add-exports",
    "--add-modules",
    "--add-reads",
    "--upgrade-module-path",
];

fn java_name(arguments: &[&str]) -> Option<String> {
    let mut rest = arguments.iter().copied();
    while let Some(argument) = rest.next() {
        match argument {
            "-jar" => return rest.next().map(|jar| stem(base_name(jar)).to_owned()),
            "-m" | "--module" => return rest.next().map(|module| last_part(module).to_owned()),
            _ if JAVA_WITH_VALUE.contains(&argument) => {
                rest.next();
            }
            _ if !argument.starts_with(['-', '@']) => return Some(last_part(argument).to_owned()),
            _ => {}
        }
    }
    None
}

/// `Main` of `com.shop/com.shop.Main`.
fn last_part(class: &str) -> &str {
    class.rsplit(['.', '/']).next().unwrap_or(class)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn stem(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, "py" | "pyc" | "pyz" | "js" | "mjs" | "cjs" | "ts" | "rb" | "pl")) => stem,
        Some((stem, "php" | "jar" | "war" | "sh" | "lua" | "R" | "dll")) => stem,
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_program() {
        let exe = "/usr/bin/redis-check-rdb";
        for (comm, command, expected) in [
            (
                "redis-server",
                "/usr/bin/redis-server *:6379",
                "redis-server",
            ),
            ("redis-server", "redis-server 10.0.0.1:6379", "redis-server"),
            ("redis-server", "something else", "redis-check-rdb"),
            (
                "redis-check-rdb",
                "/usr/bin/redis-check-rdb x",
                "redis-check-rdb",
            ),
            (
                "a-name-of-more-",
                "a-name-of-more-letters",
                "a-name-of-more-letters",
            ),
            ("(sd-pam)", "(sd-pam)", "redis-check-rdb"),
        ] {
            let cmdline: Vec<String> = command.split(' ').map(Into::into).collect();
            assert_eq!(program_name(exe, comm, &cmdline), expected, "{command}");
        }
    }

    #[test]
    fn programs_and_scripts() {
        for (exe, command, expected) in [
            ("/usr/sbin/nginx", "nginx: worker process", "nginx"),
            (
                "/usr/lib/postgresql/15/bin/postgres",
                "postgres -D x",
                "postgres",
            ),
            ("/opt/a/server (deleted)", "./server", "server"),
            ("", "x", "comm"),
            ("/bin/busybox", "httpd -f", "comm"),
            ("/usr/bin/python3.11", "python3 app.py", "app"),
            (
                "/usr/bin/python3.11",
                "python3 -u -W ignore /srv/app.py --port 1",
                "app",
            ),
            (
                "/usr/bin/python3.11",
                "python3 -m http.server 80",
                "http.server",
            ),
            ("/usr/bin/python3.11", "python3 -c import(1)", "python3.11"),
            ("/usr/bin/python3.11", "python3", "python3.11"),
            (
                "/usr/bin/python3.11",
                "python3 /usr/bin/celery worker",
                "celery",
            ),
            (
                "/usr/bin/python3.11",
                "python3 /v/bin/uvicorn --port 1 shop.api:app",
                "shop.api",
            ),
            (
                "/usr/bin/python3.11",
                "python3 -m uvicorn --host 0.0.0.0:1 gq:app",
                "gq",
            ),
            (
                "/usr/bin/python3.11",
                "python3 /v/bin/gunicorn -b 127.0.0.1:80 wsgi",
                "gunicorn",
            ),
            ("/usr/bin/node", "node server.js", "server"),
            (
                "/usr/bin/node",
                "node -r ./otel.js --enable-source-maps dist/main.mjs",
                "main",
            ),
            ("/usr/bin/node", "node -e 1", "node"),
            ("/usr/bin/deno", "deno run --allow-net web.ts", "web"),
            ("/usr/bin/ruby3.1", "ruby -I lib api.rb", "api"),
            ("/usr/bin/bash", "bash -c sleep", "bash"),
            ("/usr/bin/bash", "bash ./serve.sh", "serve"),
            (
                "/jdk/bin/java",
                "java -Xmx64m -jar /opt/shop-1.2.jar --x",
                "shop-1.2",
            ),
            (
                "/jdk/bin/java",
                "java -cp a:b -Dx=y org.apache.Main conf",
                "Main",
            ),
            (
                "/jdk/bin/java",
                "java -p mods -m shop/com.shop.Start",
                "Start",
            ),
            ("/jdk/bin/java", "java -version", "java"),
        ] {
            let cmdline: Vec<String> = command.split(' ').map(Into::into).collect();
            assert_eq!(program_name(exe, "comm", &cmdline), expected, "{command}");
        }
    }
}
