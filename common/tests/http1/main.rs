//! The HTTP/1.1 framing against hostile input, in tables.

mod events;
mod graphql;
mod heads;
mod hostile;
mod order;
mod property;
mod reads;
mod talk;
mod valid;
