//! Orders each layer so that few links cross: barycentres, then swaps of neighbours.

use super::net::Net;

/// Sweeps over all layers; more brings little.
const SWEEPS: usize = 24;

/// Sweeps without gain after which it is left at that.
const PATIENCE: usize = 6;

/// Above this many vertices in a layer neighbours are not swapped (it costs their square).
const SWAP_LIMIT: usize = 60;

/// Orders the layers of `net`.
pub fn order(net: &mut Net) {
    let mut position = vec![0; net.vertices.len()];
    for layer in 0..net.ranks.len() {
        note(net, layer, &mut position);
    }
    let mut best = net.ranks.clone();
    let mut fewest = crossings(net, &position);
    let mut in_vain = 0;
    for sweep in 0..SWEEPS {
        if fewest == 0 || in_vain == PATIENCE {
            break;
        }
        let down = sweep % 2 == 0;
        let layers: Vec<usize> = match down {
            true => (1..net.ranks.len()).collect(),
            false => (0..net.ranks.len() - 1).rev().collect(),
        };
        for layer in layers {
            by_barycentre(net, layer, down, sweep % 4 >= 2, &mut position);
        }
        swap_neighbours(net, &mut position);
        let now = crossings(net, &position);
        in_vain += 1;
        if now < fewest {
            in_vain = 0;
            fewest = now;
            best.clone_from(&net.ranks);
        }
    }
    net.ranks = best;
}

/// Sorts a layer by the mean position of each vertex's neighbours in the layer before (or
/// after). `late` turns ties around, which gets a sweep out of a rut.
fn by_barycentre(net: &mut Net, layer: usize, down: bool, late: bool, position: &mut [usize]) {
    let links = if down { &net.before } else { &net.after };
    let vertices = std::mem::take(&mut net.ranks[layer]);
    let mut keyed: Vec<(f64, usize)> = vertices
        .into_iter()
        .enumerate()
        .map(|(own, vertex)| {
            let places: Vec<f64> = links[vertex]
                .iter()
                .map(|other| position[*other] as f64)
                .collect();
            let mean = match places.len() {
                0 => own as f64,
                n => places.iter().sum::<f64>() / n as f64,
            };
            (mean, vertex)
        })
        .collect();
    if late {
        keyed.reverse();
    }
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    net.ranks[layer] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
    note(net, layer, position);
}

/// Writes down the position of each vertex of `layer`.
fn note(net: &Net, layer: usize, position: &mut [usize]) {
    for (place, vertex) in net.ranks[layer].iter().enumerate() {
        position[*vertex] = place;
    }
}

/// Swaps vertices that stand side by side as long as that removes crossings.
fn swap_neighbours(net: &mut Net, position: &mut [usize]) {
    for layer in 0..net.ranks.len() {
        let mut better = net.ranks[layer].len() <= SWAP_LIMIT;
        while better {
            better = false;
            for place in 1..net.ranks[layer].len() {
                let (a, b) = (net.ranks[layer][place - 1], net.ranks[layer][place]);
                let kept = between(&net.before[a], &net.before[b], position)
                    + between(&net.after[a], &net.after[b], position);
                let swapped = between(&net.before[b], &net.before[a], position)
                    + between(&net.after[b], &net.after[a], position);
                if swapped < kept {
                    net.ranks[layer].swap(place - 1, place);
                    better = true;
                }
            }
        }
        note(net, layer, position);
    }
}

/// Crossings of the links of `upper` with those of `lower`, when it stands above it.
fn between(upper: &[usize], lower: &[usize], position: &[usize]) -> usize {
    upper
        .iter()
        .map(|u| {
            lower
                .iter()
                .filter(|l| position[**l] < position[*u])
                .count()
        })
        .sum()
}

/// Crossings of the whole net.
fn crossings(net: &Net, position: &[usize]) -> usize {
    let layers = 1..net.ranks.len();
    layers
        .map(|layer| crossings_before(net, layer, position))
        .sum()
}

/// Crossings between a layer and the one before: inversions, counted with a Fenwick tree.
fn crossings_before(net: &Net, layer: usize, position: &[usize]) -> usize {
    let size = net.ranks[layer - 1].len();
    let mut tree = vec![0usize; size + 1];
    let mut total = 0;
    let mut seen = 0;
    for vertex in &net.ranks[layer] {
        let places = net.before[*vertex].iter().map(|other| position[*other] + 1);
        for place in places.clone() {
            let mut at = place;
            let mut not_after = 0;
            while at > 0 {
                not_after += tree[at];
                at &= at - 1;
            }
            total += seen - not_after;
        }
        // Links that share this vertex do not cross each other: they enter the tree together.
        for place in places {
            let mut at = place;
            while at <= size {
                tree[at] += 1;
                at += at & at.wrapping_neg();
            }
            seen += 1;
        }
    }
    total
}
