//! Finds the connected parts of a graph and packs their drawings like books on shelves.

use super::{Layout, Plan, Point, Route, Size};

/// Room between parts, px.
const BETWEEN: f64 = 44.0;

/// Parts stand side by side at least up to this width, px.
const NARROWEST: f64 = 720.0;

/// Wanted width ÷ height of the whole.
const ASPECT: f64 = 1.7;

/// Nodes that are connected, with the links between them.
#[derive(Debug)]
pub struct Part {
    /// Indexes of nodes, ascending.
    pub nodes: Vec<usize>,
    /// Indexes of links.
    pub links: Vec<usize>,
}

impl Part {
    /// Place of a node within the part.
    pub fn local(&self, node: usize) -> usize {
        self.nodes.binary_search(&node).unwrap_or(0)
    }
}

/// The connected parts, those with most nodes first.
pub fn parts(plan: &Plan) -> Vec<Part> {
    let mut leader: Vec<usize> = (0..plan.cards.len()).collect();
    for (from, to, _) in &plan.links {
        let (a, b) = (find(&mut leader, *from), find(&mut leader, *to));
        leader[a.max(b)] = a.min(b);
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut place = vec![usize::MAX; plan.cards.len()];
    for node in 0..plan.cards.len() {
        let first = find(&mut leader, node);
        if place[first] == usize::MAX {
            place[first] = parts.len();
            parts.push(Part {
                nodes: Vec::new(),
                links: Vec::new(),
            });
        }
        parts[place[first]].nodes.push(node);
    }
    for (link, (from, _, _)) in plan.links.iter().enumerate() {
        let first = find(&mut leader, *from);
        parts[place[first]].links.push(link);
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.nodes.len()));
    parts
}

fn find(leader: &mut [usize], mut node: usize) -> usize {
    while leader[node] != node {
        leader[node] = leader[leader[node]];
        node = leader[node];
    }
    node
}

/// Puts the drawings of the parts together.
pub fn pack(plan: &Plan, parts: &[Part], blocks: &[Layout]) -> Layout {
    let area: f64 = blocks
        .iter()
        .map(|block| (block.size.width + BETWEEN) * (block.size.height + BETWEEN))
        .sum();
    let widest = blocks
        .iter()
        .map(|block| block.size.width)
        .fold(0.0, f64::max);
    let limit = widest.max((area * ASPECT).sqrt()).max(NARROWEST);
    let mut whole = Layout {
        size: Size::default(),
        cards: vec![Point::default(); plan.cards.len()],
        routes: vec![Route::default(); plan.links.len()],
    };
    let (mut x, mut y, mut shelf) = (0.0, 0.0, 0.0_f64);
    for (part, block) in parts.iter().zip(blocks) {
        if x > 0.0 && x + block.size.width > limit {
            (x, y, shelf) = (0.0, y + shelf + BETWEEN, 0.0);
        }
        put(&mut whole, part, block, Point { x, y });
        whole.size.width = whole.size.width.max(x + block.size.width);
        whole.size.height = whole.size.height.max(y + block.size.height);
        x += block.size.width + BETWEEN;
        shelf = shelf.max(block.size.height);
    }
    whole
}

fn put(whole: &mut Layout, part: &Part, block: &Layout, at: Point) {
    let moved = |point: &Point| Point {
        x: point.x + at.x,
        y: point.y + at.y,
    };
    for (node, card) in part.nodes.iter().zip(&block.cards) {
        whole.cards[*node] = moved(card);
    }
    for (link, route) in part.links.iter().zip(&block.routes) {
        whole.routes[*link] = Route {
            points: route.points.iter().map(moved).collect(),
            label: moved(&route.label),
            ..route.clone()
        };
    }
}
