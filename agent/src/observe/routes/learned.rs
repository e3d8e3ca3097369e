//! Segments that turn out to be names of things: more of them under one prefix than an API has
//! words, so they become `{…}`.

use std::collections::HashMap;

/// Different segments that may stand under one prefix before they are taken for names of things.
pub(super) const MAX_CHILDREN: usize = 50;

/// What stands for them.
const ANY: &str = "{…}";

/// The paths of one service, a level per segment.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
    /// Nodes below the root.
    nodes: usize,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    /// What all children have become.
    any: Option<Box<Node>>,
}

impl Tree {
    /// Nodes held.
    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Takes up a normalised path. True if this made children one, so that names have changed.
    pub(super) fn learn(&mut self, path: &str) -> bool {
        let mut folded = false;
        let mut node = &mut self.root;
        for segment in segments(path) {
            if node.any.is_none() && !node.children.contains_key(segment) {
                node.children.insert(segment.into(), Node::default());
                self.nodes += 1;
                folded |= node.fold_if_many();
            }
            node = match &mut node.any {
                Some(any) => any,
                None => node.children.entry(segment.into()).or_default(),
            };
        }
        if folded {
            self.nodes = self.root.count();
        }
        folded
    }

    /// The path with what has become one; `None` if nothing of it has.
    pub(super) fn template(&self, path: &str) -> Option<String> {
        let mut out = String::new();
        let mut found = false;
        let mut node = Some(&self.root);
        for segment in segments(path) {
            let any = node.and_then(|node| node.any.as_deref());
            found |= any.is_some();
            out.push('/');
            out.push_str(if any.is_some() { ANY } else { segment });
            node = any.or_else(|| node?.children.get(segment));
        }
        if path.len() > 1 && path.ends_with('/') {
            out.push('/');
        }
        found.then_some(out)
    }
}

impl Node {
    fn fold_if_many(&mut self) -> bool {
        if self.children.len() <= MAX_CHILDREN {
            return false;
        }
        let mut all = self.any.take().unwrap_or_default();
        for (_, child) in self.children.drain() {
            all.merge(child);
        }
        self.any = Some(all);
        true
    }

    /// Paths have at most 64 bytes, which bounds the depth.
    fn merge(&mut self, other: Self) {
        for (segment, child) in other.children {
            match &mut self.any {
                Some(any) => any.merge(child),
                None => self.children.entry(segment).or_default().merge(child),
            }
        }
        if let Some(theirs) = other.any {
            let mut all = self.any.take().unwrap_or_default();
            all.merge(*theirs);
            for (_, child) in self.children.drain() {
                all.merge(child);
            }
            self.any = Some(all);
        }
        self.fold_if_many();
    }

    fn count(&self) -> usize {
        let children = self.children.values().chain(self.any.as_deref());
        children.map(|child| 1 + child.count()).sum()
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize) -> impl Iterator<Item = String> {
        let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
        (0..count).map(move |n| format!("{}{}", letter(n / 26), letter(n)))
    }

    #[test]
    fn many_children_become_one() {
        let mut tree = Tree::default();
        for (count, word) in words(MAX_CHILDREN).enumerate() {
            assert!(!tree.learn(&format!("/users/{word}/orders")), "{count}");
        }
        assert_eq!(tree.template("/users/aa/orders"), None);
        assert!(tree.learn("/users/zz/invoices"));
        for (path, expected) in [
            ("/users/aa/orders", Some("/users/{…}/orders")),
            ("/users/never/seen", Some("/users/{…}/seen")),
            ("/users/*", Some("/users/{…}")),
            ("/users/aa/", Some("/users/{…}/")),
            ("/users", None),
            ("/", None),
        ] {
            assert_eq!(tree.template(path).as_deref(), expected, "{path}");
        }
        // The root's child, what its children are now, and the two words below.
        assert_eq!(tree.nodes(), 4);
    }

    #[test]
    fn what_comes_together_may_be_too_much_again() {
        let mut tree = Tree::default();
        for word in words(60) {
            tree.learn(&format!("/a/{}/{word}", &word[..1]));
            tree.learn(&format!("/b/{word}/x/{word}"));
        }
        assert_eq!(
            tree.template("/b/q/x/q").as_deref(),
            Some("/b/{…}/x/{…}"),
            "children of different parents count together"
        );
        assert_eq!(tree.template("/a/a/aa"), None, "at most 26 each");
        assert!(tree.nodes() < 200, "{}", tree.nodes());
    }
}
