//! Places the graph: layers from left to right, few crossings, curved routes (after Sugiyama).
//!
//! Each connected part is laid out by itself and the parts are packed like shelves. Within one:
//! cycles are broken ([`rank`]), nodes get layers, links become chains of vertices through the
//! layers between, the middle one of which holds the label, so that labels never overlap;
//! layers are ordered ([`order`]) and placed ([`place`]).

mod net;
mod order;
mod pack;
mod place;
mod rank;
mod route;

pub use route::Route;

/// A point, px, y downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// Width and height, px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

/// What is to be placed.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Size of each card.
    pub cards: Vec<Size>,
    /// Links: caller, callee, size of the label.
    pub links: Vec<(usize, usize, Size)>,
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The whole.
    pub size: Size,
    /// Top left corner of each card.
    pub cards: Vec<Point>,
    /// One per link.
    pub routes: Vec<Route>,
}

/// Room above a card that calls itself.
pub const LOOP_HEIGHT: f64 = 34.0;

/// Places the plan.
pub fn layout(plan: &Plan) -> Layout {
    let parts = pack::parts(plan);
    let blocks: Vec<Layout> = parts.iter().map(|part| part.layout(plan)).collect();
    pack::pack(plan, &parts, &blocks)
}

#[cfg(test)]
mod tests;
