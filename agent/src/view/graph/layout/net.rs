//! The layered net: cards and the vertices that links pass through.

use super::{LOOP_HEIGHT, Plan, Size, pack::Part, rank};

/// Something that has a place in a layer.
#[derive(Clone, Copy, Debug)]
pub struct Vertex {
    /// Layer. Cards stand in even ones.
    pub rank: usize,
    /// Its extent.
    pub size: Size,
    /// What it is.
    pub kind: Kind,
}

/// What a vertex is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A card.
    Card,
    /// The label of a link.
    Label,
    /// A link on its way.
    Way,
}

/// The net of one connected part.
#[derive(Debug)]
pub struct Net {
    /// Cards first, in the order of the part's nodes.
    pub vertices: Vec<Vertex>,
    /// Vertices of each layer, top to bottom.
    pub ranks: Vec<Vec<usize>>,
    /// Neighbours in the layer before.
    pub before: Vec<Vec<usize>>,
    /// Neighbours in the layer after.
    pub after: Vec<Vec<usize>>,
    /// Vertices of each link of the part from left to right; empty for loops.
    pub chains: Vec<Vec<usize>>,
    /// Links that run from right to left.
    pub reversed: Vec<bool>,
}

impl Net {
    /// Builds the net of a part.
    pub fn new(plan: &Plan, part: &Part) -> Self {
        let ends: Vec<(usize, usize)> = part
            .links
            .iter()
            .map(|link| {
                (
                    part.local(plan.links[*link].0),
                    part.local(plan.links[*link].1),
                )
            })
            .collect();
        let straight: Vec<(usize, usize)> = ends.iter().copied().filter(|(a, b)| a != b).collect();
        let ranks = rank::ranks(part.nodes.len(), &straight);
        let mut net = Self {
            vertices: Vec::new(),
            ranks: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            chains: Vec::new(),
            reversed: Vec::new(),
        };
        for (local, node) in part.nodes.iter().enumerate() {
            let mut size = plan.cards[*node];
            if ends.contains(&(local, local)) {
                size.height += LOOP_HEIGHT;
            }
            net.add(Vertex {
                rank: ranks.of[local] * 2,
                size,
                kind: Kind::Card,
            });
        }
        let mut reversed = ranks.reversed.into_iter();
        for (index, (from, to)) in ends.into_iter().enumerate() {
            if from == to {
                net.chains.push(Vec::new());
                net.reversed.push(false);
                continue;
            }
            let back = reversed.next().unwrap_or(false);
            let (left, right) = if back { (to, from) } else { (from, to) };
            let label = plan.links[part.links[index]].2;
            let chain = net.chain(left, right, label);
            net.chains.push(chain);
            net.reversed.push(back);
        }
        net
    }

    fn add(&mut self, vertex: Vertex) -> usize {
        let index = self.vertices.len();
        while self.ranks.len() <= vertex.rank {
            self.ranks.push(Vec::new());
        }
        self.ranks[vertex.rank].push(index);
        self.vertices.push(vertex);
        self.before.push(Vec::new());
        self.after.push(Vec::new());
        index
    }

    fn join(&mut self, left: usize, right: usize) {
        self.after[left].push(right);
        self.before[right].push(left);
    }

    fn chain(&mut self, left: usize, right: usize, label: Size) -> Vec<usize> {
        let (first, last) = (self.vertices[left].rank, self.vertices[right].rank);
        // Odd, so that the label stands between cards, and next to the caller's side: there the
        // links of a hub are still apart.
        let middle = ((first + last) / 2) | 1;
        let mut chain = vec![left];
        for rank in first + 1..last {
            let (size, kind) = match rank == middle {
                true => (label, Kind::Label),
                false => (
                    Size {
                        width: 0.0,
                        height: 6.0,
                    },
                    Kind::Way,
                ),
            };
            let vertex = self.add(Vertex { rank, size, kind });
            self.join(chain[chain.len() - 1], vertex);
            chain.push(vertex);
        }
        self.join(chain[chain.len() - 1], right);
        chain.push(right);
        chain
    }
}
