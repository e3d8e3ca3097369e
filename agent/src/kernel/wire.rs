//! Contract types as map keys and values.

/// A type of `weir-common` in an aya map.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire<T>(pub T);

// SAFETY: `bytemuck::Pod` promises the same as `aya::Pod`: any bytes are a value, no padding; and
// the wrapper is transparent.
unsafe impl<T: bytemuck::Pod> aya::Pod for Wire<T> {}
