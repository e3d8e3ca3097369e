//! Gives the vertices of ordered layers their places.

use super::{
    Point,
    net::{Kind, Net, Vertex},
};

/// Room between the layers for links to turn in, px.
const BETWEEN: f64 = 44.0;

/// Sweeps of alignment.
const SWEEPS: usize = 60;

/// Centre of each vertex; left and right border of each layer.
#[derive(Debug)]
pub struct Placed {
    /// Centres.
    pub centres: Vec<Point>,
    /// Left and right border of each layer.
    pub columns: Vec<(f64, f64)>,
}

/// Places an ordered net.
pub fn place(net: &Net) -> Placed {
    let columns = columns(net);
    let y = heights(net);
    let centres = net
        .vertices
        .iter()
        .zip(y)
        .map(|(vertex, y)| {
            let (left, right) = columns[vertex.rank];
            Point {
                x: (left + right) / 2.0,
                y,
            }
        })
        .collect();
    Placed { centres, columns }
}

fn columns(net: &Net) -> Vec<(f64, f64)> {
    let mut x = 0.0;
    let mut columns = Vec::new();
    for rank in &net.ranks {
        let widths = rank.iter().map(|vertex| net.vertices[*vertex].size.width);
        let width = widths.fold(0.0, f64::max);
        // Many links turning in one gap need a wider one to stay readable.
        let turning: usize = rank.iter().map(|vertex| net.before[*vertex].len()).sum();
        if !columns.is_empty() {
            x += BETWEEN + (turning as f64 * 2.0).min(48.0);
        }
        columns.push((x, x + width));
        x += width;
    }
    columns
}

/// Height of each centre: sweeps that pull every vertex towards its neighbours while the order
/// and the distances within its layer hold.
fn heights(net: &Net) -> Vec<f64> {
    let mut y = vec![0.0; net.vertices.len()];
    for rank in &net.ranks {
        let gaps = gaps(net, rank);
        let mut at = 0.0;
        for (place, vertex) in rank.iter().enumerate() {
            at += if place == 0 { 0.0 } else { gaps[place - 1] };
            y[*vertex] = at;
        }
        for vertex in rank {
            y[*vertex] -= at / 2.0;
        }
    }
    for sweep in 0..SWEEPS {
        // The last sweeps look both ways, so that neither end wins.
        let both = sweep + 20 >= SWEEPS;
        let down = sweep % 2 == 0;
        let mut layers: Vec<usize> = (0..net.ranks.len()).collect();
        if !down {
            layers.reverse();
        }
        for layer in layers {
            align(net, layer, &mut y, both || down, both || !down);
        }
    }
    y
}

fn align(net: &Net, layer: usize, y: &mut [f64], before: bool, after: bool) {
    let rank = &net.ranks[layer];
    let mut wanted = Vec::with_capacity(rank.len());
    let mut weights = Vec::with_capacity(rank.len());
    for vertex in rank {
        let mut sum = 0.0;
        let mut weight = 0.0;
        let lists = [(before, &net.before[*vertex]), (after, &net.after[*vertex])];
        for other in lists
            .iter()
            .filter(|(use_it, _)| *use_it)
            .flat_map(|(_, list)| *list)
        {
            let pull = pull(&net.vertices[*vertex], &net.vertices[*other]);
            sum += y[*other] * pull;
            weight += pull;
        }
        // A vertex without neighbours on that side stays, lightly.
        wanted.push(if weight > 0.0 {
            sum / weight
        } else {
            y[*vertex]
        });
        weights.push(if weight > 0.0 { weight } else { 0.1 });
    }
    let settled = settle(&wanted, &weights, &gaps(net, rank));
    for (vertex, y_new) in rank.iter().zip(settled) {
        y[*vertex] = y_new;
    }
}

/// How strongly a link keeps straight: bends between cards on a long link look worst.
fn pull(a: &Vertex, b: &Vertex) -> f64 {
    match (a.kind == Kind::Card, b.kind == Kind::Card) {
        (false, false) => 8.0,
        (true, true) => 1.0,
        _ => 2.0,
    }
}

/// Least distance between the centres of neighbours in a layer.
fn gaps(net: &Net, rank: &[usize]) -> Vec<f64> {
    rank.windows(2)
        .map(|pair| {
            let (a, b) = (&net.vertices[pair[0]], &net.vertices[pair[1]]);
            let between = match (a.kind, b.kind) {
                (Kind::Card, Kind::Card) => 26.0,
                (Kind::Card, _) | (_, Kind::Card) => 16.0,
                (Kind::Way, Kind::Way) => 10.0,
                _ => 10.0,
            };
            (a.size.height + b.size.height) / 2.0 + between
        })
        .collect()
}

/// The places nearest to `wanted` (weighted least squares) that keep the order and the gaps:
/// isotonic regression by pooling neighbours that would overlap.
pub fn settle(wanted: &[f64], weights: &[f64], gaps: &[f64]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(wanted.len());
    // Pools: sum of weight × place, weight, members.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (index, (want, weight)) in wanted.iter().zip(weights).enumerate() {
        offset += if index == 0 { 0.0 } else { gaps[index - 1] };
        offsets.push(offset);
        pools.push(((want - offset) * weight, *weight, 1));
        while let [.., a, b] = pools.as_slice() {
            if a.0 / a.1 <= b.0 / b.1 {
                break;
            }
            let joined = (a.0 + b.0, a.1 + b.1, a.2 + b.2);
            pools.truncate(pools.len() - 2);
            pools.push(joined);
        }
    }
    let places = pools
        .iter()
        .flat_map(|(sum, weight, members)| std::iter::repeat_n(sum / weight, *members));
    places
        .zip(offsets)
        .map(|(place, offset)| place + offset)
        .collect()
}
