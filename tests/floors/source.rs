//! Just enough of Rust's grammar to see which modules a file names.

use std::collections::BTreeSet;

/// The top-level modules that a file names by way of `crate::`, `renewd::`, or enough `super::`; `*` stands for all of
/// them at once. `module` is the file's own path of modules.
pub fn imports(text: &str, module: &[&str]) -> BTreeSet<String> {
    let words = words(text);
    let mut found = BTreeSet::new();
    let mut depth = 0_usize;
    let mut inline = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map(String::as_str);
        match word.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && words[at - 2] == "mod" {
                    inline.push(depth);
                }
            }
            "}" => {
                inline.pop_if(|opened| *opened == depth);
                depth = depth.saturating_sub(1);
            }
            "crate" | "renewd" if next == Some("::") => follow(&words, at + 2, 0, &mut found),
            "crate" if next == Some("as") => drop(found.insert("*".to_owned())),
            "super" => follow(&words, at, module.len() + inline.len(), &mut found),
            _ => {}
        }
    }
    found
}

/// Follows a path, or each path of a group, from a module `height` steps below the crate's root.
fn follow(words: &[String], at: usize, height: usize, found: &mut BTreeSet<String>) {
    let Some(word) = words.get(at) else { return };
    let goes_on = words.get(at + 1).is_some_and(|next| next == "::");
    match word.as_str() {
        "super" if goes_on && height > 0 => follow(words, at + 2, height - 1, found),
        "self" if goes_on => follow(words, at + 2, height, found),
        "{" => elements(words, at).into_iter().for_each(|start| follow(words, start, height, found)),
        "super" | "self" | "}" => {}
        name if height == 0 => drop(found.insert(name.to_owned())),
        _ => {}
    }
}

/// Where the elements of the group that opens at `open` begin.
fn elements(words: &[String], open: usize) -> Vec<usize> {
    let mut starts = vec![open + 1];
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," if depth == 1 => starts.push(at + 1),
            _ => {}
        }
    }
    starts
}

/// The modules that a file declares, and whether it holds anything else (attributes apart).
pub fn declared_modules(text: &str) -> (BTreeSet<String>, bool) {
    let words = without_attributes(words(text));
    let items: Vec<_> = words.split(|word| word == ";").filter(|item| !item.is_empty()).collect();
    let module = |item: &&[String]| match item {
        [publicly, word, name] if publicly == "pub" && word == "mod" => Some(name.clone()),
        [word, name] if word == "mod" => Some(name.clone()),
        _ => None,
    };
    let modules: Vec<_> = items.iter().filter_map(module).collect();
    let rest = modules.len() < items.len();
    (modules.into_iter().collect(), rest)
}

fn without_attributes(words: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut brackets = 0_usize;
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            "#" | "!" if brackets == 0 && words.peek().is_some_and(|next| next == "[" || next == "!") => {}
            "[" => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            _ if brackets == 0 => kept.push(word),
            _ => {}
        }
    }
    kept
}

/// The names of the types and traits that a file defines.
pub fn type_names(text: &str) -> Vec<String> {
    let words = words(text);
    let defines = |word: &str| matches!(word, "struct" | "enum" | "union" | "trait" | "type");
    // What tower calls so is called so in whatever implements its traits.
    let is_given = |pair: &[String]| pair[0] == "type" && pair[1] == "Service";
    let pairs = words.windows(2).filter(|pair| defines(&pair[0]) && !is_given(pair));
    pairs.map(|pair| pair[1].clone()).collect()
}

/// Words, `::` and single signs; no comments, no contents of strings, no blanks.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if let Some(length) = skipped(rest) {
            length
        } else if is_word(first) {
            let length = rest.find(|sign| !is_word(sign)).unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            words.push(rest[..length].to_owned());
            length
        };
        rest = &rest[length..];
    }
    words
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// The length of what is no code at the beginning of `rest`: a blank, a comment, a string, a character; `None` where
/// code begins.
fn skipped(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    match first {
        _ if first.is_whitespace() => Some(first.len_utf8()),
        '/' if rest.starts_with("//") => Some(rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => Some(block_comment(rest)),
        '"' => Some(1 + quoted(&rest[1..], '"')),
        '\'' => Some(character(rest)),
        'b' | 'c' | 'r' => prefixed(rest),
        _ => None,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let (step, change) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth = depth.saturating_add_signed(change);
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length up to and with the closing quote, backslashes minded.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character, or only the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut signs = rest[1..].chars();
    match (signs.next(), signs.next()) {
        (Some('\\'), _) => 1 + quoted(&rest[1..], '\''),
        (Some(sign), Some('\'')) => 2 + sign.len_utf8(),
        _ => 1,
    }
}

/// `b"…"`, `c"…"`, `r"…"`, `br#"…"#` as a whole; of `r#name` the mark only; `None` for a common word.
fn prefixed(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|after| after.starts_with(['"', '#'])))?;
    let after = &rest[prefix.len()..];
    if !prefix.ends_with('r') {
        return after.starts_with('"').then(|| prefix.len() + 1 + quoted(&after[1..], '"'));
    }
    let marks = after.len() - after.trim_start_matches('#').len();
    let Some(body) = after[marks..].strip_prefix('"') else { return (marks == 1).then_some(prefix.len() + 1) };
    let end = format!("\"{}", "#".repeat(marks));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(prefix.len() + marks + 1 + length)
}
