//! Breaks cycles and gives each node its layer.

/// Layers of the nodes, and which links run against them.
#[derive(Debug)]
pub struct Ranks {
    /// Layer of each node, from 0.
    pub of: Vec<usize>,
    /// True for links that run from right to left.
    pub reversed: Vec<bool>,
}

/// Ranks `count` nodes by longest path from the callers that nobody calls. Links must not be
/// loops.
pub fn ranks(count: usize, links: &[(usize, usize)]) -> Ranks {
    let reversed = back_links(count, links);
    let forward: Vec<(usize, usize)> = links
        .iter()
        .zip(&reversed)
        .map(|((from, to), back)| if *back { (*to, *from) } else { (*from, *to) })
        .collect();
    let sequence = topological(count, &forward);
    let mut of = vec![0; count];
    for node in &sequence {
        for (_, to) in forward.iter().filter(|(from, _)| from == node) {
            of[*to] = of[*to].max(of[*node] + 1);
        }
    }
    tighten(&mut of, &sequence, &forward);
    Ranks { of, reversed }
}

/// Links that close a cycle in a depth-first walk which begins at callers that nobody calls,
/// then at those with the most calls out for the fewest in.
fn back_links(count: usize, links: &[(usize, usize)]) -> Vec<bool> {
    let mut out = vec![Vec::new(); count];
    let mut balance = vec![0i64; count];
    let mut called = vec![false; count];
    for (index, (from, to)) in links.iter().enumerate() {
        out[*from].push(index);
        balance[*from] += 1;
        balance[*to] -= 1;
        called[*to] = true;
    }
    let mut roots: Vec<usize> = (0..count).collect();
    roots.sort_by_key(|node| (called[*node], -balance[*node], *node));
    let mut reversed = vec![false; links.len()];
    // 0 = not seen, 1 = on the way, 2 = done.
    let mut state = vec![0u8; count];
    for root in roots {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        let mut walk = vec![(root, 0)];
        while let Some((node, next)) = walk.last_mut() {
            let Some(link) = out[*node].get(*next).copied() else {
                state[*node] = 2;
                walk.pop();
                continue;
            };
            *next += 1;
            let to = links[link].1;
            match state[to] {
                0 => {
                    state[to] = 1;
                    walk.push((to, 0));
                }
                1 => reversed[link] = true,
                _ => {}
            }
        }
    }
    reversed
}

fn topological(count: usize, links: &[(usize, usize)]) -> Vec<usize> {
    let mut waits_for = vec![0usize; count];
    for (_, to) in links {
        waits_for[*to] += 1;
    }
    let mut sequence: Vec<usize> = (0..count).filter(|node| waits_for[*node] == 0).collect();
    let mut done = 0;
    while done < sequence.len() {
        let node = sequence[done];
        done += 1;
        for (_, to) in links.iter().filter(|(from, _)| *from == node) {
            waits_for[*to] -= 1;
            if waits_for[*to] == 0 {
                sequence.push(*to);
            }
        }
    }
    sequence
}

/// Moves nodes with more links out than in next to those that they call: shorter links.
fn tighten(of: &mut [usize], sequence: &[usize], links: &[(usize, usize)]) {
    for node in sequence.iter().rev() {
        let outs = links.iter().filter(|(from, _)| from == node);
        let ins = links.iter().filter(|(_, to)| to == node).count();
        let nearest = outs.clone().map(|(_, to)| of[*to]).min();
        if let Some(nearest) = nearest
            && outs.count() > ins
        {
            of[*node] = of[*node].max(nearest - 1);
        }
    }
}
