//! What a statement does and to which table: `db.query.summary` of the semantic conventions.

/// Words that may stand before a table's name.
const PASSED: [&str; 8] = [
    "only",
    "lateral",
    "table",
    "if",
    "not",
    "exists",
    "concurrently",
    "view",
];

/// Words that begin a query where a table could stand.
const QUERIES: [&str; 3] = ["select", "values", "with"];

/// Statements with a table of their own, which may stand behind WITH.
const VERBS: [&str; 5] = ["select", "insert", "update", "delete", "merge"];

/// What can be made, changed or removed.
const KINDS: [&str; 18] = [
    "table",
    "view",
    "index",
    "database",
    "schema",
    "user",
    "role",
    "trigger",
    "procedure",
    "function",
    "sequence",
    "extension",
    "type",
    "domain",
    "policy",
    "publication",
    "subscription",
    "tablespace",
];

enum Token {
    Word(String),
    Sign(u8),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }
}

/// Verb and first table of a text without literals: `SELECT orders`, `CREATE TABLE orders`; empty
/// if there is no word in it. `is_cut` says that the text went on.
pub fn summary(text: &[u8], is_cut: bool) -> String {
    let tokens = tokens(text, is_cut);
    let is_word = |token: &Token| matches!(token, Token::Word(_));
    let Some(first) = tokens.iter().position(is_word) else {
        return String::new();
    };
    let begin = if tokens[first].is("with") {
        behind_with(&tokens[first..]).map_or(first, |at| first + at)
    } else {
        first
    };
    let Token::Word(verb) = &tokens[begin] else {
        return String::new();
    };
    let rest = &tokens[begin + 1..];
    let (kind, table) = match verb.as_str() {
        "select" => (None, selected(rest)),
        "insert" | "merge" => (None, behind(rest, "into")),
        "delete" => (None, behind(rest, "from")),
        "update" | "truncate" | "lock" | "table" | "copy" | "call" => (None, table(rest)),
        "create" | "alter" | "drop" => defined(rest),
        _ => (None, None),
    };
    let mut summary = low_cardinality(&verb.to_uppercase());
    let words = [kind.map(str::to_uppercase), table.map(low_cardinality)];
    for word in words.into_iter().flatten() {
        summary = format!("{summary} {word}");
    }
    summary
}

/// Words and signs of a text; half a word at the end of a cut one is none.
fn tokens(text: &[u8], is_cut: bool) -> Vec<Token> {
    let is_of_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_.$".contains(byte);
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let len = rest.iter().take_while(|byte| is_of_word(byte)).count();
        if len == 0 || *byte == b'.' {
            if *byte != b' ' {
                tokens.push(Token::Sign(*byte));
            }
            rest = behind;
            continue;
        }
        let word = String::from_utf8_lossy(&rest[..len]).into_owned();
        rest = &rest[len..];
        if !(is_cut && rest.is_empty()) {
            tokens.push(Token::Word(word));
        }
    }
    tokens
}

/// Where the statement begins that stands behind WITH and its queries in parentheses.
fn behind_with(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0;
    tokens.iter().position(|token| {
        depth += step(token);
        depth == 0 && token.is_one_of(&VERBS)
    })
}

/// How a token changes the depth of parentheses.
fn step(token: &Token) -> i32 {
    match token {
        Token::Sign(b'(') => 1,
        Token::Sign(b')') => -1,
        _ => 0,
    }
}

/// The table behind the FROM of a SELECT, or of the one in parentheses there. The FROM of
/// `extract(… FROM …)` stands deeper, that of `IS DISTINCT FROM` behind its word.
fn selected(tokens: &[Token]) -> Option<&str> {
    let mut tokens = tokens.iter();
    let (mut depth, mut wanted) = (0, 0);
    let mut is_distinct = false;
    let mut is_behind_from = false;
    loop {
        let token = tokens.next()?;
        depth += step(token);
        if is_behind_from {
            match token {
                Token::Sign(b'(') => wanted = depth,
                Token::Word(_) if token.is_one_of(&PASSED) => {}
                Token::Word(_) if token.is_one_of(&QUERIES) => is_behind_from = false,
                Token::Word(word) => return Some(word),
                Token::Sign(_) => return None,
            }
            continue;
        }
        if matches!(token, Token::Sign(b';')) {
            return None;
        }
        is_behind_from = token.is("from") && depth == wanted && !is_distinct;
        is_distinct = token.is("distinct");
    }
}

/// The table behind the first such word.
fn behind<'a>(tokens: &'a [Token], word: &str) -> Option<&'a str> {
    let at = tokens.iter().position(|token| token.is(word))?;
    table(&tokens[at + 1..])
}

/// The table that stands here, behind words that may be there.
fn table(tokens: &[Token]) -> Option<&str> {
    let mut tokens = tokens.iter();
    match tokens.find(|token| !token.is_one_of(&PASSED))? {
        Token::Word(word) => Some(word),
        Token::Sign(_) => None,
    }
}

/// The kind of what is made, changed or removed, and the name of a table or view.
fn defined(tokens: &[Token]) -> (Option<&str>, Option<&str>) {
    let end = tokens
        .iter()
        .position(|token| matches!(token, Token::Sign(_)));
    let words = &tokens[..end.unwrap_or(tokens.len())];
    let Some(at) = words.iter().position(|token| token.is_one_of(&KINDS)) else {
        return (None, None);
    };
    let Token::Word(kind) = &words[at] else {
        return (None, None);
    };
    let has_name = matches!(kind.as_str(), "table" | "view");
    (
        Some(kind),
        if has_name {
            table(&words[at + 1..])
        } else {
            None
        },
    )
}

/// A name with a star for each long number in it: parts of a table are named by dates and numbers.
fn low_cardinality(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let plain = rest[digits..].find(|c: char| c.is_ascii_digit());
        let end = plain.map_or(rest.len(), |at| digits + at);
        out.push_str(if digits > 2 { "*" } else { &rest[..digits] });
        out.push_str(&rest[digits..end]);
        rest = &rest[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use weir_common::framing::postgres::text::normalise;

    use super::summary;

    fn check(text: &str, is_cut: bool, expected: &str) {
        let mut normal = Vec::new();
        normalise(text.as_bytes(), &mut |byte| normal.push(byte));
        assert_eq!(summary(&normal, is_cut), expected, "{text}");
    }

    #[test]
    fn queries() {
        for (text, expected) in [
            (
                "SELECT name FROM orders WHERE id = 'FROM secret'",
                "SELECT orders",
            ),
            (
                "select * from \"Shop\".\"Orders\" o join items",
                "SELECT shop.orders",
            ),
            ("SELECT 1", "SELECT"),
            ("SELECT now()", "SELECT"),
            ("(SELECT a FROM t) UNION (SELECT a FROM u)", "SELECT t"),
            (
                "SELECT a FROM (SELECT b FROM inner_table) x",
                "SELECT inner_table",
            ),
            ("SELECT a FROM (t JOIN u USING (id))", "SELECT t"),
            ("SELECT (SELECT max(a) FROM u) FROM t", "SELECT t"),
            ("SELECT extract(year FROM day) FROM t", "SELECT t"),
            ("SELECT substring(a from 2 for 3) FROM t", "SELECT t"),
            ("SELECT a IS DISTINCT FROM b FROM t", "SELECT t"),
            ("SELECT DISTINCT a FROM ONLY t", "SELECT t"),
            (
                "SELECT a FROM generate_series(1, 9) a",
                "SELECT generate_series",
            ),
            ("SELECT a FROM LATERAL (SELECT b FROM u) x", "SELECT u"),
            ("SELECT a FROM (VALUES (1), (2)) x", "SELECT"),
            ("SELECT 1; SELECT a FROM t", "SELECT"),
            ("SELECT E'it\\'s FROM secret' FROM t", "SELECT t"),
            ("SELECT 'c:\\' FROM t", "SELECT t"),
            ("SELECT $$ FROM secret $$ FROM t", "SELECT"),
            ("SELECT 'never closed FROM secret", "SELECT"),
            ("/* FROM hint */ SELECT -- FROM c\n 1 FROM t", "SELECT t"),
            ("SELECT a FROM events_20240131", "SELECT events_*"),
            (
                "SELECT a FROM oauth2_tokens_v10",
                "SELECT oauth2_tokens_v10",
            ),
            ("WITH a AS (SELECT b FROM c) SELECT d FROM a", "SELECT a"),
            (
                "WITH RECURSIVE a (b) AS (SELECT 1) DELETE FROM t",
                "DELETE t",
            ),
            ("WITH a AS (SELECT b FROM c", "WITH"),
            ("TABLE orders", "TABLE orders"),
            ("VALUES (1)", "VALUES"),
        ] {
            check(text, false, expected);
        }
    }

    #[test]
    fn changes() {
        for (text, expected) in [
            ("INSERT INTO orders (a) VALUES ('secret')", "INSERT orders"),
            ("insert into a.b select * from c", "INSERT a.b"),
            ("UPDATE orders SET a = 'it''s'", "UPDATE orders"),
            ("UPDATE ONLY orders SET a = 1", "UPDATE orders"),
            (
                "DELETE FROM orders WHERE a IN (SELECT b FROM c)",
                "DELETE orders",
            ),
            ("MERGE INTO orders o USING items i ON true", "MERGE orders"),
            ("TRUNCATE TABLE ONLY orders", "TRUNCATE orders"),
            ("COPY orders (a) FROM STDIN", "COPY orders"),
            ("COPY (SELECT a FROM t) TO STDOUT", "COPY"),
            ("CALL pay(1)", "CALL pay"),
            ("LOCK TABLE orders", "LOCK orders"),
            (
                "CREATE TABLE IF NOT EXISTS orders (id INT)",
                "CREATE TABLE orders",
            ),
            ("CREATE TEMP TABLE t123456 AS SELECT 1", "CREATE TABLE t*"),
            ("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX"),
            ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE VIEW v"),
            ("ALTER TABLE orders ADD a INT", "ALTER TABLE orders"),
            ("DROP DATABASE shop", "DROP DATABASE"),
            ("CREATE USER shop PASSWORD 'secret'", "CREATE USER"),
        ] {
            check(text, false, expected);
        }
    }

    #[test]
    fn other_statements_have_their_verb() {
        for (text, expected) in [
            ("BEGIN", "BEGIN"),
            ("COMMIT;", "COMMIT"),
            ("SET search_path = secret", "SET"),
            ("SAVEPOINT a_1", "SAVEPOINT"),
            ("DO $$ BEGIN DELETE FROM secret; END $$", "DO"),
            ("EXPLAIN SELECT a FROM t", "EXPLAIN"),
            ("FETCH 100 FROM c_1", "FETCH"),
            ("SELEKT 1", "SELEKT"),
            ("'secret' 12", ""),
            (";", ""),
            ("", ""),
        ] {
            check(text, false, expected);
        }
    }

    #[test]
    fn half_a_name_is_none() {
        for (text, expected) in [
            ("SELECT a FROM ord", "SELECT"),
            ("SELECT a FROM ord ", "SELECT ord"),
            ("SELECT a FROM", "SELECT"),
            ("SEL", ""),
        ] {
            check(text, true, expected);
        }
    }
}
