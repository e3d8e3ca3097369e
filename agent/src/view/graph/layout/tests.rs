//! The layout keeps its promises for many shapes.

use super::{Layout, Plan, Point, Size, layout, place::settle, rank};

const CARD: Size = Size {
    width: 180.0,
    height: 78.0,
};
const LABEL: Size = Size {
    width: 90.0,
    height: 32.0,
};

fn plan(count: usize, links: &[(usize, usize)]) -> Plan {
    Plan {
        cards: vec![CARD; count],
        links: links.iter().map(|(from, to)| (*from, *to, LABEL)).collect(),
    }
}

/// A graph of pseudo-random links, the same in every run.
fn tangle(count: usize, links: usize) -> Plan {
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut chosen = std::collections::BTreeSet::new();
    while chosen.len() < links {
        chosen.insert((next(count), next(count)));
    }
    plan(count, &chosen.into_iter().collect::<Vec<_>>())
}

fn overlap(a: (Point, Size), b: (Point, Size)) -> bool {
    a.0.x < b.0.x + b.1.width
        && b.0.x < a.0.x + a.1.width
        && a.0.y < b.0.y + b.1.height
        && b.0.y < a.0.y + a.1.height
}

/// Cards and labels of a layout as boxes.
fn boxes(plan: &Plan, layout: &Layout) -> Vec<(Point, Size)> {
    let cards = layout.cards.iter().copied().zip(plan.cards.iter().copied());
    let labels = layout
        .routes
        .iter()
        .zip(&plan.links)
        .map(|(route, (_, _, size))| {
            let corner = Point {
                x: route.label.x - size.width / 2.0,
                y: route.label.y - size.height / 2.0,
            };
            (corner, *size)
        });
    cards.chain(labels).collect()
}

#[test]
fn nothing_overlaps_and_everything_is_inside() {
    for (name, plan) in [
        ("none", plan(0, &[])),
        ("one", plan(1, &[])),
        ("loop", plan(1, &[(0, 0)])),
        ("pair", plan(2, &[(0, 1)])),
        ("two ways", plan(2, &[(0, 1), (1, 0)])),
        ("cycle", plan(3, &[(0, 1), (1, 2), (2, 0)])),
        ("islands", plan(7, &[(0, 1), (2, 3), (3, 3)])),
        (
            "long",
            plan(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (0, 3)]),
        ),
        (
            "star",
            plan(20, &(1..20).map(|n| (0, n)).collect::<Vec<_>>()),
        ),
        ("tangle", tangle(25, 45)),
        ("dense", tangle(12, 100)),
    ] {
        let layout = layout(&plan);
        let boxes = boxes(&plan, &layout);
        for (index, a) in boxes.iter().enumerate() {
            let inside = a.0.x >= -0.01
                && a.0.y >= -0.01
                && a.0.x + a.1.width <= layout.size.width + 0.01
                && a.0.y + a.1.height <= layout.size.height + 0.01;
            assert!(inside, "{name}: {a:?} is outside of {:?}", layout.size);
            for b in &boxes[index + 1..] {
                assert!(!overlap(*a, *b), "{name}: {a:?} overlaps {b:?}");
            }
        }
    }
}

#[test]
fn calls_run_to_the_right_unless_they_close_a_cycle() {
    let plan = tangle(20, 40);
    let layout = layout(&plan);
    for (route, (from, to, _)) in layout.routes.iter().zip(&plan.links) {
        if route.is_loop {
            assert_eq!(from, to);
            continue;
        }
        let runs_right = layout.cards[*from].x < layout.cards[*to].x;
        assert_eq!(runs_right, !route.reversed, "{from} → {to}");
        let first = route.points[0];
        let edge = if runs_right { CARD.width } else { 0.0 };
        assert!((first.x - layout.cards[*from].x - edge).abs() < 0.01);
    }
}

#[test]
fn a_chain_is_straight() {
    let layout = layout(&plan(4, &[(0, 1), (1, 2), (2, 3)]));
    for route in &layout.routes {
        let y = route.points[0].y;
        assert!(
            route.points.iter().all(|point| (point.y - y).abs() < 0.5),
            "{route:?}"
        );
    }
}

#[test]
fn callers_stand_next_to_whom_they_call() {
    // 4 calls only 3, at the end of a chain.
    let ranks = rank::ranks(5, &[(0, 1), (1, 2), (2, 3), (4, 3)]);
    assert_eq!(ranks.of, [0, 1, 2, 3, 2]);
    let cycle = rank::ranks(3, &[(0, 1), (1, 2), (2, 0)]);
    assert_eq!(cycle.reversed, [false, false, true]);
}

#[test]
fn places_settle_as_near_as_order_allows() {
    for (wanted, weights, gaps, expected) in [
        (
            &[0.0, 100.0][..],
            &[1.0, 1.0][..],
            &[10.0][..],
            &[0.0, 100.0][..],
        ),
        (&[50.0, 50.0], &[1.0, 1.0], &[10.0], &[45.0, 55.0]),
        (&[50.0, 50.0], &[3.0, 1.0], &[10.0], &[47.5, 57.5]),
        (
            &[100.0, 0.0, 50.0],
            &[1.0, 1.0, 1.0],
            &[10.0, 10.0],
            &[40.0, 50.0, 60.0],
        ),
    ] {
        let found = settle(wanted, weights, gaps);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }
}

#[test]
fn hundreds_of_services_are_placed_in_time() {
    let plan = tangle(400, 800);
    let began = std::time::Instant::now();
    let layout = layout(&plan);
    assert_eq!(layout.cards.len(), 400);
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}
