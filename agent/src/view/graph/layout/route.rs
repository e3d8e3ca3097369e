//! The way of each link: from port to port through its layers.

use super::{
    LOOP_HEIGHT, Layout, Plan, Point, Size,
    net::{Kind, Net},
    order,
    pack::Part,
    place::{self, Placed},
};

/// The way of a link, in the direction of its calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// Pairs of points that are joined by straight lines, with curves from pair to pair; the
    /// first and the last point stand alone. Empty for loops.
    pub points: Vec<Point>,
    /// Centre of the label.
    pub label: Point,
    /// True if it runs against the layers: it closes a cycle.
    pub reversed: bool,
    /// True if caller and callee are one: a loop above the card.
    pub is_loop: bool,
}

impl Part {
    /// Lays this part out by itself, with the top left corner at the origin. The lists of the
    /// result are those of the part, not of the plan.
    pub fn layout(&self, plan: &Plan) -> Layout {
        let mut net = Net::new(plan, self);
        order::order(&mut net);
        let placed = place::place(&net);
        let cards: Vec<Point> = (0..self.nodes.len())
            .map(|local| {
                let (centre, size) = (placed.centres[local], net.vertices[local].size);
                let card = plan.cards[self.nodes[local]];
                Point {
                    x: centre.x - card.width / 2.0,
                    // The loop is above the card.
                    y: centre.y + size.height / 2.0 - card.height,
                }
            })
            .collect();
        let ports = Ports::new(self, plan, &net, &placed, &cards);
        let routes = (0..self.links.len())
            .map(|link| route(self, plan, &net, &placed, &cards, &ports, link))
            .collect();
        shift_to_origin(plan, self, &net, &placed, cards, routes)
    }
}

fn route(
    part: &Part,
    plan: &Plan,
    net: &Net,
    placed: &Placed,
    cards: &[Point],
    ports: &Ports,
    link: usize,
) -> Route {
    let (from, _, label) = plan.links[part.links[link]];
    let chain = &net.chains[link];
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else {
        let card = cards[part.local(from)];
        let width = plan.cards[from].width;
        return Route {
            label: Point {
                x: card.x + width - 58.0 - label.width / 2.0,
                y: card.y - LOOP_HEIGHT / 2.0 - 1.0,
            },
            is_loop: true,
            ..Route::default()
        };
    };
    let right_of = |local: usize| cards[local].x + plan.cards[part.nodes[local]].width;
    let mut points = vec![Point {
        x: right_of(*first),
        y: ports.out[link],
    }];
    let mut label_at = Point::default();
    for vertex in &chain[1..chain.len() - 1] {
        let centre = placed.centres[*vertex];
        let (left, right) = placed.columns[net.vertices[*vertex].rank];
        // Between labels a link may begin to turn a little early; it must not beside cards.
        let early: f64 = if net.vertices[*vertex].rank % 2 == 1 {
            12.0
        } else {
            -6.0
        };
        let early = early.min((right - left) / 2.0);
        let y = centre.y;
        points.push(Point { x: left + early, y });
        points.push(Point {
            x: right - early,
            y,
        });
        if net.vertices[*vertex].kind == Kind::Label {
            label_at = centre;
        }
    }
    points.push(Point {
        x: cards[*last].x,
        y: ports.into[link],
    });
    let reversed = net.reversed[link];
    if reversed {
        points.reverse();
    }
    Route {
        points,
        label: label_at,
        reversed,
        is_loop: false,
    }
}

/// Heights at which links leave and enter cards: in the order of where they go, so that they do
/// not cross at the card.
struct Ports {
    out: Vec<f64>,
    into: Vec<f64>,
}

impl Ports {
    fn new(part: &Part, plan: &Plan, net: &Net, placed: &Placed, cards: &[Point]) -> Self {
        let mut ports = Self {
            out: vec![0.0; part.links.len()],
            into: vec![0.0; part.links.len()],
        };
        for (local, node) in part.nodes.iter().enumerate() {
            let (top, size) = (cards[local].y, plan.cards[*node]);
            let leaving = (0..part.links.len())
                .filter(|link| net.chains[*link].first() == Some(&local))
                .map(|link| (placed.centres[net.chains[link][1]].y, link));
            spread(leaving.collect(), top, size, &mut ports.out);
            let entering = (0..part.links.len())
                .filter(|link| net.chains[*link].last() == Some(&local))
                .map(|link| {
                    (
                        placed.centres[net.chains[link][net.chains[link].len() - 2]].y,
                        link,
                    )
                });
            spread(entering.collect(), top, size, &mut ports.into);
        }
        ports
    }
}

fn spread(mut links: Vec<(f64, usize)>, top: f64, size: Size, ports: &mut [f64]) {
    links.sort_by(|a, b| a.0.total_cmp(&b.0));
    let steps = links.len().saturating_sub(1) as f64;
    let step = if steps > 0.0 {
        ((size.height - 24.0) / steps).min(14.0)
    } else {
        0.0
    };
    for (place, (_, link)) in links.into_iter().enumerate() {
        ports[link] = top + size.height / 2.0 + (place as f64 - steps / 2.0) * step;
    }
}

fn shift_to_origin(
    plan: &Plan,
    part: &Part,
    net: &Net,
    placed: &Placed,
    mut cards: Vec<Point>,
    mut routes: Vec<Route>,
) -> Layout {
    let mut top = f64::INFINITY;
    let mut bottom = f64::NEG_INFINITY;
    for (vertex, centre) in net.vertices.iter().zip(&placed.centres) {
        top = top.min(centre.y - vertex.size.height / 2.0);
        bottom = bottom.max(centre.y + vertex.size.height / 2.0);
    }
    for card in &mut cards {
        card.y -= top;
    }
    for route in &mut routes {
        route.label.y -= top;
        for point in &mut route.points {
            point.y -= top;
        }
    }
    // A loop's label may be wider than its card.
    let overhang = routes
        .iter()
        .enumerate()
        .filter(|(_, route)| route.is_loop)
        .map(|(link, route)| plan.links[part.links[link]].2.width / 2.0 - route.label.x)
        .fold(0.0, f64::max);
    for point in cards.iter_mut().chain(
        routes
            .iter_mut()
            .flat_map(|r| r.points.iter_mut().chain([&mut r.label])),
    ) {
        point.x += overhang;
    }
    Layout {
        size: Size {
            width: placed.columns.last().map_or(0.0, |(_, right)| *right) + overhang,
            height: bottom - top,
        },
        cards,
        routes,
    }
}
